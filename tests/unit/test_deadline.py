"""How much of the function's time is left."""

import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from botocore.exceptions import ReadTimeoutError
from rolegate.deadline import RESERVE, Deadline, TimeIsUp
from rolegate.errors import Unavailable
from rolegate.stores import aws

from tests.conftest import World


def context(milliseconds: int) -> object:
    return SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: milliseconds)


def test_without_lambdas_word_nothing_ends() -> None:
    deadline = Deadline(lambda: 7.0)
    assert deadline.left() == math.inf
    with deadline.running(None):
        assert deadline.left() == math.inf


def test_a_request_has_what_lambda_gives_it_less_what_the_answer_takes() -> None:
    now = [100.0]
    deadline = Deadline(lambda: now[0])
    for _ in range(2):  # the next one begins anew
        with deadline.running(context(8000)):
            assert deadline.left() == pytest.approx(8 - RESERVE)
            now[0] += 5
            assert deadline.left() == pytest.approx(3 - RESERVE)
        assert deadline.left() == math.inf


def test_what_takes_longer_is_ended_whatever_it_catches() -> None:
    with pytest.raises(TimeIsUp), Deadline().running(context(500)), contextlib.suppress(Exception):
        time.sleep(5)


def test_what_ended_in_time_is_left_alone_afterwards() -> None:
    for error in (None, KeyError):
        with contextlib.suppress(KeyError), Deadline().running(context(450)):
            if error:
                raise error
        time.sleep(0.1)  # longer than was left


def test_in_another_thread_only_new_calls_are_refused() -> None:
    """Nothing can end what another thread does; Lambda calls handlers in the main one."""

    def left() -> float:
        with Deadline(lambda: 0.0).running(context(8000)) as _:
            time.sleep(0.01)
            return 1.0

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(left).result() == 1.0


@pytest.mark.parametrize(("left", "asked"), [(aws.LONGEST + 0.001, True), (aws.LONGEST - 0.001, False)])
def test_a_call_begins_only_if_it_can_end_in_time(world: World, left: float, *, asked: bool) -> None:
    world.add_user()
    deadline = Deadline(lambda: 0.0)
    world.wire.calls.clear()
    table = aws.client("dynamodb", deadline)
    refused = contextlib.nullcontext() if asked else pytest.raises(Unavailable)
    with deadline.running(context(round((left + RESERVE) * 1000))), refused:
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
    with deadline.running(context(8000)), pytest.raises(Unavailable), aws.reached():
        table.get_item(TableName="users", Key={"username": {"S": "alice"}})
    assert len(begun) == tries
