"""What both tables say of one session: the user and the session, read together."""

from typing import Any

from rolegate.errors import Unavailable
from rolegate.revocation import Holder, Kept
from rolegate.stores import aws, items

# These and no others: an authorizer has no business with a password's hash, and its permission says so too.
_USER = ("user_id", "role", "session_epoch", "disabled", "deleted_at")
_SESSION = ("session_epoch", "session_expires_at", "revoked_at")


class Standings:
    """Reads a user and a session in one call, consistently."""

    def __init__(self, client: Any, users: str, sessions: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._users, self._sessions = users, sessions

    def read(self, username: str, user_id: str, session_id: str) -> tuple[Holder | None, Kept | None]:
        """Return what is stored of a user and a session, None for what is not.

        Raises `Unavailable` when the tables are out of reach, or leave a key unread though asked twice: that is no
        "there is none" (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html).
        """
        wanted = {
            self._users: _asked({"username": username}, _USER),
            self._sessions: _asked({"user_id": user_id, "session_id": session_id}, _SESSION),
        }
        with aws.reached():
            answer = self._client.batch_get_item(RequestItems=wanted)
        if answer.get("UnprocessedKeys"):
            raise Unavailable
        user, session = ([*map(items.plain, answer["Responses"].get(table, ()))] for table in wanted)
        return _holder(user[0]) if user else None, _kept(session[0]) if session else None


def _asked(key: dict[str, items.Plain | None], attributes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "Keys": [items.item(key)],
        "ConsistentRead": True,
        "ProjectionExpression": ", ".join(f"#{name}" for name in attributes),
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
    }


def _holder(stored: dict[str, Any]) -> Holder:
    usable = not stored.get("disabled", False) and "deleted_at" not in stored
    return Holder(stored["user_id"], stored["role"], stored["session_epoch"], usable)


def _kept(stored: dict[str, Any]) -> Kept:
    return Kept(stored["session_epoch"], stored["session_expires_at"], "revoked_at" in stored)
