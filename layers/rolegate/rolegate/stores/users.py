"""The users table."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from rolegate.errors import UsernameTaken
from rolegate.model import User
from rolegate.stores import aws, items

_AS_SEEN = "user_id = :seen_id AND session_epoch = :seen_epoch"


def _as_seen(user: User) -> dict[str, dict[str, Any]]:
    return items.item({":seen_id": user.user_id, ":seen_epoch": user.session_epoch})


class Users:
    """Users by username. Every read is consistent; every method raises `Unavailable` when the table is out of reach."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._table = table

    def get(self, username: str) -> User | None:
        """Return a user, if there is one of that name."""
        with aws.reached():
            found = self._client.get_item(
                TableName=self._table, Key=items.item({"username": username}), ConsistentRead=True
            )
        return items.to_user(found["Item"]) if "Item" in found else None

    def create(self, user: User) -> None:
        """Store a new user, in one transaction with the check that nobody ever had this name.

        Raises `UsernameTaken` otherwise, but not of this very user: then a first try landed and its answer got lost.
        """
        absent = {
            "TableName": self._table,
            "ConditionExpression": "attribute_not_exists(username)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        with aws.reached():
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Put": {**absent, "Item": items.from_user(user)}},
                        {"ConditionCheck": {**absent, "Key": items.item({"username": items.tombstone(user.username)})}},
                    ]
                )
            except ClientError as error:
                if not aws.condition_failed(error):
                    raise
                reasons: Any = error.response.get("CancellationReasons", [])
                there = items.plain(reasons[0].get("Item", {})) if reasons else {}
                if there.get("user_id") != user.user_id:
                    raise UsernameTaken from None

    def set_role(self, username: str, role: str, now: int) -> User | None:
        """Change the role of a user who is there, and return the user; access tokens follow at the next refresh."""
        with aws.reached():
            try:
                written = self._client.update_item(
                    TableName=self._table,
                    Key=items.item({"username": username}),
                    UpdateExpression="SET #role = :role, updated_at = :now",
                    ConditionExpression="attribute_exists(user_id) AND attribute_not_exists(deleted_at)",
                    ExpressionAttributeNames={"#role": "role"},
                    ExpressionAttributeValues=items.item({":role": role, ":now": now}),
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if aws.condition_failed(error):
                    return None
                raise
        return items.to_user(written["Attributes"])

    def change(self, seen: User, then: User) -> bool:
        """Replace what differs between a user as seen and as they shall be, unless somebody came between.

        The epoch as it was seen is the condition, and `then` has another: a duplicate that lands late changes nothing,
        and a first try whose answer got lost is recognised by it. Tell whether the user is as they shall be.
        """
        changes = {name: new for name, new in then._asdict().items() if new != getattr(seen, name)}
        with aws.reached():
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=items.item({"username": seen.username}),
                    UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
                    ConditionExpression=_AS_SEEN,
                    ExpressionAttributeNames={f"#{name}": name for name in changes},
                    ExpressionAttributeValues=_as_seen(seen) | items.item({f":{n}": new for n, new in changes.items()}),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if not aws.condition_failed(error):
                    raise
                stands: Any = error.response.get("Item")
                return bool(stands) and items.to_user(stands).session_epoch == then.session_epoch
        return True

    def renew_hash(self, seen: User, password_hash: str) -> bool:
        """Store another hash of the same password in place of the one that was seen; tell whether that was there."""
        with aws.reached():
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=items.item({"username": seen.username}),
                    UpdateExpression="SET password_hash = :new REMOVE password_imported",
                    ConditionExpression="password_hash = :seen",
                    ExpressionAttributeValues=items.item({":new": password_hash, ":seen": seen.password_hash}),
                )
            except ClientError as error:
                if aws.condition_failed(error):
                    return False
                raise
        return True

    def delete(self, seen: User, now: int) -> bool:
        """Remove a user as seen, and in the same transaction put the tombstone that keeps the name taken.

        Tell whether it was done, now or by a first try whose answer got lost: the SDK sends each of its tries with one
        ClientRequestToken, and DynamoDB does a transaction once. The tombstone holds nothing of the user.
        """
        grave = items.item({"username": items.tombstone(seen.username), "deleted_at": now, "schema_version": 1})
        user = {"TableName": self._table, "Key": items.item({"username": seen.username})}
        condition = {"ConditionExpression": _AS_SEEN, "ExpressionAttributeValues": _as_seen(seen)}
        with aws.reached():
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Delete": {**user, **condition}},
                        {"Put": {"TableName": self._table, "Item": grave}},
                    ]
                )
            except ClientError as error:
                if not aws.condition_failed(error):
                    raise
                return False
        return True

    def list(self) -> Iterator[User]:
        """Yield every user, page by page; tombstones are no users."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        with aws.reached():
            for page in pages:
                yield from (items.to_user(stored) for stored in page["Items"] if "user_id" in stored)
