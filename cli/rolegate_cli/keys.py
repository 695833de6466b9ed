"""`rolegate keys` and `rolegate sign-out-everyone`: orders to the function that keeps the keys.

The function does the work under its own permissions, so no private key ever comes to the operator's machine.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, HTTPClientError
from rolegate.stores import aws

from rolegate_cli.stack import CommandError, Stack

# The function's own time-out is 60 s; and an order that was perhaps carried out is not given twice.
PATIENT = aws.BOUNDED.merge(Config(read_timeout=65, retries={"total_max_attempts": 1}))
TITLES = {"signing": "Signing keys, for access tokens", "refresh": "Refresh keys, for refresh tokens"}
CHANGES = {
    "current": "signs until",
    "leaked": "thrown away by the next run from",
    "next": "signs from",
    "retired": "leaves",
}

Report = dict[str, Any]


def show(stack: Stack) -> Report:
    """Return what each key is now, and when that changes."""
    return _ordered(stack, {"action": "show"})


def rotate(stack: Stack) -> Report:
    """Have the next keys sign from now on, in every ring where all verifiers can know them."""
    return _ordered(stack, {"action": "rotate"})


def drop(stack: Stack, compromised: str) -> Report:
    """Throw away the keys that leaked: `signing`, `refresh` or `both`."""
    report = _ordered(stack, {"action": "rotate", "compromised": compromised})
    if any(ring["rotated_at"] < report["now"] for ring in report["rings"].values()):
        raise CommandError("The keys were not thrown away. Give the same command again.")
    return report


def sign_everyone_out(stack: Stack) -> Report:
    """End every session that was begun before now."""
    return _ordered(stack, {"action": "sign-out-everyone"})


def waiting(report: Report) -> list[str]:
    """Say of every ring that did not rotate why, and when it may."""
    sentences = []
    for name, ring in report["rings"].items():
        if ring["rotated_at"] < report["now"]:
            at = _time(ring["next_is_known_at"])
            sentences.append(
                f"The {name} keys did not rotate: others may use the keys that they read for two hours, so the next "
                f"key may not sign before {at}."
            )
    return sentences


def lines(report: Report) -> Iterator[str]:
    """Write a report for people, a line a key."""
    for name, ring in report["rings"].items():
        yield TITLES[name]
        for key in ring["keys"]:
            change = f"{CHANGES[key['state']]} {_time(key['changes_at'])}"
            yield f"  {key['state']:<7}  {key['kid']:<43}  {key['alg']:<5}  made {_time(key['created_at'])}  {change}"
    yield "Each change happens at the first daily run from then on."
    for ring in report["rings"].values():
        if ring["sessions_not_before"]:
            yield f"Sessions that were begun before {_time(ring['sessions_not_before'])} are signed out."


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _ordered(stack: Stack, order: Mapping[str, str]) -> Report:
    try:
        answer = stack.client("lambda", PATIENT).invoke(
            FunctionName=stack.outputs["RotateKeysFunctionName"], Payload=json.dumps(order)
        )
        told: Report = json.loads(answer["Payload"].read())
    except (KeyboardInterrupt, HTTPClientError, ConnectionClosedError) as error:
        raise CommandError(
            "No answer came, so the order may have been carried out or not. Look with 'keys show', or give it again."
        ) from error
    if "FunctionError" in answer:
        raise CommandError(
            f"The keys' function failed: {told.get('errorMessage') or told.get('errorType')} Its log says more."
        )
    return told
