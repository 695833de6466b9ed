"""Whether the session of a valid access token still stands, which only the tables know (RFC 9700, section 4.14)."""

from collections.abc import Callable
from typing import NamedTuple

from rolegate.model import Claims

REMEMBERED = 1000  # sessions an execution environment
SKEW = 2  # seconds that the clock of the host which issued a token may be behind ours


class Holder(NamedTuple):
    """What the users table says of a token's user."""

    user_id: str
    role: str
    session_epoch: str
    may_sign_in: bool


class Kept(NamedTuple):
    """What the sessions table says of a token's session; `expires_at` is its absolute end."""

    epoch: str
    expires_at: int
    is_revoked: bool


Read = Callable[[str, str, str], tuple[Holder | None, Kept | None]]  # username, user id, session id


def role_now(claims: Claims, holder: Holder | None, kept: Kept | None, now: int) -> str | None:
    """Return the role that the user of a token has now, or None if its session stands no more."""
    if holder is None or not holder.may_sign_in or holder.user_id != claims["uid"]:
        return None
    if kept is None or kept.is_revoked or kept.epoch != holder.session_epoch or kept.expires_at <= now:
        return None
    return holder.role


class Check:
    """Ask the tables of a session, and believe the answer for so many seconds: 0 asks each time.

    An answer that may be older than the token is not believed of it: the role may have been raised in between.
    """

    def __init__(self, read: Read, seconds: int) -> None:
        self._read = read
        self._seconds = seconds
        self._known: dict[tuple[str, str], tuple[int, str | None]] = {}

    def __call__(self, claims: Claims, now: int) -> str | None:
        """Return the role that the user of a token has, or None; raises `Unavailable` if the tables do not say."""
        session = claims["uid"], claims["sid"]
        asked_at, role = self._known.get(session, (0, None))
        # Below 0 the clock was set back, and nobody knows how old the answer is.
        if claims["iat"] + SKEW < asked_at and 0 <= now - asked_at < self._seconds:
            return role
        role = role_now(claims, *self._read(claims["username"], *session), now)
        self._known.pop(session, None)
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[session] = now, role
        return role
