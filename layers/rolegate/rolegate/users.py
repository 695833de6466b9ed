"""What a username may be, and how a user comes to be."""

import re
import secrets
import uuid

from rolegate.errors import InvalidRequest
from rolegate.model import User

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


def epoch() -> str:
    """Return a new session epoch: random, for a counter would repeat itself after a restore."""
    return secrets.token_urlsafe(12)
