"""The rules of a session, one by one, with nothing around them."""

import pytest
from rolegate import sessions
from rolegate.model import Caller, Presented, RefreshToken, Session, User
from rolegate.sessions import Policy, Verdict

from tests.conftest import LAPTOP, NOW, PHONE

WEEK, MONTH = 7 * 86_400, 30 * 86_400
POLICY = Policy(token_lifetime=WEEK, grace=30, rotations_per_late_retry=20, audiences=("rolegate", "reports"))
USER = User("alice", "user-1", "no hash", "user", "epoch-1", NOW, NOW, NOW)


def token(generation: int, *, lives: int = WEEK) -> RefreshToken:
    return RefreshToken(f"token-{generation}", "kid", generation, NOW, NOW + lives)


def presented(generation: int) -> Presented:
    return Presented(token(generation), "alice", "user-1", "session-1", NOW, NOW + MONTH)


def session(generation: int, **other: object) -> Session:
    """Return a session at this generation, rotated just now by the phone."""
    began = sessions.start(USER, "rolegate", PHONE, "kid", WEEK, MONTH, NOW)
    previous = f"token-{generation - 1}" if generation else None
    rotated = NOW if generation else None
    stands = began._replace(live=token(generation), previous_token_id=previous, rotated_at=rotated)
    return stands._replace(**other)  # type: ignore[arg-type] # a test names what it changes


def explain(
    stored: Session | None,
    generation: int,
    *,
    after: int = 0,
    caller: Caller = PHONE,
    policy: Policy = POLICY,
    tried: str = "token-tried",
) -> Verdict:
    ours = token(generation + 1)._replace(id=tried)
    return sessions.explain(stored, presented(generation), ours, USER, caller, policy, NOW + after)


def test_a_session_begins_with_the_users_epoch_a_first_token_and_an_absolute_end() -> None:
    began = sessions.start(USER, "reports", PHONE, "kid-1", WEEK, MONTH, NOW)
    assert (began.user_id, began.epoch, began.audience, began.caller) == ("user-1", "epoch-1", "reports", PHONE)
    assert began.live._replace(id="") == RefreshToken("", "kid-1", 0, NOW, NOW + WEEK)
    assert (began.auth_time, began.created_at, began.expires_at) == (NOW, NOW, NOW + MONTH)
    assert (began.amr, began.client_id) == (("pwd",), "rolegate")
    assert (began.previous_token_id, began.rotated_at, began.revoked_at) == (None, None, None)


def test_no_two_sessions_share_an_id_or_a_token() -> None:
    began = [sessions.start(USER, "rolegate", PHONE, "kid", WEEK, MONTH, NOW) for _ in range(100)]
    assert len({one.session_id for one in began}) == 100
    assert len({one.live.id for one in began}) == 100


def test_a_first_token_never_outlives_its_session() -> None:
    assert sessions.start(USER, "rolegate", PHONE, "kid", MONTH, WEEK, NOW).live.expires_at == NOW + WEEK


def test_a_successor_has_the_next_generation_a_new_id_and_a_full_life() -> None:
    after = sessions.successor(presented(4), "kid-2", WEEK, NOW + 900)
    assert after._replace(id="") == RefreshToken("", "kid-2", 5, NOW + 900, NOW + 900 + WEEK)
    assert after.id not in ("", "token-4")


def test_a_successor_never_outlives_the_session() -> None:
    assert sessions.successor(presented(4), "kid", WEEK, NOW + MONTH - 60).expires_at == NOW + MONTH


@pytest.mark.parametrize(("grace", "leeway", "window"), [(30, 31, 32), (60, 61, 62), (1, 2, 3), (0, 1, 0)])
def test_the_window_is_one_skew_wider_than_the_leeway_and_falls_away_with_the_grace(
    grace: int, leeway: int, window: int
) -> None:
    policy = POLICY._replace(grace=grace)
    assert (policy.leeway, policy.window) == (leeway, window)


def test_no_session_means_revoked() -> None:
    assert explain(None, 3) is Verdict.REVOKED


@pytest.mark.parametrize("change", [{"revoked_at": NOW}, {"epoch": "epoch-2"}, {"audience": "retired"}])
def test_an_ended_session_means_revoked_whatever_else_is_true(change: dict[str, object]) -> None:
    assert explain(session(3, expires_at=NOW, **change), 3) is Verdict.REVOKED
    assert explain(session(3, **change), 2, tried="token-3") is Verdict.REVOKED
    assert explain(session(3, **change), 1) is Verdict.REVOKED


def test_past_the_absolute_end_means_expired_even_for_our_own_write() -> None:
    assert explain(session(3, expires_at=NOW + 5), 2, after=4, tried="token-3") is Verdict.LANDED
    assert explain(session(3, expires_at=NOW + 5), 2, after=5, tried="token-3") is Verdict.EXPIRED
    assert explain(session(3, expires_at=NOW + 5), 1, after=5) is Verdict.EXPIRED


def test_a_live_token_past_its_end_means_expired() -> None:
    stands = session(3, live=token(3, lives=10))
    assert explain(stands, 3, after=9) is Verdict.AGAIN
    assert explain(stands, 3, after=10) is Verdict.EXPIRED
    assert explain(stands, 2, after=10) is Verdict.EXPIRED
    assert explain(stands, 1, after=10) is Verdict.EXPIRED


def test_the_token_that_we_just_tried_to_write_means_our_write_landed() -> None:
    assert explain(session(3), 2, tried="token-3") is Verdict.LANDED


def test_the_live_token_within_the_window_gets_the_same_answer_again() -> None:
    assert explain(session(3), 3, after=32) is Verdict.AGAIN


@pytest.mark.parametrize(("after", "verdict"), [(0, Verdict.AGAIN), (31, Verdict.AGAIN), (32, Verdict.LATE_RETRY)])
def test_the_previous_token_gets_the_successor_again_within_the_grace(after: int, verdict: Verdict) -> None:
    assert explain(session(3), 2, after=after) is verdict


def test_a_late_retry_is_forgiven_from_where_the_rotation_came_from() -> None:
    assert explain(session(3), 2, after=86_400) is Verdict.LATE_RETRY
    assert explain(session(3), 2, after=86_400, caller=LAPTOP) is Verdict.REUSED


@pytest.mark.parametrize(
    "caller", [Caller(PHONE.source_ip, LAPTOP.user_agent), Caller(LAPTOP.source_ip, PHONE.user_agent)]
)
def test_a_late_retry_is_forgiven_when_only_the_network_or_only_the_agent_changed(caller: Caller) -> None:
    assert explain(session(3), 2, after=86_400, caller=caller) is Verdict.LATE_RETRY


def test_a_late_retry_forgiven_for_this_very_generation_gets_the_successor_again() -> None:
    assert explain(session(3, late_retry_generation=3), 2, after=86_400) is Verdict.AGAIN


@pytest.mark.parametrize(("since", "verdict"), [(1, Verdict.REUSED), (19, Verdict.REUSED), (20, Verdict.LATE_RETRY)])
def test_a_late_retry_is_forgiven_once_in_twenty_rotations(since: int, verdict: Verdict) -> None:
    assert explain(session(30, late_retry_generation=30 - since), 29, after=86_400) is verdict


def test_late_retries_turned_off_are_never_forgiven() -> None:
    policy = POLICY._replace(rotations_per_late_retry=0)
    assert explain(session(3), 2, after=31, policy=policy) is Verdict.AGAIN
    assert explain(session(3), 2, after=32, policy=policy) is Verdict.REUSED


def test_without_a_grace_even_the_fastest_retry_is_a_late_one() -> None:
    policy = POLICY._replace(grace=0)
    assert explain(session(3), 2, policy=policy) is Verdict.LATE_RETRY
    assert explain(session(3), 2, policy=policy._replace(rotations_per_late_retry=0)) is Verdict.REUSED


@pytest.mark.parametrize(("age", "verdict"), [(0, Verdict.AHEAD), (59, Verdict.AHEAD), (60, Verdict.STATE_LOST)])
def test_a_twin_of_the_live_generation_is_of_before_a_restore(age: int, verdict: Verdict) -> None:
    assert explain(session(3, live=token(3)._replace(id="another")), 3, after=age) is verdict


@pytest.mark.parametrize(("age", "verdict"), [(0, Verdict.AHEAD), (59, Verdict.AHEAD), (60, Verdict.STATE_LOST)])
def test_a_token_ahead_of_the_table_is_asked_to_wait_a_minute_and_then_given_up(age: int, verdict: Verdict) -> None:
    assert explain(session(3), 4, after=age) is verdict


@pytest.mark.parametrize("generation", [0, 1])
def test_a_token_two_generations_old_is_a_spent_one(generation: int) -> None:
    assert explain(session(3), generation) is Verdict.REUSED


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.44", "192.0.2.45", False),
        ("2001:db8:40:1::7", "2001:db8:40:1:ffff::1", True),
        ("2001:db8:40:1::7", "2001:db8:40:2::7", False),
        ("no:address", "no:address", True),
        ("", "", True),
    ],
)
def test_a_network_is_an_ipv4_address_or_half_an_ipv6_one(first: str, second: str, *, same: bool) -> None:
    stands = session(3, caller=Caller(first, "one agent"))
    assert sessions.elsewhere(stands, Caller(second, "another agent")) is not same
    assert not sessions.elsewhere(stands, Caller(second, "one agent"))
