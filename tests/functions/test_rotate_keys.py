"""The rings: made with the stack, kept every day, published; and CloudFormation always hears of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from rolegate import keyring
from rolegate.errors import Unavailable
from rolegate.keyring import Ring
from rolegate.stores.rings import RingStore

from tests.conftest import OUT_OF_REACH, PASSWORD, Fault, Logs, World, claims, client, header, serving
from tests.functions.test_events import event

DAY = 86_400
SECRETS = ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")
Rotate = Callable[[str], dict[str, Any] | None]


@pytest.fixture
def rotate(bare_world: World) -> Iterator[Rotate]:
    """Have a sample event handled; give the answer that CloudFormation got. (RSA keys would take their time.)"""
    bare_world.configure(SIGNING_ALGORITHM="ES256")
    answers: list[dict[str, Any]] = []

    def take(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        assert request.command == "PUT"
        assert len(body) < 4096
        answers.append(json.loads(body))
        return 200, {}, b""

    with serving(take) as url:

        def run(kind: str) -> dict[str, Any] | None:
            given = event(f"rotate_keys_{kind}")
            if "ResponseURL" in given:
                given["ResponseURL"] = url
            bare_world.handler("rotate_keys")(given, None)
            return answers.pop() if answers else None

        yield run


def published() -> list[str]:
    document = client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"]
    return [key["kid"] for key in json.loads(document)["keys"]]


def kids(world: World, secret: str = "SIGNING_KEYS_SECRET") -> list[str]:
    """Return the names of a ring's keys: current, next, then the retired ones."""
    ring = world.ring(secret)
    return [key["kid"] for key in (ring["current"], ring["next"], *ring["retired"])]


@pytest.mark.parametrize("kind", ["create", "update", "schedule"])
def test_a_new_stack_gets_its_rings_and_can_sign_at_once(bare_world: World, rotate: Rotate, kind: str) -> None:
    rotate(kind)
    assert published() == kids(bare_world)
    assert len(published()) == 2
    bare_world.add_user()
    body = bare_world.login()
    assert header(body["access_token"])["kid"] == published()[0]
    assert header(body["refresh_token"])["kid"] == kids(bare_world, "REFRESH_KEYS_SECRET")[0]
    assert bare_world.refresh(body["refresh_token"]).status == 200


def test_cloudformation_hears_of_it(rotate: Rotate) -> None:
    given = event("rotate_keys_create")
    assert rotate("create") == {
        "Status": "SUCCESS",
        "Reason": "done",
        "PhysicalResourceId": "rolegate-key-rings",
        "StackId": given["StackId"],
        "RequestId": given["RequestId"],
        "LogicalResourceId": "KeyRings",
    }
    answer = rotate("update")
    assert answer is not None
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "rolegate-key-rings")


@pytest.mark.parametrize("kind", ["create", "update", "schedule"])
def test_a_replay_changes_nothing(bare_world: World, rotate: Rotate, kind: str) -> None:
    rotate("create")
    before, versions = bare_world.stored(), _versions(bare_world)
    document = published()
    rotate(kind)
    assert bare_world.stored() == before
    assert _versions(bare_world) == versions
    assert published() == document


def _versions(world: World) -> list[tuple[str, list[str]]]:
    """Return every version that the secrets hold, with its labels."""
    return [
        (version["VersionId"], version["VersionStages"])
        for name in SECRETS
        for version in client("secretsmanager").list_secret_version_ids(
            SecretId=world.settings[name], IncludeDeprecated=True
        )["Versions"]
    ]


def test_a_deletion_leaves_everything_and_succeeds(bare_world: World, rotate: Rotate) -> None:
    rotate("create")
    before, document = bare_world.stored(), published()
    bare_world.wire.calls.clear()
    answer = rotate("delete")
    assert answer is not None
    assert answer["Status"] == "SUCCESS"
    assert bare_world.wire.calls == []
    assert (bare_world.stored(), published()) == (before, document)


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.REFUSED])
@pytest.mark.parametrize(
    "operation", ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "GetParameter", "PutParameter"]
)
def test_a_failure_is_told_with_a_reason_that_is_safe(
    bare_world: World, rotate: Rotate, logs: Logs, operation: str, fault: Fault
) -> None:
    bare_world.wire.order(operation, fault, fault)
    answer = rotate("create")
    bare_world.wire.heal()
    assert answer is not None
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", "rolegate-key-rings")
    if fault is Fault.REFUSED:
        assert answer["Reason"].endswith("Error: see the function's log.") or "AccessDenied" in answer["Reason"]
    else:
        assert answer["Reason"] == "The service is not available right now. Try again."
    assert logs.metrics() == ["RotationFailed"]
    assert len(logs.events("failure")) == 1
    for secret in (PASSWORD, "PRIVATE"):
        assert secret not in logs.text + answer["Reason"]
    answer = rotate("create")
    assert answer is not None
    assert answer["Status"] == "SUCCESS"
    assert published() == kids(bare_world)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ROLES": "user=1,user=2"}, "The roles 'user=1,user=2' name 'user' twice."),
        ({"ROLES": "viewer=10,editor=20,owner=30"}, "There is no role 'user'. The roles are viewer, editor, owner."),
        (
            {"ROLES": "admin=1,manager=2,user=3"},
            (
                "In the roles 'admin=1,manager=2,user=3' the authorizers for users, managers and admins would ask for "
                "user, manager, admin, which is not from low to high. The higher the level, the more a role may."
            ),
        ),
        ({"MIN_ROLES": "user,manager,root"}, "There is no role 'root'. The roles are user, manager, admin."),
    ],
)
def test_roles_that_make_no_sense_stop_a_deployment_and_no_daily_run(
    bare_world: World, rotate: Rotate, settings: dict[str, str], reason: str
) -> None:
    bare_world.configure(**settings)
    for kind in ("create", "update"):
        answer = rotate(kind)
        assert answer is not None
        assert (answer["Status"], answer["Reason"]) == ("FAILED", reason)
    assert bare_world.wire.calls == []
    rotate("schedule")
    assert published() == kids(bare_world)


def test_the_schedule_fails_aloud(bare_world: World, rotate: Rotate, logs: Logs) -> None:
    bare_world.wire.order("GetSecretValue", Fault.THROTTLED, Fault.THROTTLED)
    with pytest.raises(Unavailable):
        rotate("schedule")
    assert logs.metrics() == ["RotationFailed"]


def test_a_deletion_succeeds_though_the_store_is_down(bare_world: World, rotate: Rotate) -> None:
    bare_world.wire.order("GetSecretValue", *[Fault.TIME_OUT] * 10)
    answer = rotate("delete")
    assert answer is not None
    assert answer["Status"] == "SUCCESS"


def test_a_move_whose_answer_got_lost_is_a_success(bare_world: World, rotate: Rotate) -> None:
    bare_world.wire.order("UpdateSecretVersionStage", Fault.ANSWER_LOST)
    answer = rotate("create")
    assert answer is not None
    assert answer["Status"] == "SUCCESS"
    assert published() == kids(bare_world)


def test_a_move_whose_answer_got_lost_is_not_made_twice(world: World) -> None:
    store = RingStore(client("secretsmanager"), world.settings["REFRESH_KEYS_SECRET"])
    steps: list[Ring] = []

    def step(ring: Ring | None) -> Ring:
        assert ring is not None
        steps.append(ring._replace(sessions_not_before=ring.sessions_not_before + 1))
        return steps[-1]

    world.wire.order("UpdateSecretVersionStage", Fault.ANSWER_LOST)
    assert store.update(step) == store.read()
    assert [ring.sessions_not_before for ring in steps] == [1]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_ring_rotates_when_its_period_is_over_and_not_before(bare_world: World, rotate: Rotate, secret: str) -> None:
    rotate("create")
    current, upcoming = kids(bare_world, secret)
    bare_world.clock.tick(30 * DAY - 1)
    rotate("schedule")
    assert kids(bare_world, secret) == [current, upcoming]
    bare_world.clock.tick(1)
    rotate("schedule")
    after = kids(bare_world, secret)
    assert (after[0], after[2]) == (upcoming, current)
    assert after[1] not in (current, upcoming)
    rotate("schedule")
    assert kids(bare_world, secret) == after


def test_a_key_that_was_never_published_does_not_sign(bare_world: World, rotate: Rotate) -> None:
    rotate("create")
    first, second = kids(bare_world)
    bare_world.clock.tick(30 * DAY)
    client("ssm").put_parameter(Name="/rolegate/jwks", Value=json.dumps({"keys": [{"kid": first}]}), Overwrite=True)
    rotate("schedule")
    assert kids(bare_world) == published() == [first, second]
    bare_world.clock.tick(DAY)
    rotate("schedule")
    assert kids(bare_world)[0] == published()[0] == second


def test_nobody_notices_a_rotation(bare_world: World, rotate: Rotate) -> None:
    rotate("create")
    bare_world.add_user()
    bare_world.clock.tick(30 * DAY - 60)
    body = bare_world.login()
    bare_world.clock.tick(60)
    rotate("schedule")
    keys = jwt.PyJWKSet.from_json(client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"])
    for token in (body["access_token"], bare_world.refresh(body["refresh_token"]).body["access_token"]):
        assert jwt.decode(
            token, keys[header(token)["kid"]], algorithms=["ES256"], audience="rolegate", options={"verify_iat": False}
        ) == claims(token)


def test_a_signing_key_is_published_before_it_signs_and_until_its_last_token_has_expired(
    bare_world: World, rotate: Rotate
) -> None:
    rotate("create")
    first, second = kids(bare_world)
    bare_world.clock.tick(30 * DAY)
    rotate("schedule")
    assert published()[0] == second
    assert first in published()
    bare_world.clock.tick(15 * 60 + 65 * 60 + 120 - 1)
    rotate("schedule")
    assert first in published()
    bare_world.clock.tick(1)
    rotate("schedule")
    assert first not in published()
    assert len(published()) == 2


def test_a_retired_refresh_key_verifies_as_long_as_a_token_may_live(bare_world: World, rotate: Rotate) -> None:
    rotate("create")
    first = kids(bare_world, "REFRESH_KEYS_SECRET")[0]
    bare_world.clock.tick(30 * DAY)
    rotate("schedule")
    bare_world.clock.tick(7 * DAY + 65 * 60 + 120 - 1)
    rotate("schedule")
    assert first in kids(bare_world, "REFRESH_KEYS_SECRET")
    bare_world.clock.tick(1)
    rotate("schedule")
    assert first not in kids(bare_world, "REFRESH_KEYS_SECRET")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_stack_signs_with_the_algorithm_of_its_parameter(bare_world: World, rotate: Rotate, algorithm: str) -> None:
    bare_world.configure(SIGNING_ALGORITHM=algorithm)
    rotate("create")
    bare_world.add_user()
    token = bare_world.login()["access_token"]
    keys = jwt.PyJWKSet.from_json(client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"])
    assert header(token)["alg"] == algorithm
    assert jwt.decode(
        token, keys[header(token)["kid"]], algorithms=[algorithm], audience="rolegate", options={"verify_iat": False}
    )


def test_of_two_first_runs_at_once_one_makes_the_rings(bare_world: World, rotate: Rotate) -> None:
    made: list[list[str]] = []

    def overtake() -> None:
        bare_world.cold("rotate_keys")({}, None)
        made.append(kids(bare_world))

    bare_world.wire.order("UpdateSecretVersionStage", None, overtake)
    rotate("create")
    assert published() == kids(bare_world) == made[0]


def test_a_run_that_was_overtaken_does_not_leave_the_older_keys_published(bare_world: World, rotate: Rotate) -> None:
    def overtake() -> None:
        bare_world.clock.tick(30 * DAY)
        bare_world.cold("rotate_keys")({}, None)  # publishes what we were about to publish
        bare_world.clock.tick(7200)
        bare_world.cold("rotate_keys")({}, None)
        bare_world.clock.tick(-30 * DAY - 7200)

    rotate("create")
    first = published()
    bare_world.clock.tick(30 * DAY)
    bare_world.wire.order("PutParameter", overtake)
    rotate("schedule")
    assert published() == kids(bare_world)
    assert published()[0] not in first


def test_a_ring_that_others_keep_changing_is_given_up_for_now(bare_world: World, rotate: Rotate) -> None:
    def change() -> None:
        bare_world.change_ring("REFRESH_KEYS_SECRET", {})

    # Each of them moves a label too.
    bare_world.wire.order("UpdateSecretVersionStage", *[incident for _ in range(6) for incident in (change, None)])
    answer = rotate("create")
    assert answer is not None
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "The service is not available right now. Try again."


def test_a_document_that_others_make_stale_again_and_again_is_given_up_for_now(
    bare_world: World, rotate: Rotate
) -> None:
    rule = keyring.Rule("ES256", 30 * DAY, 900, keyring.generate)

    def change() -> None:
        bare_world.change_ring("SIGNING_KEYS_SECRET", json.loads(keyring.dump(keyring.kept(None, rule, 1))))

    rotate("create")
    change()
    bare_world.wire.order("PutParameter", *[change] * 20)
    with pytest.raises(Unavailable):
        rotate("schedule")
    bare_world.wire.heal()
    rotate("schedule")
    assert published() == kids(bare_world)
