"""What may befall those who keep the keys: a run that dies, a spoilt secret, a document that grew too large."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rolegate import bootstrap, keyring
from rolegate.errors import InvalidRequest, Misconfigured, Unavailable

from tests.conftest import SETTINGS, Death, Logs, World, claims, client, rest_event, seal

DAY = 86_400
SECRETS = ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")
PARAMETER = SETTINGS["JWKS_PARAMETER"]


@pytest.fixture
def bare_world(bare_world: World) -> World:
    bare_world.configure(SIGNING_ALGORITHM="EdDSA")  # RSA keys take their time
    return bare_world


@pytest.fixture
def world(bare_world: World) -> World:
    run(bare_world)
    bare_world.clock.tick(60)
    bare_world.wire.heal()
    return bare_world


def run(world: World, **order: str) -> Any:
    """Have a new environment of the keys' keeper do what is ordered, or its daily run."""
    return world.cold("rotate_keys")(order, None)


def published() -> list[str]:
    document = client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    return [key["kid"] for key in json.loads(document)["keys"]]


def rings(world: World) -> list[keyring.Ring]:
    """Return the signing ring and the refresh ring."""
    found = [keyring.load(json.dumps(world.ring(secret))) for secret in SECRETS]
    return [ring for ring in found if ring is not None]


def some_rings(world: World) -> list[keyring.Ring | None]:
    """Return both, or None for one that does not exist yet."""
    return [keyring.load(json.dumps(world.ring(secret))) for secret in SECRETS]


def kids(ring: keyring.Ring) -> list[str]:
    return [key.kid for key in ring.keys]


# --- a run that dies


def die() -> None:
    raise Death


def create(world: World) -> Any:
    for secret in SECRETS:
        world.change_ring(secret, {})
    client("ssm").put_parameter(Name=PARAMETER, Value='{"keys":[]}', Overwrite=True)
    return {}


def due(world: World) -> Any:
    world.clock.tick(30 * DAY)
    return {}


def early(_world: World) -> Any:
    return {"action": "rotate"}


def another_algorithm(world: World) -> Any:
    world.configure(SIGNING_ALGORITHM="ES256")
    return {}


def leak(which: str) -> Callable[[World], Any]:
    return lambda _: {"action": "rotate", "compromised": which}


HAPPENINGS = {
    "the first keys are made": create,
    "a rotation is due": due,
    "an operator rotates": early,
    "the algorithm changed": another_algorithm,
    "signing keys leaked": leak("signing"),
    "refresh keys leaked": leak("refresh"),
    "all keys leaked": leak("both"),
}


def order_death(world: World, calls: list[str], number: int) -> None:
    """Have the run die just before its call of that number."""
    operation = calls[number]
    world.wire.order(operation, *[None] * calls[:number].count(operation), die)


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_a_run_may_die_before_any_of_its_calls_and_the_next_one_does_the_rest(
    bare_world: World, happening: str
) -> None:
    run(bare_world)
    bare_world.clock.tick(60)
    start = {secret: bare_world.ring(secret) for secret in SECRETS}
    document = client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    began = bare_world.clock.now

    def again() -> Any:
        bare_world.configure(SIGNING_ALGORITHM="EdDSA")
        bare_world.clock.now = began
        for secret, ring in start.items():
            bare_world.change_ring(secret, ring)
        client("ssm").put_parameter(Name=PARAMETER, Value=document, Overwrite=True)
        event = HAPPENINGS[happening](bare_world)
        bare_world.wire.heal()
        return event

    event = again()
    run(bare_world, **event)
    calls = list(bare_world.wire.calls)
    assert {"PutSecretValue", "UpdateSecretVersionStage"} < {*calls}
    expected = [_shape(ring) for ring in rings(bare_world)]
    for number in range(len(calls)):
        event = again()
        before = some_rings(bare_world)
        order_death(bare_world, calls, number)
        with pytest.raises(Death):
            run(bare_world, **event)
        _holds(bare_world, before, leaked="leaked" in happening)
        bare_world.wire.heal()
        bare_world.clock.tick(DAY)
        run(bare_world)
        assert published() == kids(rings(bare_world)[0])
        _holds(bare_world, before, leaked="leaked" in happening)
        assert not any(ring.is_compromised for ring in rings(bare_world))
        run(bare_world, **event)  # and whoever ordered it, orders it again
        if "leaked" in happening:
            assert [_shape(ring) for ring in rings(bare_world)] == expected
            _is_gone(before, rings(bare_world), happening)


def _shape(ring: keyring.Ring) -> tuple[int, bool]:
    return len(ring.retired), ring.is_compromised


def _holds(world: World, before: list[keyring.Ring | None], *, leaked: bool) -> None:
    """Hold what is true at any moment: what signs is published, nothing that verifies is lost, one step at most."""
    for number, (was, ring) in enumerate(zip(before, some_rings(world), strict=True)):
        if ring is None:
            assert was is None
            continue
        verifies = published() if number == 0 else kids(ring)
        assert ring.current.kid in verifies
        if was is not None and not leaked:
            assert ring.current.kid in (was.current.kid, was.next.kid)
            retired = was.current._replace(retired_at=ring.rotated_at)
            assert was.current.kid in verifies or retired.leaves_at <= world.clock.now


def _is_gone(before: list[keyring.Ring | None], after: list[keyring.Ring], happening: str) -> None:
    leaked = {"signing keys leaked": [0], "refresh keys leaked": [1], "all keys leaked": [0, 1]}[happening]
    for number in leaked:
        was = before[number]
        assert was is not None
        assert not {*kids(was)} & {*kids(after[number])}


def test_a_compromise_that_died_is_ended_by_the_daily_run(world: World) -> None:
    leaked = [kid for ring in rings(world) for kid in kids(ring)]
    world.wire.order("PutParameter", die)
    with pytest.raises(Death):
        run(world, action="rotate", compromised="both")
    world.clock.tick(DAY)
    run(world)
    assert not {*leaked} & {kid for ring in rings(world) for kid in kids(ring)}
    assert published() == kids(rings(world)[0])


def test_of_two_who_report_a_leak_at_once_both_find_every_key_replaced(world: World) -> None:
    leaked = {kid for ring in rings(world) for kid in kids(ring)}
    seen: list[set[str]] = []

    def second() -> None:
        run(world, action="rotate", compromised="both")
        seen.append({kid for ring in rings(world) for kid in kids(ring)})

    for operation in ("PutSecretValue", "UpdateSecretVersionStage", "PutParameter"):
        world.wire.order(operation, second)
        run(world, action="rotate", compromised="both")
        after = {kid for ring in rings(world) for kid in kids(ring)}
        assert not leaked & after
        assert not leaked & seen[-1]
        assert published() == kids(rings(world)[0])
        assert not any(ring.is_compromised for ring in rings(world))
        leaked |= after


def test_of_two_first_runs_the_one_that_lost_puts_the_winner_s_document_back(bare_world: World) -> None:
    """It read the winner's document before there was a ring, and has published its own since."""
    winner = keyring.kept(None, keyring.Rule("EdDSA", 30 * DAY, 900, keyring.generate), bare_world.clock.now)
    client("ssm").put_parameter(Name=PARAMETER, Value=keyring.jwks(winner), Overwrite=True)
    bare_world.wire.order(
        "PutParameter", lambda: bare_world.change_ring("SIGNING_KEYS_SECRET", json.loads(keyring.dump(winner)))
    )
    run(bare_world)
    assert published() == kids(winner)


def test_an_overtaken_run_that_publishes_leaked_keys_late_and_dies_does_not_keep_them_published(world: World) -> None:
    leaked = client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]

    def late(seconds: float) -> None:
        world.clock.tick(int(seconds))
        client("ssm").put_parameter(Name=PARAMETER, Value=leaked, Overwrite=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "_wait", late)
        run(world, action="rotate", compromised="signing")
    assert published() == kids(rings(world)[0])


@pytest.mark.parametrize("secret", SECRETS)
def test_a_leak_of_a_ring_that_was_emptied_makes_one_that_is_published_first(world: World, secret: str) -> None:
    world.change_secret(secret, "{}")
    world.wire.order("PutParameter", *[die] * 2)
    with pytest.raises(Death):
        run(world, action="rotate", compromised="both")
    ring = some_rings(world)[0]
    assert ring is None or ring.current.kid in published()
    world.wire.heal()
    run(world, action="rotate", compromised="both")
    assert published() == kids(rings(world)[0])


def test_after_a_leak_nothing_keeps_the_version_before(world: World) -> None:
    run(world, action="rotate", compromised="both")
    _no_version_before(world)
    world.clock.tick(30 * DAY)
    run(world)
    _no_version_before(world)


def test_a_version_before_that_was_to_be_forgotten_is_forgotten_by_the_next_run(world: World) -> None:
    world.wire.order("UpdateSecretVersionStage", None, None, None, None, die)
    with pytest.raises(Death):
        run(world, action="rotate", compromised="both")
    run(world)
    _no_version_before(world)


def _no_version_before(world: World) -> None:
    for secret in SECRETS:
        listed = client("secretsmanager").list_secret_version_ids(SecretId=world.settings[secret])["Versions"]
        labels = [label for version in listed for label in version["VersionStages"]]
        assert labels.count("AWSCURRENT") == 1
        assert "AWSPREVIOUS" not in labels


@pytest.mark.parametrize("which", ["signing", "refresh", "both"])
@pytest.mark.parametrize("trouble", ["spoilt", "gone"])
@pytest.mark.parametrize("broken", [0, 1])
def test_a_ring_in_trouble_does_not_keep_the_other_one_s_leaked_keys(
    world: World, which: str, trouble: str, broken: int
) -> None:
    whole = 1 - broken
    leaked = kids(rings(world)[whole])
    if trouble == "gone":
        client("secretsmanager").delete_secret(SecretId=world.settings[SECRETS[broken]])
    else:
        world.change_secret(SECRETS[broken], "oops")
    concerned = which in ("both", ("signing", "refresh")[broken])
    try:
        run(world, action="rotate", compromised=which)
    except Misconfigured:
        assert concerned
    else:
        assert not concerned
    ring = keyring.load(json.dumps(world.ring(SECRETS[whole])))
    assert ring is not None
    assert set(leaked).isdisjoint(kids(ring)) is (which in ("both", ("signing", "refresh")[whole]))
    if whole == 0:
        assert published() == kids(ring)


def test_a_compromise_that_reads_the_ring_of_before_is_no_success(world: World) -> None:
    """Secrets Manager's reads may lag behind its writes: here one after the mark shows the ring without it."""
    name, secrets = world.settings["REFRESH_KEYS_SECRET"], client("secretsmanager")

    def lag() -> None:
        listed = secrets.list_secret_version_ids(SecretId=name)["Versions"]
        labelled = {label: one["VersionId"] for one in listed for label in one["VersionStages"]}
        if "AWSPREVIOUS" in labelled:
            secrets.update_secret_version_stage(
                SecretId=name,
                VersionStage="AWSCURRENT",
                MoveToVersionId=labelled["AWSPREVIOUS"],
                RemoveFromVersionId=labelled["AWSCURRENT"],
            )

    world.wire.order("GetSecretValue", None, None, lag)
    with pytest.raises(Unavailable):
        run(world, action="rotate", compromised="refresh")


def test_who_was_signed_out_stays_so_though_a_slower_order_comes_later(world: World) -> None:
    now = world.clock.now

    def overtake() -> None:
        world.clock.tick(60)
        run(world, action="sign-out-everyone")
        world.clock.now = now

    world.wire.order("UpdateSecretVersionStage", overtake)
    run(world, action="sign-out-everyone")
    assert rings(world)[1].sessions_not_before == now + 62


def test_everyone_of_that_very_second_is_signed_out_and_whoever_comes_after_is_not(world: World) -> None:
    world.configure(KEY_RING_SECONDS="30")
    world.add_user()
    before = world.login()["refresh_token"]
    run(world, action="sign-out-everyone")
    after = world.login()["refresh_token"]
    world.clock.tick(33)
    assert world.refresh(before).body["code"] == "refresh_token_revoked"
    assert world.refresh(after).status == 200


def test_a_key_whose_publication_got_lost_is_published_for_two_hours_before_it_signs(world: World) -> None:
    world.clock.tick(30 * DAY)
    world.wire.order("PutParameter", die)
    with pytest.raises(Death):
        run(world)
    upcoming = rings(world)[0].next.kid
    world.clock.tick(30 * DAY)
    for _ in range(2):
        run(world)
        assert upcoming in published()
        assert rings(world)[0].current.kid != upcoming
        world.clock.tick(3600)
    run(world)
    assert rings(world)[0].current.kid == upcoming


def test_a_leaked_refresh_key_is_not_laundered_by_a_function_with_an_old_ring(world: World) -> None:
    """Its holder, who also read the table, forges a predecessor of a session that was begun with the new key."""
    world.add_user()
    stale = world.handler("refresh")
    old = world.login()["refresh_token"]
    assert world.refresh(old).status == 200  # it has the old ring now
    leaked = world.ring("REFRESH_KEYS_SECRET")["current"]
    run(world, action="rotate", compromised="refresh")
    world.restart("login")
    world.restart("refresh")
    owner = world.login()["refresh_token"]
    world.clock.tick(60)
    assert world.refresh(owner).status == 200
    forged = seal({"alg": "HS256", "typ": "rt+jwt", "kid": leaked["kid"]}, claims(owner), leaked)
    answer = stale(rest_event("/refresh", json.dumps({"refresh_token": forged})), None)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "refresh_token_revoked")


# --- a secret or a parameter in trouble

SPOILT = {
    "a text": "hunter2",
    "half a ring": '{"format": 1, "current": ',
    "another document": '{"username": "hunter2"}',
    "a newer format": '{"format": 2, "keys": "hunter2"}',
}


@pytest.mark.parametrize("order", [{}, {"action": "rotate"}, {"action": "rotate", "compromised": "both"}])
@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_holds_no_ring_is_left_for_somebody_to_mend(
    world: World, logs: Logs, secret: str, content: str, order: dict[str, str]
) -> None:
    world.change_secret(secret, content)
    before = published()
    with pytest.raises(Misconfigured) as error:
        run(world, **order)
    assert "hunter2" not in f"{error.value}{logs.text}"
    found = client("secretsmanager").get_secret_value(SecretId=world.settings[secret], VersionStage="AWSCURRENT")
    assert found["SecretString"] == content
    if secret == "SIGNING_KEYS_SECRET":
        assert published() == before
    else:  # the other ring is not to wait for it
        signing = keyring.load(json.dumps(world.ring("SIGNING_KEYS_SECRET")))
        assert signing is not None
        assert published() == kids(signing)
        assert (set(published()) & set(before) == set()) is ("compromised" in order)
    assert "RotationFailed" in logs.metrics()


def test_a_secret_that_is_gone_is_said_and_nothing_is_made_in_its_place(world: World) -> None:
    client("secretsmanager").delete_secret(SecretId=world.settings["REFRESH_KEYS_SECRET"])
    with pytest.raises(Misconfigured, match="gone, or has no value"):
        run(world)


def test_a_stack_whose_secret_is_gone_is_deleted_all_the_same(world: World) -> None:
    """The answer itself is tested with the others; here nothing must be asked of the secret."""
    for secret in SECRETS:
        client("secretsmanager").delete_secret(SecretId=world.settings[secret], ForceDeleteWithoutRecovery=True)
    world.wire.calls.clear()
    told = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "KeyRings"}
    with pytest.raises(OSError, match="refused"):  # as far as CloudFormation's door, where nobody listens here
        run(world, RequestType="Delete", ResponseURL="http://127.0.0.1:9/", **told)
    assert world.wire.calls == []


def test_a_parameter_that_was_deleted_or_spoilt_is_made_anew_by_the_next_run(world: World) -> None:
    client("ssm").put_parameter(Name=PARAMETER, Value="hunter2", Overwrite=True)
    run(world)
    assert published() == kids(rings(world)[0])
    client("ssm").delete_parameter(Name=PARAMETER)
    run(world)
    assert published() == kids(rings(world)[0])


def test_a_document_that_would_grow_too_large_stops_the_run_before_anything_changed(world: World) -> None:
    _retire(world, many=40, leave_in=DAY)
    before, document = world.stored(), published()
    world.clock.tick(30)
    with pytest.raises(Misconfigured, match=r"^The 42 public keys take \d+ bytes, and their parameter holds 4096\."):
        run(world)
    assert (world.stored(), published()) == (before, document)


def test_keys_that_may_leave_do_so_before_the_document_is_found_too_large(world: World) -> None:
    _retire(world, many=40, leave_in=0)
    run(world)
    assert len(published()) == 2


def _retire(world: World, *, many: int, leave_in: int) -> None:
    """Put many retired keys into the signing ring, which may leave so many seconds from now."""
    ring = rings(world)[0]
    old = keyring.generate("EdDSA", 0)._replace(lifetime=900)
    gone = world.clock.now + leave_in - old._replace(retired_at=0).leaves_at
    retired = tuple(old._replace(kid=f"{number:043}", retired_at=gone) for number in range(many))
    world.change_ring("SIGNING_KEYS_SECRET", json.loads(keyring.dump(ring._replace(retired=retired))))


# --- what is told


def test_every_run_says_how_old_the_older_ring_is(world: World, logs: Logs) -> None:
    world.clock.tick(12 * DAY - 60)
    run(world)
    ((told,),) = [line["KeyAgeDays"] for line in logs.lines if "KeyAgeDays" in line]
    assert told == 12
    run(world, action="rotate", compromised="signing")
    run(world)
    assert [round(line["KeyAgeDays"][0]) for line in logs.lines if "KeyAgeDays" in line][1:] == [12]
    run(world, action="rotate", compromised="refresh")
    run(world)
    assert [round(line["KeyAgeDays"][0]) for line in logs.lines if "KeyAgeDays" in line][2:] == [0]


def test_a_run_that_failed_does_not_say_that_all_is_well(world: World, logs: Logs) -> None:
    world.change_ring("SIGNING_KEYS_SECRET", {"secret": "hunter2"})
    with pytest.raises(Misconfigured):
        run(world)
    assert "KeyAgeDays" not in logs.text


def test_what_was_done_to_the_keys_is_recorded(world: World, logs: Logs) -> None:
    run(world, action="rotate")
    signing, refresh = rings(world)
    told = [(line["ring"], line["kid"]) for line in logs.events("keys_rotated")]
    assert told == [("signing", signing.current.kid), ("refresh", refresh.current.kid)]
    world.clock.tick(60)
    run(world, action="rotate", compromised="both")
    run(world, action="sign-out-everyone")
    assert [line["ring"] for line in logs.events("keys_compromised")] == ["both"]
    assert len(logs.events("everyone_signed_out")) == 1


@pytest.mark.parametrize(
    "order",
    [
        {"action": "burn"},
        {"action": "rotate", "compromised": "all"},
        {"action": "rotate", "compromised": ""},
        {"action": "rotate", "compromized": "signing"},
        {"action": ""},
    ],
    ids=str,
)
def test_an_order_that_there_is_not_is_refused_and_changes_nothing(
    world: World, logs: Logs, order: dict[str, str]
) -> None:
    before = world.stored()
    with pytest.raises(InvalidRequest, match=r"^The action must be show, rotate"):
        run(world, **order)
    assert world.stored() == before
    assert logs.metrics() == []


@pytest.mark.parametrize("action", ["show", "sign-out-everyone"])
def test_of_rings_that_do_not_exist_yet_there_is_nothing_to_say(bare_world: World, action: str) -> None:
    with pytest.raises(Misconfigured, match="There is no key ring yet"):
        run(bare_world, action=action)


def test_what_an_operator_is_told_changes_nothing(world: World) -> None:
    before = world.stored()
    report = run(world, action="show")
    assert world.stored() == before
    assert [key["kid"] for key in report["rings"]["signing"]["keys"]] == kids(rings(world)[0])
    assert [key["kid"] for key in report["rings"]["refresh"]["keys"]] == kids(rings(world)[1])
