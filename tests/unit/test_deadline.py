"""How much of the function's time is left."""

import contextlib
import math
import threading
from functools import partial
from types import SimpleNamespace

import pytest
from botocore.exceptions import ReadTimeoutError
from rolegate.deadline import RESERVE, Deadline, together, within
from rolegate.errors import Unavailable
from rolegate.stores import aws

from tests.conftest import Death, World


def context(milliseconds: int) -> object:
    return SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: milliseconds)


def test_without_lambdas_word_nothing_ends() -> None:
    deadline = Deadline(lambda: 7.0)
    assert deadline.left() == math.inf
    deadline.begin(None)
    assert deadline.left() == math.inf


def test_a_request_has_what_lambda_gives_it_less_what_the_answer_takes() -> None:
    now = [100.0]
    deadline = Deadline(lambda: now[0])
    for _ in range(2):  # the next one begins anew
        deadline.begin(context(8000))
        assert deadline.left() == pytest.approx(8 - RESERVE)
        now[0] += 5
        assert deadline.left() == pytest.approx(3 - RESERVE)
    deadline.begin(None)
    assert deadline.left() == math.inf


def test_what_is_done_in_time_gives_what_it_gives() -> None:
    assert within(60, lambda: 7) == 7
    with pytest.raises(ValueError, match="seven"):
        within(60, lambda: int("seven"))
    with pytest.raises(Death):
        within(60, die)


def test_what_takes_longer_is_given_up_and_goes_on_unheard() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def hang() -> None:
        may_end.wait()
        ended.set()

    for seconds in (0.01, 0, -1):
        with pytest.raises(TimeoutError):
            within(seconds, hang)
    may_end.set()
    assert ended.wait(60)


def die() -> None:
    raise Death


@pytest.mark.parametrize(("left", "asked"), [(aws.LONGEST + 0.001, True), (aws.LONGEST - 0.001, False)])
def test_a_call_begins_only_if_it_can_end_in_time(world: World, left: float, *, asked: bool) -> None:
    world.add_user()
    deadline = Deadline(lambda: 0.0)
    world.wire.calls.clear()
    table = aws.client("dynamodb", deadline)
    deadline.begin(context(round((left + RESERVE) * 1000)))
    with contextlib.nullcontext() if asked else pytest.raises(Unavailable):
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
    table = aws.client("dynamodb", deadline)
    world.wire.order("GetItem", hang, hang)
    deadline.begin(context(8000))
    with pytest.raises(Unavailable), aws.reached():
        table.get_item(TableName="users", Key={"username": {"S": "alice"}})
    assert len(begun) == tries


def test_calls_at_once_give_what_each_gives_in_order() -> None:
    met = threading.Barrier(3, timeout=30)  # they do run at once: else nobody would ever pass

    def call(number: int) -> int:
        met.wait()
        return number

    assert together(*(partial(call, number) for number in (3, 1, 2))) == [3, 1, 2]
    assert together() == []


def test_the_first_failure_of_calls_at_once_is_raised_when_all_have_ended() -> None:
    done: list[str] = []

    def fails(name: str) -> None:
        done.append(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        together(lambda: done.append("fine"), lambda: fails("first"), lambda: fails("second"))
    assert sorted(done) == ["fine", "first", "second"]
