"""How much of the function's time is left."""

import math
from types import SimpleNamespace

import pytest
from botocore.exceptions import ReadTimeoutError
from rolegate.deadline import Deadline
from rolegate.errors import Unavailable
from rolegate.stores import aws

from tests.conftest import World


def context(milliseconds: int) -> object:
    return SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: milliseconds)


def test_without_lambdas_word_nothing_ends() -> None:
    deadline = Deadline(lambda: 7.0)
    assert deadline.left() == math.inf
    deadline.begin(None)
    assert deadline.left() == math.inf


def test_a_request_has_what_lambda_gives_it_and_the_next_one_begins_anew() -> None:
    now = [100.0]
    deadline = Deadline(lambda: now[0])
    deadline.begin(context(8000))
    now[0] += 5
    assert deadline.left() == pytest.approx(3)
    deadline.begin(context(8000))
    assert deadline.left() == pytest.approx(8)
    deadline.begin(None)
    assert deadline.left() == math.inf


@pytest.mark.parametrize(("left", "asked"), [(aws.LONGEST + 0.001, True), (aws.LONGEST - 0.001, False)])
def test_a_call_begins_only_if_it_can_end_in_time(world: World, left: float, *, asked: bool) -> None:
    world.add_user()
    deadline = Deadline(lambda: 0.0)
    deadline.begin(context(round(left * 1000)))
    world.wire.calls.clear()
    table = aws.client("dynamodb", deadline)
    if asked:
        table.get_item(TableName="users", Key={"username": {"S": "alice"}})
    else:
        with pytest.raises(Unavailable):
            table.get_item(TableName="users", Key={"username": {"S": "alice"}})
    assert world.wire.calls == ["GetItem"] * asked


@pytest.mark.parametrize(("hangs", "tries"), [(4, 2), (5, 1)])
def test_a_second_try_too_begins_only_if_it_can_end_in_time(world: World, hangs: int, tries: int) -> None:
    now, begun = [0.0], []

    def hang() -> None:
        begun.append(now[0])
        now[0] += hangs
        raise ReadTimeoutError(endpoint_url="https://dynamodb.example.com")

    deadline = Deadline(lambda: now[0])
    deadline.begin(context(8000))
    world.wire.order("GetItem", hang, hang)
    with pytest.raises(Unavailable), aws.reached():
        aws.client("dynamodb", deadline).get_item(TableName="users", Key={"username": {"S": "alice"}})
    assert len(begun) == tries
