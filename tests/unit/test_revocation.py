from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import revocation
from rolegate.errors import Unavailable
from rolegate.revocation import Check, Holder, Kept

NOW = 1_800_000_000
CLAIMS = {"username": "alice", "uid": "u1", "sid": "s1", "role": "manager", "iat": NOW - 100}
HOLDER = Holder(user_id="u1", role="manager", session_epoch="e1", may_sign_in=True)
KEPT = Kept(epoch="e1", expires_at=NOW + 1, is_revoked=False)


def test_a_session_that_stands_has_its_users_role_of_now() -> None:
    assert revocation.role_now(CLAIMS, HOLDER, KEPT, NOW) == "manager"
    assert revocation.role_now(CLAIMS, HOLDER._replace(role="user"), KEPT, NOW) == "user"


ENDED: dict[str, tuple[Holder | None, Kept | None]] = {
    "no user": (None, KEPT),
    "neither": (None, None),
    "a user who may not sign in": (HOLDER._replace(may_sign_in=False), KEPT),
    "another user of that name": (HOLDER._replace(user_id="u2"), KEPT),
    "no session": (HOLDER, None),
    "a session that was ended": (HOLDER, KEPT._replace(is_revoked=True)),
    "a user whose sessions were all ended": (HOLDER._replace(session_epoch="e2"), KEPT),
    "a session past its end": (HOLDER, KEPT._replace(expires_at=NOW)),
}


@pytest.mark.parametrize(("holder", "kept"), ENDED.values(), ids=ENDED)
def test_a_session_that_ended_has_none(holder: Holder | None, kept: Kept | None) -> None:
    assert revocation.role_now(CLAIMS, holder, kept, NOW) is None


class Tables:
    """What the tables say, and how often they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.role: str = "manager"
        self.instead: Callable[[], object] | None = None

    def __call__(self, *session: str) -> tuple[Holder, Kept]:
        self.asked.append((session[0], session[1], session[2]))
        if self.instead:
            self.instead()
        return HOLDER._replace(role=self.role), KEPT._replace(expires_at=NOW * 2)


def test_the_tables_are_asked_by_name_user_and_session() -> None:
    tables = Tables()
    Check(tables, 60)(CLAIMS, NOW)
    assert tables.asked == [("alice", "u1", "s1")]


def test_an_answer_is_believed_for_its_seconds_and_not_one_more() -> None:
    tables = Tables()
    check = Check(tables, 60)
    assert check(CLAIMS, NOW) == "manager"
    tables.role = "user"
    assert [check(CLAIMS, NOW + age) for age in (0, 1, 59)] == ["manager"] * 3
    assert check(CLAIMS, NOW + 60) == "user"
    assert len(tables.asked) == 2


def test_an_answer_that_may_be_older_than_the_token_is_not_believed_of_it() -> None:
    tables = Tables()
    check = Check(tables, 60)
    assert check(CLAIMS, NOW) == "manager"
    tables.role = "admin"
    # Two seconds that the issuing host's clock may be behind.
    for iat, role in ((NOW - 3, "manager"), (NOW - 2, "admin"), (NOW, "admin"), (NOW + 1, "admin")):
        assert check({**CLAIMS, "iat": iat}, NOW + 1) == role


def test_no_answer_is_believed_by_who_is_strict() -> None:
    tables = Tables()
    check = Check(tables, 0)
    for _ in range(3):
        check(CLAIMS, NOW)
    assert len(tables.asked) == 3


def test_a_clock_that_was_set_back_has_the_tables_asked_again() -> None:
    tables = Tables()
    check = Check(tables, 60)
    check(CLAIMS, NOW)
    check(CLAIMS, NOW - 1)
    assert len(tables.asked) == 2


def test_every_session_is_asked_about_by_itself() -> None:
    tables = Tables()
    check = Check(tables, 60)
    for session in ("s1", "s2", "s1", "s2"):
        check({**CLAIMS, "sid": session}, NOW)
    assert [asked[2] for asked in tables.asked] == ["s1", "s2"]


def test_tables_that_do_not_answer_leave_no_memory_behind() -> None:
    tables = Tables()
    check = Check(tables, 60)
    check(CLAIMS, NOW)

    def fail() -> None:
        raise Unavailable

    tables.instead = fail
    with pytest.raises(Unavailable):
        check(CLAIMS, NOW + 60)
    tables.instead = None
    tables.role = "user"
    assert check(CLAIMS, NOW + 60) == "user"


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    tables = Tables()
    check = Check(tables, 300)
    for number in range(revocation.REMEMBERED + 1):
        check({**CLAIMS, "sid": str(number)}, NOW)
    tables.asked.clear()
    check({**CLAIMS, "sid": str(revocation.REMEMBERED)}, NOW)
    assert tables.asked == []
    check({**CLAIMS, "sid": "0"}, NOW)
    assert [asked[2] for asked in tables.asked] == ["0"]


@given(st.lists(st.tuples(st.integers(-90, 90), st.sampled_from(["user", "manager", "admin"])), max_size=30))
def test_whatever_the_clock_does_nothing_is_believed_that_is_older_than_its_seconds(
    steps: list[tuple[int, str]],
) -> None:
    tables, now = Tables(), NOW
    check, written = Check(tables, 60), [(NOW, "manager")]
    for pause, role in steps:
        now += pause
        tables.role = role
        written.append((now, role))
        said = check(CLAIMS, now)
        assert said in {then for at, then in written if abs(now - at) < 60}
