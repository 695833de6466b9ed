import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import attempts
from rolegate.attempts import Limit, Limiter, Limits, Reservation
from rolegate.model import Caller

NOW = 1_800_000_000
HOME = Caller("192.0.2.44")
TEN = Limit(10, 900)


def reservation(at: int = NOW, succeeded_at: int | None = None) -> Reservation:
    return Reservation(Limiter("key", TEN, 9000), "id", at, succeeded_at=succeeded_at)


def test_the_limits_are_those_of_the_design() -> None:
    assert Limits(Limit(10, 900), Limit(100, 900), Limit(100, 10)) == attempts.DEFAULT


@given(st.integers(1, 200), st.integers(1, 1000), st.lists(st.integers(0, 3000), max_size=60))
def test_a_burst_and_then_one_in_so_many_seconds_is_all_there_ever_is(
    burst: int, seconds: int, pauses: list[int]
) -> None:
    """Play the rule; in no stretch of time are there more than the burst and what it has time for."""
    limit, tat, now = Limit(burst, seconds), 0, NOW
    made: list[int] = []
    for pause in [0] * (burst + 1) + pauses:
        now += pause
        if attempts.retry_after(tat, limit, now) <= 0:
            tat = max(tat, now) + seconds
            made.append(now)
    assert made[:burst] == [NOW] * burst
    for first in range(len(made)):
        for last in range(first, len(made)):
            assert last - first + 1 <= burst + (made[last] - made[first]) // seconds


def test_whoever_waits_as_long_as_told_has_room() -> None:
    tat = NOW + 10 * 900
    wait = attempts.retry_after(tat, TEN, NOW)
    assert wait == 900
    assert attempts.retry_after(tat, TEN, NOW + wait) == 0


@pytest.mark.parametrize(("age", "refund"), [(-5, 900), (0, 900), (1, 899), (899, 1), (900, 0), (5000, 0)])
def test_a_right_guess_gives_back_what_has_not_run_out_by_itself(age: int, refund: int) -> None:
    assert reservation().refund(NOW + age) == refund


@pytest.mark.parametrize(("age", "refund"), [(0, 900), (1800, 900), (1801, 899), (2699, 1), (2700, 0)])
def test_the_time_of_a_guess_runs_only_after_that_of_those_before_it(age: int, refund: int) -> None:
    assert reservation()._replace(backlog=1800).refund(NOW + age) == refund


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=12), st.integers(0, 11))
def test_without_a_guess_the_limiter_would_be_no_further_than_after_its_refund(
    others: list[tuple[int, int]], place: int
) -> None:
    """Play two limiters, one without the guess that is given back: the refund leaves nobody more than they had."""
    ours = place % len(others)
    with_it, without, now = NOW, NOW, NOW
    made = reservation()
    for turn, (pause, more) in enumerate(others):
        now += pause
        if turn == ours:
            made = Reservation(Limiter("key", Limit(10, 20), 200), "id", now, backlog=max(with_it - now, 0))
            with_it = max(with_it, now) + 20
        else:
            with_it, without = max(with_it, now) + 20, max(without, now) + 20
        now += more
    assert max(with_it - made.refund(now), now) >= max(without, now)


def test_a_network_is_known_for_30_days_after_a_sign_in() -> None:
    assert not reservation().is_trusted(NOW)
    day = 86_400
    assert reservation(succeeded_at=NOW).is_trusted(NOW + 30 * day - 1)
    assert not reservation(succeeded_at=NOW).is_trusted(NOW + 30 * day)


def test_a_limiter_has_a_hash_for_a_key_whatever_the_name() -> None:
    for name in ("alice", "a" * 10_000, "\ud800", "", "\0", "user\0alice"):
        guess = attempts.guess(name, HOME, attempts.DEFAULT)
        assert len({limiter.key for limiter in guess}) == 3
        assert all(len(limiter.key) == 64 for limiter in guess)


def keys(name: str, address: str) -> tuple[str, ...]:
    return tuple(limiter.key for limiter in attempts.guess(name, Caller(address), attempts.DEFAULT))


def test_a_name_is_one_however_it_is_typed() -> None:
    assert keys(" Alice ", "192.0.2.44") == keys("alice", "192.0.2.44")
    assert keys("alice", "192.0.2.44")[0] != keys("bob", "192.0.2.44")[0]
    assert keys("alice", "192.0.2.44")[1] != keys("bob", "192.0.2.44")[1]
    assert keys("alice", "192.0.2.44")[2] == keys("bob", "192.0.2.44")[2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.44", "192.0.2.45", (False, True, False)),
        ("2001:db8:40:1::7", "2001:db8:40:1:ffff::9", (True, True, True)),
        ("2001:db8:40:1::7", "2001:0DB8:0040:0001:0:0:0:7", (True, True, True)),
        ("2001:db8:40:1::7", "2001:db8:40:2::7", (False, True, True)),
        ("2001:db8:40:1::7", "2001:db8:41:1::7", (False, True, False)),
        ("192.0.2.44", "::ffff:192.0.2.44", (True, True, True)),
        ("::ffff:192.0.2.44", "::ffff:192.0.2.45", (False, True, False)),
        ("no address", "another", (False, True, False)),
        ("no:address", "no:address", (True, True, True)),
    ],
)
def test_a_network_is_an_ipv4_address_or_64_bits_of_an_ipv6_one_and_48_over_all_names(
    one: str, other: str, same: tuple[bool, ...]
) -> None:
    found = zip(keys("alice", one), keys("alice", other), strict=True)
    assert tuple(first == second for first, second in found) == same


def test_a_state_outlives_what_it_says() -> None:
    pair, user, network = attempts.guess("alice", HOME, attempts.DEFAULT)
    assert (pair.lifetime, user.lifetime, network.lifetime) == (30 * 86_400, 90_000, 1000)
