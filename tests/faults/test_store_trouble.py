"""A store in trouble: a bounded retry, then 503 with Retry-After, the state intact and nobody signed out."""

import itertools
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.exceptions import ReadTimeoutError
from rolegate import bootstrap
from rolegate.deadline import Deadline
from rolegate.stores import aws

from tests.conftest import (
    PASSWORD,
    Answer,
    Fault,
    Logs,
    World,
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


# No call outlives its function


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
        assert passed[0] <= seconds - 0.2
    assert outcomes == {200, 503}


# What passes by no means by itself


def missing_table(world: World) -> None:
    client("dynamodb").delete_table(TableName=world.settings["SESSIONS_TABLE"])


def secret_without_its_ring(world: World) -> None:
    world.change_secret("REFRESH_KEYS_SECRET", '{"current": "nonsense"}')


def secret_gone(world: World) -> None:
    client("secretsmanager").delete_secret(
        SecretId=world.settings["REFRESH_KEYS_SECRET"], ForceDeleteWithoutRecovery=True
    )


def no_permission(world: World) -> None:
    world.wire.order("UpdateItem", Fault.REFUSED)


def no_permission_for_keys(world: World) -> None:
    world.wire.order("GetSecretValue", Fault.REFUSED)


LASTING = {
    missing_table: "AWS refused UpdateItem: ResourceNotFoundException.",
    secret_without_its_ring: "The secret does not hold a key ring.",
    secret_gone: "The secret is gone, or has no value",
    no_permission: "AWS refused UpdateItem: AccessDeniedException.",
    no_permission_for_keys: "AWS refused GetSecretValue: AccessDeniedException.",
}


@pytest.mark.parametrize("trouble", LASTING)
@pytest.mark.parametrize("function", ["refresh", "logout"])
def test_what_an_operator_must_mend_is_503_with_its_cause_in_the_log_alone(
    world: World, token: str, logs: Logs, function: str, trouble: Any
) -> None:
    trouble(world)
    world.restart(function)
    answer = ask(world, function, token)
    assert answer.problem == UNAVAILABLE
    assert int(answer.headers["Retry-After"]) in (1, 30)
    assert set(answer.body) == {"type", "title", "status", "detail", "code"}
    (failure,) = logs.events("failure")
    assert failure["reason"].startswith(LASTING[trouble])
    assert PASSWORD not in logs.text
    assert token not in logs.text


def test_nobody_was_signed_out_while_a_permission_was_missing(world: World, token: str) -> None:
    world.wire.order("UpdateItem", *[Fault.REFUSED] * 3)
    assert [world.refresh(token).status for _ in range(3)] == [503] * 3
    assert world.refresh(token).status == 200


def test_no_function_may_make_a_call_that_can_leave_keys_unprocessed() -> None:
    """Only batches do (BatchGetItem, BatchWriteItem); a single item is there, or is not, or the call failed."""
    actions: list[str] = []
    for resource in template()["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    given = statement["Action"]
                    actions += [given] if isinstance(given, str) else given
    assert any(action == "dynamodb:UpdateItem" for action in actions)
    assert not [action for action in actions if "Batch" in action or "PartiQL" in action or "*" in action]
