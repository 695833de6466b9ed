"""The life of a session: its first refresh token, its rotations, and what a refused rotation means. Pure."""

import secrets
import uuid
from enum import Enum
from typing import NamedTuple

from rolegate.model import Caller, Presented, RefreshToken, Session, User

SKEW = 1  # seconds that two of our own hosts' clocks may differ
RESTORE_PATIENCE = 60  # seconds in which a token that the table does not know yet is answered with "try again"


class Policy(NamedTuple):
    """How long things last, in seconds, and what is forgiven."""

    token_lifetime: int
    grace: int
    rotations_per_late_retry: int  # 0: a late retry is never forgiven
    audiences: tuple[str, ...]

    @property
    def leeway(self) -> int:
        """How long after its end a refresh token may still ask for the answer to its last try."""
        return self.grace + SKEW

    @property
    def window(self) -> int:
        """How old the last rotation must be before the next one, so that two hosts never rotate within one grace."""
        return self.grace + 2 * SKEW if self.grace else 0


class Verdict(Enum):
    """What a refused rotation means."""

    REVOKED = "its session was ended"
    EXPIRED = "its session or its live token is past its end"
    LANDED = "our own write landed, its answer got lost"
    AGAIN = "a lost answer or a parallel tab: the live token again"
    LATE_RETRY = "a lost answer, long ago: the live token again, once in a while"
    AHEAD = "the table is older than the client: try again"
    STATE_LOST = "the table stays older than the client: sign in again"
    REUSED = "a spent token"


def start(
    user: User, audience: str, caller: Caller, kid: str, lifetime: int, session_lifetime: int, now: int
) -> Session:
    """Return the session of a sign-in at `now`, with its refresh token of generation 0; lifetimes are in seconds."""
    ends = now + session_lifetime
    return Session(
        user_id=user.user_id,
        session_id=str(uuid.uuid4()),
        epoch=user.session_epoch,
        live=RefreshToken(_token_id(), kid, 0, now, min(now + lifetime, ends)),
        auth_time=now,
        amr=("pwd",),
        client_id="rolegate",
        audience=audience,
        created_at=now,
        expires_at=ends,
        caller=caller,
    )


def stands(session: Session | None, user: User, policy: Policy, not_before: int, now: int) -> bool:
    """Tell whether a session of `user` goes on, and may bring new tokens; none from before `not_before` does."""
    return (
        session is not None
        and session.revoked_at is None
        and session.epoch == user.session_epoch
        and session.expires_at > now
        and session.auth_time >= not_before
        and session.audience in policy.audiences
        and user.may_sign_in
    )


def successor(presented: Presented, kid: str, lifetime: int, now: int) -> RefreshToken:
    """Return the next refresh token of a session: a full `lifetime` in seconds, never past the session's end."""
    return RefreshToken(
        _token_id(), kid, presented.token.generation + 1, now, min(now + lifetime, presented.session_expires_at)
    )


def explain(  # noqa: C901, PLR0911 - it is a table, one line a row
    session: Session | None,
    presented: Presented,
    tried: RefreshToken,
    user: User,
    caller: Caller,
    policy: Policy,
    now: int,
) -> Verdict:
    """Say why a rotation was refused, from the item as the store held it; the first line that matches decides."""
    token = presented.token
    match session:
        case None:
            return Verdict.REVOKED
        case s if s.revoked_at is not None or s.epoch != user.session_epoch or s.audience not in policy.audiences:
            return Verdict.REVOKED
        case s if s.expires_at <= now:
            return Verdict.EXPIRED
        case s if tried.id in (s.live.id, s.previous_token_id):  # the latter: and another tab has moved on from it
            return Verdict.LANDED
        case s if s.live.expires_at <= now:
            return Verdict.EXPIRED
        case s if token.id == s.live.id:
            return Verdict.AGAIN
        case s if token.id == s.previous_token_id and _within_grace(s, policy, now):
            return Verdict.AGAIN
        case s if token.id == s.previous_token_id and s.late_retry_generation == s.live.generation:
            return Verdict.AGAIN
        case s if token.id == s.previous_token_id and _forgivable(s, policy) and not elsewhere(s, caller):
            return Verdict.LATE_RETRY
        case s if token.generation >= s.live.generation:  # of the same one only if the table was restored between them
            return Verdict.AHEAD if now - token.issued_at < RESTORE_PATIENCE else Verdict.STATE_LOST
        case _:
            return Verdict.REUSED


def elsewhere(session: Session, caller: Caller) -> bool:
    """Tell whether both network and agent differ from those of the session's last rotation."""
    return caller.network != session.caller.network and caller.user_agent != session.caller.user_agent


def _within_grace(session: Session, policy: Policy, now: int) -> bool:
    return bool(policy.grace) and session.rotated_at is not None and now - session.rotated_at <= policy.leeway


def _forgivable(session: Session, policy: Policy) -> bool:
    if not policy.rotations_per_late_retry:
        return False
    last = session.late_retry_generation
    return last is None or session.live.generation - last >= policy.rotations_per_late_retry


def _token_id() -> str:
    return secrets.token_urlsafe(16)
