"""How sessions end. Whatever the cause, they end through `end`, which records it; the causes that end all of a user's.

What ends everything of a user replaces the `session_epoch` in the same write as its cause, so that no session, sign-in
or refresh can slip between the two (docs/adr/0005-session-epoch.md).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rolegate import errors, users
from rolegate.model import Audit, Because, Caller, User

if TYPE_CHECKING:  # each function loads only what its own flow needs
    from rolegate.stores.sessions import Sessions
    from rolegate.stores.users import Users


class One(NamedTuple):
    """The end of one session."""

    user_id: str
    session_id: str
    sessions: "Sessions"


class All(NamedTuple):
    """The end of every session of a user: what the user is after it (`users.ended`), or None for one who is deleted."""

    seen: User
    then: User | None
    users: "Users"


def end(what: One | All, because: Because, audit: Audit, now: int, caller: Caller | None = None) -> bool:
    """End one session, or all of a user's, and record why: on the item, and as an event.

    Tell whether this call did it: not for a session that had ended before, nor for a user whom somebody else changed
    since they were read. Raises `Unavailable` when nobody can know.
    """
    match what:
        case One(user_id, session_id, sessions):
            event, who = "session_ended", {"user_id": user_id, "session_id": session_id}
            done = sessions.revoke(user_id, session_id, because, now) is not None
        case All(seen, then, table):
            event, who = "sessions_ended", {"user_id": seen.user_id, "username": seen.username}
            done = table.change(seen, then) if then else table.delete(seen, now)
    if done:
        audit(event, because=because, **who, **(caller._asdict() if caller else {}))
    return done


def end_session(user_id: str, session_id: str, sessions: "Sessions", audit: Audit, now: int) -> bool:
    """End one session because an administrator says so; tell whether it was still going on."""
    return end(One(user_id, session_id, sessions), Because.ADMIN, audit, now)


def replace_password(
    seen: User, password_hash: str, table: "Users", audit: Audit, now: int, caller: Caller | None = None
) -> User:
    """Give a user another password, and end every session; return the user as they are then.

    Raises `Unavailable` when the user was changed since they were read: perhaps the password that was proved is the
    current one no more.
    """
    then = users.ended(users.with_password(seen, password_hash, now), Because.PASSWORD_CHANGED, now)
    if not end(All(seen, then, table), Because.PASSWORD_CHANGED, audit, now, caller):
        raise errors.Unavailable
    return then


def disable(name: str, table: "Users", audit: Audit, now: int) -> None:
    """Keep a user out, from sign-in and refresh alike. Raises `NotFound`, `Unavailable`."""
    _all(name, lambda user: user._replace(disabled=True), Because.DISABLED, table, audit, now)


def enable(name: str, table: "Users", audit: Audit, now: int) -> None:
    """Let a disabled user sign in again; what was ended stays so. Raises `NotFound`, `Unavailable`."""
    _all(name, lambda user: user._replace(disabled=False), Because.ENABLED, table, audit, now)


def sign_out_everywhere(name: str, table: "Users", audit: Audit, now: int) -> None:
    """End every session of a user. Raises `NotFound`, `Unavailable`."""
    _all(name, lambda user: user, Because.SIGNED_OUT_EVERYWHERE, table, audit, now)


def delete(name: str, table: "Users", audit: Audit, now: int) -> None:
    """Delete a user for good; the name stays taken by a tombstone. Raises `NotFound`, `Unavailable`."""
    _all(name, lambda _: None, Because.DELETED, table, audit, now)


def _all(
    name: str, then: Callable[[User], User | None], because: Because, table: "Users", audit: Audit, now: int
) -> None:
    """End everything of a user who becomes what `then` says; whoever is overtaken looks again."""
    for _ in range(5):
        user = users.found(name, table.get)
        if user is None or user.deleted_at is not None:
            raise errors.NotFound("There is no such user.")
        changed = then(user)
        ended = users.ended(changed, because, now) if changed else None
        if end(All(user, ended, table), because, audit, now):
            return
    raise errors.Unavailable
