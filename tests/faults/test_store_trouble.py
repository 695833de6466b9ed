"""A store in trouble: a bounded retry, then 503 with Retry-After, the state intact and nobody signed out."""

import itertools
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import botocore.endpoint
import pytest
from botocore.exceptions import ReadTimeoutError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from rolegate import bootstrap
from rolegate.deadline import RESERVE, Deadline
from rolegate.stores import aws

from tests.conftest import (
    PASSWORD,
    Answer,
    Fault,
    Logs,
    World,
    claims,
    client,
    rest_event,
    template,
)
from tests.faults.proxy import Loss, Proxy

UNAVAILABLE = (503, "unavailable", "The service is not available right now. Try again.")


@pytest.fixture
def token(world: World) -> str:
    world.add_user()
    token: str = world.login()["refresh_token"]
    world.logout(world.login()["refresh_token"])
    world.clock.tick(900)
    world.wire.heal()
    return token


def ask(world: World, function: str, token: str) -> Answer:
    bodies = {"login": {"username": "alice", "password": PASSWORD}}
    return world.post(function, bodies.get(function, {"refresh_token": token}))


# Over real connections


@pytest.fixture
def far_token(far_world: World, proxy: Proxy) -> str:
    far_world.add_user()
    token: str = far_world.login()["refresh_token"]
    token = far_world.rotate(token)
    far_world.clock.tick(900)
    proxy.heal()
    return token


@pytest.mark.parametrize("loss", [Loss.RESET, Loss.SILENCE])
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_a_connection_that_breaks_or_falls_silent_is_tried_again_then_503(
    far_world: World, proxy: Proxy, far_token: str, operation: str, loss: Loss
) -> None:
    before = far_world.stored()
    proxy.order(operation, loss, loss)
    answer = far_world.refresh(far_token)
    assert (answer.problem, answer.headers["Retry-After"]) == (UNAVAILABLE, "1")
    assert far_world.stored() == before
    proxy.order(operation, loss)
    assert far_world.refresh(far_token).status == 200


def test_connections_that_died_while_the_function_was_frozen_are_made_anew(
    far_world: World, proxy: Proxy, far_token: str
) -> None:
    proxy.cut()
    second = far_world.refresh(far_token)
    assert second.status == 200
    proxy.cut()
    assert far_world.logout(second.body["refresh_token"]).status == 200


def test_a_logout_that_the_store_never_heard_of_is_no_success(far_world: World, proxy: Proxy, far_token: str) -> None:
    far_world.logout(far_world.login()["refresh_token"])
    proxy.order("UpdateItem", Loss.SILENCE, Loss.RESET)
    assert far_world.logout(far_token).problem == UNAVAILABLE
    assert far_world.refresh(far_token).status == 200


def test_a_connection_that_went_silent_while_the_function_was_frozen_costs_one_try(
    far_world: World, proxy: Proxy, far_token: str
) -> None:
    proxy.deafen()
    assert far_world.refresh(far_token).status == 200
    assert far_world.session(far_token)["generation"] == claims(far_token)["gen"] + 1


# No call outlives its function


def test_an_answer_that_drips_is_given_up_before_lambda_ends_the_function(
    far_world: World, proxy: Proxy, far_token: str, logs: Logs
) -> None:
    """No limit of the SDK's is ever reached: each is for one read, and a line comes every tenth of a second."""
    before = far_world.stored()
    proxy.order("GetItem", Loss.DRIP)
    event = rest_event("/refresh", json.dumps({"refresh_token": far_token}))
    left = round(1000 * (aws.LONGEST + RESERVE + 0.5))
    context = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: left)
    answer = far_world.handler("refresh")(event, context)
    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "1")
    assert [(failure["error"], failure["cause"]) for failure in logs.events("failure")] == [
        ("Unavailable", "TimeoutError")
    ]
    assert far_world.stored() == before
    assert far_world.refresh(far_token).status == 200


def timeouts() -> Iterator[tuple[str, int]]:
    """Yield the functions that clients wait for, with the time-out in seconds that the template gives them."""
    document = template()
    usual = document["Globals"]["Function"]["Timeout"]
    for function in ("refresh", "logout", "login"):
        properties = document["Resources"][f"{function.capitalize()}Function"]["Properties"]
        yield function, properties.get("Timeout", usual)


@pytest.mark.parametrize(("function", "seconds"), list(timeouts()))
@pytest.mark.parametrize("warm", [True, False])
def test_no_call_outlives_its_function_whatever_hangs(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch, function: str, seconds: int, *, warm: bool
) -> None:
    """Every try of the store may hang to its own end; the answer is there before Lambda ends the function."""
    passed = [0.0]

    def pause(_seconds: float) -> None:
        passed[0] += aws.PAUSE

    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=pause))
    deadline = Deadline(lambda: passed[0])
    monkeypatch.setattr(bootstrap, "_deadline", lambda: deadline)

    def hang() -> None:
        passed[0] += aws.CONNECT + aws.ANSWER
        raise ReadTimeoutError(endpoint_url="https://dynamodb.example.com")

    def stall() -> None:
        passed[0] += aws.ANSWER - 0.1

    context = SimpleNamespace(
        aws_request_id="request-1", get_remaining_time_in_millis=lambda: int((seconds - passed[0]) * 1000)
    )
    body = {"username": "alice", "password": PASSWORD} if function == "login" else {"refresh_token": token}
    event = rest_event(f"/{function}", json.dumps(body))
    outcomes = set()
    for incidents in itertools.product([None, stall, hang], repeat=3):
        handler = world.cold(function)
        if warm:
            handler(event, None)
            world.clock.tick(60)
        passed[0] = 0.0
        for operation in ("GetSecretValue", "GetItem", "PutItem", "UpdateItem"):
            world.wire.order(operation, *incidents)
        answer = handler(event, context)
        world.wire.heal()
        outcomes.add(answer["statusCode"])
        assert answer["statusCode"] in (200, 503)
        assert passed[0] <= seconds - RESERVE
    assert outcomes == {200, 503}


# What passes by no means by itself


def table_gone(world: World, table: str) -> None:
    client("dynamodb").delete_table(TableName=world.settings[table])


def secret_gone(world: World, secret: str) -> None:
    client("secretsmanager").delete_secret(SecretId=world.settings[secret], ForceDeleteWithoutRecovery=True)


def no_ring(world: World, secret: str) -> None:
    world.change_secret(secret, '{"current": "nonsense"}')


def spoilt_key(world: World, secret: str) -> None:
    """Leave everything of the ring in its form but the key that signs."""
    ring = world.ring(secret)
    world.change_secret(secret, json.dumps({**ring, "current": {**ring["current"], "secret": "nonsense"}}))


def public_half(world: World, secret: str) -> None:
    """Put the public half of the key that signs where its private half belongs."""
    ring = world.ring(secret)
    private = load_pem_private_key(ring["current"]["secret"].encode(), None)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    world.change_secret(secret, json.dumps({**ring, "current": {**ring["current"], "secret": pem}}))


def no_permission(world: World, operation: str) -> None:
    world.wire.order(operation, Fault.REFUSED)


SIGNING, REFRESH = "SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET"
LASTING: list[tuple[str, Callable[[World, str], None], str, str]] = [
    ("refresh", table_gone, "USERS_TABLE", "AWS refused GetItem: ResourceNotFoundException."),
    ("refresh", table_gone, "SESSIONS_TABLE", "AWS refused UpdateItem: ResourceNotFoundException."),
    ("logout", table_gone, "SESSIONS_TABLE", "AWS refused UpdateItem: ResourceNotFoundException."),
    ("login", table_gone, "USERS_TABLE", "AWS refused GetItem: ResourceNotFoundException."),
    ("login", table_gone, "SESSIONS_TABLE", "AWS refused PutItem: ResourceNotFoundException."),
    ("refresh", no_permission, "GetItem", "AWS refused GetItem: AccessDeniedException."),
    ("refresh", no_permission, "UpdateItem", "AWS refused UpdateItem: AccessDeniedException."),
    ("refresh", no_permission, "GetSecretValue", "AWS refused GetSecretValue: AccessDeniedException."),
    ("logout", no_permission, "UpdateItem", "AWS refused UpdateItem: AccessDeniedException."),
    ("login", no_permission, "PutItem", "AWS refused PutItem: AccessDeniedException."),
    *((function, secret_gone, REFRESH, "The secret is gone, or has no value") for function in ("refresh", "logout")),
    *((function, secret_gone, SIGNING, "The secret is gone, or has no value") for function in ("refresh", "login")),
    *((function, no_ring, REFRESH, "The secret does not hold a key ring.") for function in ("refresh", "logout")),
    *((function, no_ring, SIGNING, "The secret does not hold a key ring.") for function in ("refresh", "login")),
    *((function, spoilt_key, REFRESH, "The secret does not hold a key ring.") for function in ("refresh", "logout")),
    *((function, spoilt_key, SIGNING, "The signing key") for function in ("refresh", "login")),
    *((function, public_half, SIGNING, "The signing key") for function in ("refresh", "login")),
]


@pytest.mark.parametrize(("function", "trouble", "where", "reason"), LASTING)
def test_what_an_operator_must_mend_is_503_with_its_cause_in_the_log_alone(
    world: World,
    token: str,
    logs: Logs,
    function: str,
    trouble: Callable[[World, str], None],
    where: str,
    reason: str,
) -> None:
    sessions = client("dynamodb").scan(TableName=world.settings["SESSIONS_TABLE"])["Items"]
    trouble(world, where)
    world.restart(function)
    answer = ask(world, function, token)
    assert (answer.problem, answer.headers["Retry-After"]) == (UNAVAILABLE, "30")
    assert set(answer.body) == {"type", "title", "status", "detail", "code"}
    (failure,) = logs.events("failure")
    assert failure["reason"].startswith(reason)
    assert PASSWORD not in logs.text
    assert token not in logs.text
    if where != "SESSIONS_TABLE":
        assert client("dynamodb").scan(TableName=world.settings["SESSIONS_TABLE"])["Items"] == sessions


def test_nobody_was_signed_out_while_a_permission_was_missing(world: World, token: str) -> None:
    world.wire.order("UpdateItem", *[Fault.REFUSED] * 3)
    assert [world.refresh(token).status for _ in range(3)] == [503] * 3
    assert world.refresh(token).status == 200


def test_no_function_but_an_authorizer_may_make_a_call_that_can_leave_keys_unprocessed() -> None:
    """Only batches do (BatchGetItem, BatchWriteItem); a single item is there, or is not, or the call failed.

    An authorizer's one batch, which stands under a condition, asks again (test_standings.py).
    """
    actions: list[str] = []
    for resource in template()["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                for statement in filter(None, policy["PolicyDocument"]["Statement"]):
                    given = statement["Action"]
                    actions += [given] if isinstance(given, str) else given
    assert any(action == "dynamodb:UpdateItem" for action in actions)
    assert not [action for action in actions if "Batch" in action or "PartiQL" in action or "*" in action]
