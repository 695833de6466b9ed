"""Users and sessions as DynamoDB items, and back. What is None is not stored."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from rolegate.model import Caller, RefreshToken, Session, User

Item = Mapping[str, Mapping[str, Any]]
Plain = str | int | bool | tuple[str, ...]


def value(plain: Plain) -> dict[str, Any]:
    """Return DynamoDB's form of a value."""
    match plain:
        case bool():
            return {"BOOL": plain}
        case int():
            return {"N": str(plain)}
        case str():
            return {"S": plain}
        case _:
            return {"L": [{"S": one} for one in plain]}


def item(members: Mapping[str, Plain | None]) -> dict[str, dict[str, Any]]:
    """Return DynamoDB's form of an item."""
    return {name: value(plain) for name, plain in members.items() if plain is not None}


def plain(stored: Item) -> dict[str, Any]:
    """Return an item's values in Python's own types."""
    readers: dict[str, Callable[[Any], Any]] = {
        "S": str,
        "N": int,
        "BOOL": bool,
        "L": lambda listed: tuple(one["S"] for one in listed),
    }
    return {
        name: readers[kind](raw) for name, typed in stored.items() for kind, raw in typed.items() if kind in readers
    }


def tombstone(username: str) -> str:
    """Return the key under which a deleted user's name stays taken; `#` begins no username."""
    return f"#deleted#{hashlib.sha256(username.encode()).hexdigest()}"


def from_user(user: User) -> dict[str, dict[str, Any]]:
    """Return the item of a user."""
    return item(user._asdict())


def to_user(stored: Item) -> User:
    """Return the user of an item; attributes of a newer version are passed over."""
    members = plain(stored)
    return User(**{name: members[name] for name in User._fields if name in members})


def from_token(token: RefreshToken) -> dict[str, Plain]:
    """Return the attributes of a session's live refresh token: all but the token itself."""
    return {
        "token_id": token.id,
        "token_kid": token.kid,
        "token_issued_at": token.issued_at,
        "token_expires_at": token.expires_at,
        "generation": token.generation,
    }


def from_session(session: Session) -> dict[str, dict[str, Any]]:
    """Return the item of a session that was begun just now."""
    return item(
        {
            "user_id": session.user_id,
            "session_id": session.session_id,
            "session_epoch": session.epoch,
            **from_token(session.live),
            "auth_time": session.auth_time,
            "amr": session.amr,
            "client_id": session.client_id,
            "audience": session.audience,
            "created_at": session.created_at,
            "session_expires_at": session.expires_at,
            **session.caller._asdict(),
            "schema_version": 1,
        }
    )


def to_session(stored: Item) -> Session:
    """Return the session of an item."""
    has = plain(stored)
    return Session(
        user_id=has["user_id"],
        session_id=has["session_id"],
        epoch=has["session_epoch"],
        live=RefreshToken(
            has["token_id"], has["token_kid"], has["generation"], has["token_issued_at"], has["token_expires_at"]
        ),
        auth_time=has["auth_time"],
        amr=has["amr"],
        client_id=has["client_id"],
        audience=has["audience"],
        created_at=has["created_at"],
        expires_at=has["session_expires_at"],
        caller=Caller(has.get("source_ip", ""), has.get("user_agent", "")),
        previous_token_id=has.get("previous_token_id"),
        rotated_at=has.get("rotated_at"),
        late_retry_generation=has.get("late_retry_generation"),
        revoked_at=has.get("revoked_at"),
        revoked_because=has.get("revoked_because"),
        revocation_id=has.get("revocation_id"),
    )
