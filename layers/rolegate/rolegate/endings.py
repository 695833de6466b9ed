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
    """The end of every session of a user: what the user is after it, or None for a user who is deleted."""

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
            done = table.change(seen, users.ended(then, because, now)) if then else table.delete(seen, now)
    if done:
        audit(event, because=because, **who, **(caller._asdict() if caller else {}))
    return done


def end_session(user_id: str, session_id: str, sessions: "Sessions", audit: Audit, now: int) -> bool:
    """End one session because an administrator says so; tell whether it was still going on."""
    return end(One(user_id, session_id, sessions), Because.ADMIN, audit, now)


class PasswordChange(NamedTuple):
    """What a change of a password needs from the world."""

    users: "Users"
    matches: users.Matches
    hash_password: Callable[[str], str]
    audit: Audit


def change_password(name: str, current: str, new: str, caller: Caller, world: PasswordChange, now: int) -> None:
    """Give a user who proves the current password a new one, and end every session.

    A client that got no answer, or `Unavailable`, should try to sign in with the new password: it may be in force.
    Raises `InvalidCredentials` as a sign-in does, `InvalidRequest` for a new password outside the rules, and
    `Unavailable` when the user was changed meanwhile: perhaps the password that was proved is the current one no more.
    """
    user, proved = users.proved(name, current, world.users.get, world.matches)
    if user is None or not proved:
        world.audit("password_change_refused", user_id=user.user_id if user else None, **caller._asdict())
        raise errors.InvalidCredentials
    changed = users.with_password(user, world.hash_password(new), now)
    if not end(All(user, changed, world.users), Because.PASSWORD_CHANGED, world.audit, now, caller):
        raise errors.Unavailable


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
        if end(All(user, then(user), table), because, audit, now):
            return
    raise errors.Unavailable
