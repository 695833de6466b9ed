"""The attempts table: a limiter an item, every change of it one conditional write."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from rolegate.attempts import Limiter, Reservation, retry_after
from rolegate.errors import Unavailable
from rolegate.stores import aws, items

_TURNS = 4  # writes that a guess may cost when others come between: then the store is asked too much


class Attempts:
    """Limiters by key. Every method raises `Unavailable` when the table is out of reach."""

    def __init__(self, client: Any, table: str) -> None:  # noqa: ANN401 - botocore's clients have no type of their own
        self._client = client
        self._table = table

    def reserve(self, limiter: Limiter, guess_id: str, now: int) -> Reservation:
        """Count a guess if there is room for it, exactly, however many come at once.

        DynamoDB knows no maximum of two numbers, so it takes one write for a limiter that has come to rest, whose time
        begins now, and another one within a burst, which moves the time on. `guess_id` marks the last guess: by it a
        first try whose answer got lost knows itself.
        """
        rest, more = (
            ("SET tat = :then", "attribute_not_exists(tat) OR tat <= :now", {":then": now + limiter.limit.seconds}),
            (
                "SET tat = tat + :seconds",
                "tat > :now AND tat <= :room AND guess_id <> :id",
                {":seconds": limiter.limit.seconds, ":room": now + limiter.limit.room},
            ),
        )
        attempt = rest
        for _ in range(_TURNS):
            change, condition, values = attempt
            stands, done = self._write(
                limiter,
                f"{change}, guess_id = :id, expires_at = :expires",
                condition,
                {":id": guess_id, ":expires": now + limiter.lifetime, **values, ":now": now},
            )
            tat = stands.get("tat", 0)
            known = Reservation(limiter, guess_id, now, succeeded_at=stands.get("succeeded_at"))
            if done or stands.get("guess_id") == guess_id:
                return known._replace(backlog=tat - limiter.limit.seconds - now)
            if (wait := retry_after(tat, limiter.limit, now)) > 0:
                return known._replace(retry_after=wait)
            attempt = more if tat > now else rest
        raise Unavailable

    def give_back(self, reservation: Reservation, now: int) -> None:
        """Take a guess that was right, or got no answer, out of the count; a second try of the call takes no more."""
        self._settle(reservation, {"refund": reservation.refund(now)}, now)

    def succeeded(self, reservation: Reservation, now: int) -> None:
        """Give the guess back, and note that this user signed in from this network."""
        self._settle(reservation, {"refund": reservation.refund(now), "succeeded_at": now}, now)

    def forgive(self, limiter: Limiter) -> None:
        """Have a limiter begin anew; what it knows of a success stays."""
        self._write(limiter, "REMOVE tat", "attribute_exists(tat)", {})

    def _settle(self, reservation: Reservation, facts: Mapping[str, int], now: int) -> None:
        more = ", succeeded_at = :succeeded_at" if "succeeded_at" in facts else ""
        self._write(
            reservation.limiter,
            f"SET tat = if_not_exists(tat, :now) - :refund, settled_id = :id, expires_at = :expires{more}",
            "attribute_not_exists(settled_id) OR settled_id <> :id",
            {
                **{f":{name}": fact for name, fact in facts.items()},
                ":id": reservation.id,
                ":expires": now + reservation.limiter.lifetime,
                ":now": now,
            },
        )

    def _write(
        self, limiter: Limiter, change: str, condition: str, values: Mapping[str, items.Plain]
    ) -> tuple[dict[str, Any], bool]:
        """Write if the condition holds; return the item after it or, if it did not hold, as it stands, and which."""
        more = {"ExpressionAttributeValues": items.item(values)} if values else {}
        with aws.reached():
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=items.item({"limiter": limiter.key}),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **more,
                )
            except ClientError as error:
                if not aws.condition_failed(error):
                    raise
                stands: Any = error.response.get("Item", {})
                return items.plain(stands), False
        return items.plain(answer["Attributes"]), True
