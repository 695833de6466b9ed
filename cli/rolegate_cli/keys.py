"""`rolegate keys` and `rolegate sign-out-everyone`: orders to the function that keeps the keys.

The function does the work under its own permissions, so no private key ever comes to the operator's machine.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.config import Config
from rolegate.stores import aws

from rolegate_cli.stack import CommandError, Stack

# The function's own time-out is 60 s; and an order that was perhaps carried out is not given twice.
PATIENT = aws.BOUNDED.merge(Config(read_timeout=65, retries={"total_max_attempts": 1}))
RINGS = {"signing": "Signing keys, for access tokens", "refresh": "Refresh keys, for refresh tokens"}
CHANGES = {"current": "signs until", "next": "signs from", "retired": "leaves"}

Report = dict[str, Any]


def show(stack: Stack) -> Report:
    """Return what each key is now, and when that changes."""
    return _ordered(stack, {"action": "show"})


def rotate(stack: Stack, compromised: str | None) -> Report:
    """Have the next keys sign from now on, or throw away those that leaked: `signing`, `refresh` or `both`.

    Raises `CommandError` when the next keys may not sign yet, for not every verifier can know them.
    """
    if compromised:
        return _ordered(stack, {"action": "rotate", "compromised": compromised})
    report = _ordered(stack, {"action": "rotate"})
    waiting = [report[ring]["next_is_known_at"] for ring in RINGS if report[ring]["rotated_at"] != report["now"]]
    if waiting and max(waiting) > report["now"]:
        raise CommandError(
            "Not every ring was rotated: verifiers may keep a key set for two hours, so a next key may not sign before "
            f"{_time(max(waiting))}. After a leak do not wait: rolegate keys rotate --compromised signing"
        )
    if waiting:
        raise CommandError("The next key was not published yet; it is now. Give the same command again in an hour.")
    return report


def sign_everyone_out(stack: Stack) -> Report:
    """End every session that was begun before now."""
    return _ordered(stack, {"action": "sign-out-everyone"})


def lines(report: Report) -> Iterator[str]:
    """Write a report for people, a line a key."""
    for ring, title in RINGS.items():
        yield title
        for key in report[ring]["keys"]:
            change = f"{CHANGES[key['state']]} {_time(key['changes_at'])}"
            yield f"  {key['state']:<7}  {key['kid']:<43}  {key['alg']:<5}  made {_time(key['created_at'])}  {change}"
    yield "Each change happens at the first daily run from then on."
    if report["sessions_not_before"]:
        yield f"Sessions that were begun before {_time(report['sessions_not_before'])} are signed out."


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _ordered(stack: Stack, order: Mapping[str, str]) -> Report:
    answer = stack.client("lambda", PATIENT).invoke(
        FunctionName=stack.outputs["RotateKeysFunctionName"], Payload=json.dumps(order)
    )
    told: Report = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise CommandError(
            f"The keys' function failed: {told.get('errorMessage') or told.get('errorType')} Its log says more."
        )
    return told
