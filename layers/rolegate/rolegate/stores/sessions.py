"""The sessions table: one item a sign-in, every change one conditional write."""

import secrets
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from rolegate.errors import Unavailable
from rolegate.model import Caller, Presented, RefreshToken, Session
from rolegate.sessions import Policy
from rolegate.stores import aws, items


class Refusal(NamedTuple):
    """A write whose condition did not hold, and the item as it stood then; None where there was none."""

    session: Session | None


class Sessions:
    """Sessions by user and session id. Every method raises `Unavailable` when the table is out of reach."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._table = table

    def put(self, session: Session) -> None:
        """Store the session of a sign-in. A first try whose answer got lost is recognised by its token."""
        with aws.reached():
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=items.from_session(session),
                    ConditionExpression="attribute_not_exists(session_id)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                there = _refusal(error).session
                if there is None or there.live.id != session.live.id:
                    raise Unavailable from error

    def get(self, user_id: str, session_id: str) -> Session | None:
        """Return a session, if there is one."""
        with aws.reached():
            found = self._client.get_item(
                TableName=self._table,
                Key=items.item({"user_id": user_id, "session_id": session_id}),
                ConsistentRead=True,
            )
        return items.to_session(found["Item"]) if "Item" in found else None

    def rotate(
        self, presented: Presented, fresh: RefreshToken, epoch: str, caller: Caller, policy: Policy, now: int
    ) -> Session | Refusal:
        """Make `fresh` the live token if the presented one still is, and everything else allows it.

        `rotated_at < :quiet` is the window: at most one rotation in grace and twice the skew, so that everybody who
        asks within the grace gets the one successor.
        """
        conditions = [
            "attribute_exists(session_id)",
            "token_id = :presented",
            "session_epoch = :epoch",
            "attribute_not_exists(revoked_at)",
            "token_expires_at > :now",
            "session_expires_at > :now",
            f"audience IN ({', '.join(f':audience{n}' for n in range(len(policy.audiences)))})",
        ]
        values: dict[str, items.Plain] = {
            ":presented": presented.token.id,
            ":epoch": epoch,
            ":now": now,
            **{f":audience{n}": audience for n, audience in enumerate(policy.audiences)},
        }
        if policy.window:
            conditions.append("(attribute_not_exists(rotated_at) OR rotated_at < :quiet)")
            values[":quiet"] = now - policy.window
        changes: dict[str, items.Plain] = {
            **items.from_token(fresh),
            "previous_token_id": presented.token.id,
            "rotated_at": now,
            **caller._asdict(),
        }
        return self._write(presented.user_id, presented.session_id, changes, conditions, values)

    def forgive(self, presented: Presented, seen: Session, now: int) -> Session | Refusal:
        """Record a late retry of the session as it was seen: the grace starts anew, once for this generation."""
        conditions = [
            "attribute_exists(session_id)",
            "attribute_not_exists(revoked_at)",
            "session_epoch = :epoch",
            "token_id = :live",
        ]
        values: dict[str, items.Plain] = {":epoch": seen.epoch, ":live": seen.live.id}
        if seen.late_retry_generation is None:
            conditions.append("attribute_not_exists(late_retry_generation)")
        else:
            conditions.append("late_retry_generation = :forgiven")
            values[":forgiven"] = seen.late_retry_generation
        changes: dict[str, items.Plain] = {"rotated_at": now, "late_retry_generation": seen.live.generation}
        return self._write(presented.user_id, presented.session_id, changes, conditions, values)

    def revoke(self, user_id: str, session_id: str, because: str, now: int) -> Session | None:
        """End a session; the first reason stays. Return it if this call ended it, None if it had ended or gone.

        A first try whose answer got lost is recognised by the id that it wrote.
        """
        ours = secrets.token_urlsafe(12)
        there = ["attribute_exists(session_id)", "attribute_not_exists(revoked_at)"]
        changes: dict[str, items.Plain] = {"revoked_at": now, "revoked_because": because, "revocation_id": ours}
        ended = self._write(user_id, session_id, changes, there, {})
        session = ended.session if isinstance(ended, Refusal) else ended
        return session if session is not None and session.revocation_id == ours else None

    def _write(
        self,
        user_id: str,
        session_id: str,
        changes: dict[str, items.Plain],
        conditions: list[str],
        values: dict[str, items.Plain],
    ) -> Session | Refusal:
        with aws.reached():
            try:
                written = self._client.update_item(
                    TableName=self._table,
                    Key=items.item({"user_id": user_id, "session_id": session_id}),
                    UpdateExpression="SET " + ", ".join(f"{name} = :new_{name}" for name in changes),
                    ConditionExpression=" AND ".join(conditions),
                    ExpressionAttributeValues=items.item({**values, **{f":new_{n}": v for n, v in changes.items()}}),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                return _refusal(error)
        return items.to_session(written["Attributes"])


def _refusal(error: ClientError) -> Refusal:
    if not aws.condition_failed(error):
        raise error
    stored: Any = error.response.get("Item")
    return Refusal(items.to_session(stored) if stored else None)
