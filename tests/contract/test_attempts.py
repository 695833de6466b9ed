"""Limiters, over every AWS: exact, however many come at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from rolegate.attempts import Limit, Limiter, Reservation
from rolegate.stores import items

from tests.conftest import NOW
from tests.contract.conftest import Stores

IDS = count()
LIMITER = Limiter("a hash", Limit(10, 900), 9000)


@pytest.fixture
def guess(stores: Stores) -> Callable[..., Reservation]:
    def guess(now: int = NOW, limiter: Limiter = LIMITER) -> Reservation:
        return stores.attempts.reserve(limiter, f"guess-{next(IDS)}", now)

    return guess


def stored(stores: Stores) -> dict[str, object]:
    key = items.item({"limiter": LIMITER.key})
    found = stores.clients.dynamodb.get_item(TableName=stores.names["attempts"], Key=key, ConsistentRead=True)
    return items.plain(found["Item"])


def test_a_burst_is_counted_and_then_there_is_room_in_so_many_seconds(guess: Callable[..., Reservation]) -> None:
    assert [guess().is_counted for _ in range(10)] == [True] * 10
    assert [guess(NOW + age).retry_after for age in (0, 0, 1, 899)] == [900, 900, 899, 1]
    assert guess(NOW + 900).is_counted
    assert guess(NOW + 900).retry_after == 900


def test_a_limiter_that_came_to_rest_has_a_whole_burst_again(guess: Callable[..., Reservation]) -> None:
    for _ in range(11):
        guess()
    later = NOW + 10 * 900
    assert [guess(later).is_counted for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize("made", [0, 3, 9])
def test_a_crowd_gets_exactly_what_is_left(
    guess: Callable[..., Reservation], crowd: ThreadPoolExecutor, made: int
) -> None:
    for _ in range(made):
        guess()
    answers = [future.result() for future in [crowd.submit(guess) for _ in range(60)]]
    assert sum(answer.is_counted for answer in answers) == 10 - made
    assert {answer.retry_after for answer in answers} == {0, 900}


def test_one_at_a_time_is_a_limit_too(guess: Callable[..., Reservation], crowd: ThreadPoolExecutor) -> None:
    once = Limiter("another hash", Limit(1, 60), 60)
    answers = [future.result() for future in [crowd.submit(guess, NOW, once) for _ in range(20)]]
    assert sum(answer.is_counted for answer in answers) == 1


def test_what_is_given_back_can_be_used_again_and_nothing_more(
    stores: Stores, guess: Callable[..., Reservation]
) -> None:
    made = [guess() for _ in range(10)]
    for one in made[:3]:
        stores.attempts.give_back(one, NOW)
        stores.attempts.give_back(one, NOW)  # the same one is not twice
    assert [guess().is_counted for _ in range(4)] == [True] * 3 + [False]


def test_a_guess_that_ran_out_by_itself_gives_nothing_back(stores: Stores, guess: Callable[..., Reservation]) -> None:
    first = guess()
    for _ in range(10):
        guess(NOW + 900)
    stores.attempts.give_back(first, NOW + 900)
    assert not guess(NOW + 900).is_counted


def test_two_hundred_right_guesses_in_a_row_leave_the_budget_as_it_was(
    stores: Stores, guess: Callable[..., Reservation]
) -> None:
    for turn in range(200):
        stores.attempts.succeeded(guess(NOW + turn // 3), NOW + turn // 3 + 1)
    assert [guess(NOW + 70).is_counted for _ in range(11)] == [True] * 10 + [False]


def test_a_success_is_remembered(stores: Stores, guess: Callable[..., Reservation]) -> None:
    one = guess()
    assert one.succeeded_at is None
    stores.attempts.succeeded(one, NOW)
    assert guess(NOW + 5).succeeded_at == NOW
    assert guess(NOW + 6).succeeded_at == NOW  # within a burst as well


def test_a_limiter_that_is_forgiven_begins_anew_and_still_knows_a_success(
    stores: Stores, guess: Callable[..., Reservation]
) -> None:
    stores.attempts.succeeded(guess(), NOW)
    pending = [guess() for _ in range(11)]
    stores.attempts.forgive(LIMITER)
    stores.attempts.give_back(pending[0], NOW)  # what was under way meanwhile adds nothing
    again = [guess() for _ in range(11)]
    assert [one.is_counted for one in again] == [True] * 10 + [False]
    assert again[0].succeeded_at == NOW
    stores.attempts.forgive(Limiter("nobody's", LIMITER.limit, 9000))


def test_an_item_knows_when_it_may_go(stores: Stores, guess: Callable[..., Reservation]) -> None:
    guess()
    assert stored(stores)["expires_at"] == NOW + 9000
    guess(NOW + 7)
    assert stored(stores)["expires_at"] == NOW + 9007
    assert set(stored(stores)) == {"limiter", "tat", "guess_id", "expires_at"}
