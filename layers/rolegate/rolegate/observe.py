"""What operators see: one line of JSON an event, and a metric for those that ask for somebody's eyes.

Only what is named here gets out: never a token, a password, a hash, or a name that is no user's.
"""

import os.path
import traceback
from collections.abc import Mapping
from typing import Any

from rolegate.errors import Misconfigured

METRICS: Mapping[str, str] = {
    "refresh_token_reused": "RefreshTokenReused",
    "refresh_repeated_elsewhere": "RefreshRepeatedElsewhere",
    "attempts_limited": "AttemptsLimited",
    "authorizer_unavailable": "AuthorizerUnavailable",
    "rotation_failed": "RotationFailed",
}


class Log:
    """Audit events and failures, through Powertools: loaded at the first event, for it costs a cold start 45 ms."""

    def __init__(self, namespace: str) -> None:
        self.request_id: str | None = None  # Lambda's, of the request at hand
        self._namespace = namespace
        self._logger: Any = None

    def event(self, event: str, **facts: str | int | None) -> None:
        """Write an audit event, and count it if `METRICS` names it."""
        if event in METRICS:
            self.measure(METRICS[event], 1)
            self._powertools().warning(event, **self._told(facts))
        else:
            self._powertools().info(event, **self._told(facts))

    def failure(self, error: BaseException) -> None:
        """Write what failed and where, without the error's own words: they may quote a password or a token."""
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119
        cause = error.__cause__
        facts = {
            "error": type(error).__name__,
            "cause": type(cause).__name__ if cause else None,
            # Of these the words are our own, or AWS's name for what it met.
            "reason": next((str(one) for one in (error, cause) if isinstance(one, Misconfigured)), None),
            "aws_error": (getattr(cause, "response", None) or {}).get("Error", {}).get("Code"),
        }
        self._powertools().error("failure", **self._told(facts), where=where)

    def _told(self, facts: Mapping[str, str | int | None]) -> dict[str, str | int]:
        """Return the facts that there are, with the request that they belong to."""
        return {name: fact for name, fact in {"request_id": self.request_id, **facts}.items() if fact is not None}

    def _powertools(self) -> Any:  # noqa: ANN401 - loaded late
        if self._logger is None:
            from aws_lambda_powertools import Logger  # noqa: PLC0415

            self._logger = Logger(service="rolegate", location=None, use_rfc3339=True, utc=True)
        return self._logger

    def measure(self, metric: str, value: float) -> None:
        """Write a value of a metric, under the namespace and without dimensions."""
        from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415

        with single_metric(name=metric, unit=MetricUnit.Count, value=value, namespace=self._namespace):
            pass
