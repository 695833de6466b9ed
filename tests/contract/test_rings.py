"""The rings' secrets and the published key set, over every AWS."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from rolegate import keyring
from rolegate.errors import Misconfigured, Unavailable
from rolegate.keyring import Ring
from rolegate.stores.rings import Rings

from tests.conftest import NOW
from tests.contract.conftest import Stores

DAY = 86_400
RULE = keyring.Rule("HS256", 30 * DAY, 7 * DAY, keyring.generate)


def made(now: int = NOW) -> Ring:
    return keyring.kept(None, RULE, now)


def versions(stores: Stores) -> dict[str, list[str]]:
    """Return the secret's versions that have labels, and their labels."""
    listed = stores.clients.secretsmanager.list_secret_version_ids(SecretId=stores.names["ring"])["Versions"]
    return {one["VersionId"]: sorted(one["VersionStages"]) for one in listed if one.get("VersionStages")}


def test_a_new_stack_has_no_ring_but_a_version_to_start_from(stores: Stores) -> None:
    ring, version = stores.ring.read()
    assert ring is None
    assert versions(stores) == {version: ["AWSCURRENT"]}


def test_a_ring_is_replaced_and_comes_back_as_stored(stores: Stores) -> None:
    began = stores.ring.read()[1]
    ring, version = stores.ring.update(lambda _: made())
    assert stores.ring.read() == (ring, version)
    assert versions(stores) == {version: ["AWSCURRENT", "rolegate-pending"], began: ["AWSPREVIOUS"]}


def test_a_step_that_changes_nothing_writes_nothing(stores: Stores) -> None:
    before = stores.ring.update(lambda _: made())
    known = versions(stores)
    assert stores.ring.update(lambda ring: ring or made()) == before
    assert versions(stores) == known


def test_a_step_sees_what_another_did_meanwhile(stores: Stores) -> None:
    seen: list[Ring | None] = []
    first = made()

    def step(ring: Ring | None) -> Ring:
        seen.append(ring)
        if len(seen) == 1:
            stores.ring.update(lambda _: first)
        return (ring or made())._replace(sessions_not_before=7)

    ring, version = stores.ring.update(step)
    assert seen == [None, first]
    assert ring == first._replace(sessions_not_before=7)
    assert stores.ring.read() == (ring, version)


def test_ten_writers_at_once_make_one_ring(stores: Stores, crowd: ThreadPoolExecutor) -> None:
    together = threading.Barrier(10)

    def write(_: int) -> tuple[Ring, str]:
        together.wait()
        return stores.ring.update(lambda ring: ring or made())

    results = set(crowd.map(write, range(10)))
    assert results == {stores.ring.read()}
    assert sum("AWSCURRENT" in labels for labels in versions(stores).values()) == 1
    assert len(versions(stores)) <= 3  # what lost the race has no label, and Secrets Manager deletes it


def test_ten_rotations_at_once_are_one_step_forward(stores: Stores, crowd: ThreadPoolExecutor) -> None:
    began, _ = stores.ring.update(lambda _: made())
    together = threading.Barrier(10)

    def rotate(_: int) -> tuple[Ring, str]:
        together.wait()
        return stores.ring.update(lambda ring: keyring.kept(ring, RULE, NOW + 30 * DAY))

    results = set(crowd.map(rotate, range(10)))
    ring, version = stores.ring.read()
    assert results == {(ring, version)}
    assert ring is not None
    assert ring.current.kid == began.next.kid
    assert [key.kid for key in ring.retired] == [began.current.kid]


def test_who_loses_five_times_gives_up_and_leaves_the_others_ring(stores: Stores) -> None:
    rings: list[Ring] = []

    def step(_: Ring | None) -> Ring:
        rings.append(made()._replace(sessions_not_before=len(rings)))
        stores.ring.update(lambda _: rings[-1])
        return made()

    with pytest.raises(Unavailable):
        stores.ring.update(step)
    assert len(rings) == 5
    assert stores.ring.read()[0] == rings[-1]


def test_the_version_before_is_forgotten_and_once_more_does_no_harm(stores: Stores) -> None:
    began = stores.ring.read()[1]
    _, version = stores.ring.update(lambda _: made())
    for _ in range(2):
        stores.ring.forget_previous()
        assert versions(stores) == {version: ["AWSCURRENT", "rolegate-pending"]}
    listed = stores.clients.secretsmanager.list_secret_version_ids(SecretId=stores.names["ring"])["Versions"]
    assert began not in {one["VersionId"] for one in listed if one.get("VersionStages")}
    _, later = stores.ring.update(lambda _: made())
    assert versions(stores) == {later: ["AWSCURRENT", "rolegate-pending"], version: ["AWSPREVIOUS"]}


def test_a_write_that_died_before_its_move_is_cleared_away_by_the_next(stores: Stores) -> None:
    before = stores.ring.update(lambda _: made())
    stores.clients.secretsmanager.put_secret_value(
        SecretId=stores.names["ring"], SecretString=keyring.dump(made()), VersionStages=["rolegate-pending"]
    )
    assert stores.ring.read() == before
    _, version = stores.ring.update(lambda _: made())
    assert versions(stores) == {version: ["AWSCURRENT", "rolegate-pending"], before[1]: ["AWSPREVIOUS"]}


def test_a_secret_that_is_gone_is_told(stores: Stores) -> None:
    stores.clients.secretsmanager.delete_secret(SecretId=stores.names["ring"], RecoveryWindowInDays=7)
    with pytest.raises(Misconfigured, match=r"^The secret is gone, or has no value: "):
        stores.ring.read()
    stores.clients.secretsmanager.delete_secret(SecretId=stores.names["ring"], ForceDeleteWithoutRecovery=True)
    with pytest.raises(Misconfigured, match=r"^The secret is gone, or has no value: "):
        stores.ring.read()


def test_what_is_no_ring_is_refused_without_a_word_of_it(stores: Stores) -> None:
    stores.clients.secretsmanager.put_secret_value(SecretId=stores.names["ring"], SecretString='{"secret": "hunter2"}')
    with pytest.raises(Misconfigured) as raised:
        stores.ring.read()
    assert "hunter2" not in str(raised.value)


def test_a_function_keeps_a_ring_for_five_minutes(stores: Stores) -> None:
    rings, first = Rings(stores.ring, 300), made()
    stores.ring.update(lambda _: first)
    assert rings.ring(NOW) == first
    second, _ = stores.ring.update(lambda _: made())
    assert rings.ring(NOW + 299) == first
    assert rings.ring(NOW + 300) == second


def test_a_function_reads_anew_five_times_in_half_a_minute(stores: Stores) -> None:
    rings = Rings(stores.ring, 300)
    stores.ring.update(lambda _: made())
    for second in range(5):
        rings.knowing(f"key {second}", NOW + second)
    with pytest.raises(Unavailable) as raised:
        rings.knowing("key 5", NOW + 29)
    assert raised.value.retry_after == 30
    latest, _ = stores.ring.update(lambda _: made())
    assert rings.knowing(latest.current.kid, NOW + 30) == latest
    with pytest.raises(Unavailable):
        rings.knowing("key 6", NOW + 30)


def test_without_a_ring_a_function_cannot_work_yet(stores: Stores) -> None:
    rings = Rings(stores.ring, 300)
    with pytest.raises(Unavailable):
        rings.ring(NOW)
    made_now, _ = stores.ring.update(lambda _: made())
    assert rings.ring(NOW) == made_now


def test_the_published_key_set_is_replaced_whole(stores: Stores) -> None:
    assert stores.documents.read() == '{"keys":[]}'
    stores.documents.publish('{"keys":[1]}')
    assert stores.documents.read() == '{"keys":[1]}'


def test_a_key_set_whose_parameter_is_gone_is_made_anew(stores: Stores) -> None:
    stores.clients.ssm.delete_parameter(Name=stores.names["documents"])
    assert stores.documents.read() == '{"keys":[]}'
    stores.documents.publish('{"keys":[1]}')
    assert stores.documents.read() == '{"keys":[1]}'
