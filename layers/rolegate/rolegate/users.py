"""What a username may be, and how a user comes to be."""

import re
import secrets
import uuid
from collections.abc import Callable

from rolegate.errors import InvalidRequest
from rolegate.model import Because, User

USERNAME_RULE = (
    "A username has 1 to 128 characters: letters a to z, digits, and . _ + @ - after the first. "
    "It must not have the form of a UUID."
)
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,127}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def username(typed: str) -> str:
    """Return the one form of a name, whatever way it was typed: trimmed and in lower case.

    Raises `InvalidRequest` with the rule for what cannot be a name. The form of a UUID is refused because `sub`
    holds either a username or a `user_id`.
    """
    name = typed.strip().lower() if typed.isascii() else ""  # outside ASCII two spellings could become one name
    if not _USERNAME.fullmatch(name) or _UUID.fullmatch(name):
        raise InvalidRequest(USERNAME_RULE)
    return name


def create(name: str, password_hash: str, role: str, now: int) -> User:
    """Return a user who never existed before: a random `user_id`, and a first session epoch."""
    return User(
        username=name,
        user_id=str(uuid.uuid4()),
        password_hash=password_hash,
        role=role,
        session_epoch=epoch(),
        created_at=now,
        updated_at=now,
        password_changed_at=now,
    )


def found(typed: str, get: Callable[[str], User | None]) -> User | None:
    """Return the user of a name as it was typed; None for what cannot be a name, as for nobody's."""
    try:
        return get(username(typed))
    except InvalidRequest:
        return None


def with_password(user: User, password_hash: str, now: int) -> User:
    """Return the user with another password."""
    return user._replace(password_hash=password_hash, password_changed_at=now, password_imported=False)


def ended(user: User, because: Because, now: int) -> User:
    """Return the user with every session ended: a new epoch, and why."""
    return user._replace(session_epoch=epoch(), sessions_ended_at=now, sessions_ended_because=because, updated_at=now)


def ended_at(user: User) -> int:
    """Return when whoever was signed in last had to prove the password anew."""
    return max(user.password_changed_at, user.sessions_ended_at or 0)


def epoch() -> str:
    """Return a new session epoch: random, for a counter would repeat itself after a restore."""
    return secrets.token_urlsafe(12)
