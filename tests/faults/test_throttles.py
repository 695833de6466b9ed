"""A store that throttles, meets conflicts or fails: one more try, then 503 with Retry-After, and the state intact."""

import pytest
from rolegate import endings, errors

from tests.conftest import PASSWORD, Answer, Logs, Refusal, World, claims
from tests.faults.conftest import AUDIT, users_of

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
PASSING = [
    Refusal(400, "ProvisionedThroughputExceededException"),
    Refusal(400, "ThrottlingException"),
    Refusal(400, "RequestLimitExceeded"),
    Refusal(500, "InternalServerError"),
    Refusal(503, "ServiceUnavailable"),
    Refusal(400, "TransactionConflictException"),
    Refusal(400, "TransactionInProgressException"),
    Refusal(400, "ReplicatedWriteConflictException"),
]
CANCELED = [
    Refusal(400, "TransactionCanceledException", {"CancellationReasons": [{"Code": "None"}, {"Code": reason}]})
    for reason in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
]


def named(refusal: Refusal) -> str:
    return " ".join([refusal.code, *(reason["Code"] for reason in refusal.more.get("CancellationReasons", ())[1:])])


ASKED = [
    ("refresh", "GetSecretValue"),
    ("refresh", "GetItem"),
    ("refresh", "UpdateItem"),
    ("logout", "UpdateItem"),
    ("login", "PutItem"),
]
# Every trouble of the one write, and one trouble of every call: what counts as trouble is told in one place.
troubled = pytest.mark.parametrize(
    ("function", "operation", "refusal"),
    [("refresh", "UpdateItem", refusal) for refusal in PASSING] + [(*asked, PASSING[1]) for asked in ASKED],
    ids=lambda value: named(value) if isinstance(value, Refusal) else value,
)
UNAVAILABLE = (503, "unavailable", "The service is not available right now. Try again.")


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


@pytest.fixture
def token(world: World) -> str:
    world.add_user(name := f"user-{world.clock.now}")
    token: str = world.login(name)["refresh_token"]
    world.logout(world.login(name)["refresh_token"])
    world.clock.tick(900)
    world.wire.heal()
    return token


def ask(world: World, function: str, token: str) -> Answer:
    bodies = {"login": {"username": claims(token)["sub"], "password": PASSWORD}}
    return world.post(function, bodies.get(function, {"refresh_token": token}))


@troubled
def test_one_passing_trouble_is_made_good_by_the_second_try(
    world: World, token: str, function: str, operation: str, refusal: Refusal
) -> None:
    world.restart(function)  # for the keys' sake
    world.wire.order(operation, refusal)
    assert ask(world, function, token).status == 200
    assert world.wire.calls.count(operation) == (3 if operation == "GetSecretValue" else 2)  # of two rings


@troubled
def test_a_trouble_that_lasts_is_503_and_changes_nothing(
    world: World, token: str, function: str, operation: str, refusal: Refusal, logs: Logs
) -> None:
    before = world.stored()
    world.wire.heal()
    world.restart(function)
    world.wire.order(operation, refusal, refusal)
    answer = ask(world, function, token)
    assert (answer.problem, answer.headers["Retry-After"]) == (UNAVAILABLE, "1")
    assert world.wire.calls.count(operation) == 2
    assert world.stored() == before
    (failure,) = logs.events("failure")
    assert failure["aws_error"] == refusal.code
    assert PASSWORD not in logs.text + answer.text
    assert claims(world.refresh(token).body["refresh_token"])["gen"] == 1


@pytest.mark.parametrize("refusal", [*PASSING, *CANCELED], ids=named)
def test_a_transaction_in_trouble_is_tried_twice(world: World, token: str, refusal: Refusal) -> None:
    table, before = users_of(world), world.stored()
    world.wire.order("TransactWriteItems", refusal, refusal)
    with pytest.raises(errors.Unavailable):
        endings.delete(claims(token)["sub"], table, AUDIT, world.clock.now)
    assert world.stored() == before
    assert world.refresh(token).status == 200
    world.wire.heal()
    world.wire.order("TransactWriteItems", refusal)
    endings.delete(claims(token)["sub"], table, AUDIT, world.clock.now)
    assert world.wire.calls == ["GetItem", "TransactWriteItems", "TransactWriteItems"]
