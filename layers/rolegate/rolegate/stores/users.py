"""The users table."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from rolegate.errors import Unavailable, UsernameTaken
from rolegate.model import User
from rolegate.stores import aws, items


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

        Raises `UsernameTaken` otherwise. A lost answer that the client retries is the same transaction to DynamoDB.
        """
        absent = {"TableName": self._table, "ConditionExpression": "attribute_not_exists(username)"}
        with aws.reached():
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Put": {**absent, "Item": items.from_user(user)}},
                        {"ConditionCheck": {**absent, "Key": items.item({"username": items.tombstone(user.username)})}},
                    ]
                )
            except self._client.exceptions.TransactionCanceledException as error:
                if any(
                    reason.get("Code") == "ConditionalCheckFailed" for reason in error.response["CancellationReasons"]
                ):
                    raise UsernameTaken from None
                raise Unavailable from error

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
                if aws.code(error) == "ConditionalCheckFailedException":
                    return None
                raise
        return items.to_user(written["Attributes"])

    def list(self) -> Iterator[User]:
        """Yield every user, page by page; tombstones are no users."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        with aws.reached():
            for page in pages:
                yield from (items.to_user(stored) for stored in page["Items"] if "user_id" in stored)
