"""One way to every AWS service: bounded in time, and its errors put into our words in one place."""

import logging
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    HTTPClientError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from rolegate.deadline import Deadline, within
from rolegate.errors import Misconfigured, Unavailable

TRIES = 2
CONNECT, ANSWER, PAUSE = 1, 1.5, 1  # seconds, at most, of a try and of the random pause after it
BOUNDED = Config(
    connect_timeout=CONNECT, read_timeout=ANSWER, retries={"mode": "standard", "total_max_attempts": TRIES}
)
LONGEST = CONNECT + ANSWER + PAUSE  # seconds: a try that hangs to its end, and the pause after it
_CONFLICTS = frozenset({"ReplicatedWriteConflictException", "TransactionConflictException"})
_PASSING = {
    "InternalServerError",
    "InternalServiceError",
    "InternalServiceErrorException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TooManyUpdates",
    "TransactionInProgressException",
}
_CONDITION, _CANCELED = "ConditionalCheckFailed", "TransactionCanceledException"
_SERVER_ERROR = 500


class Refused(Misconfigured):
    """AWS would not do it now nor later: a permission, table or secret is missing. `said` has AWS's own words."""

    def __init__(self, error: ClientError) -> None:
        super().__init__(f"AWS refused {error.operation_name}: {code(error)}.")
        self.code = code(error)
        self.said = str(error.response.get("Error", {}).get("Message", ""))


def client(service: str, deadline: Deadline) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
    """Return a client of `service` whose calls end before `deadline`, with `Unavailable` if need be.

    The SDK's own limits are for one read, one address, one handshake: what drips is only ended by the deadline. A try
    that would not end in time is not begun. From botocore alone: boto3 would cost a cold start a fifth more.
    """
    for name in ("botocore", "urllib3"):  # at level DEBUG they would log hashes, tokens and keys
        logging.getLogger(name).setLevel(logging.INFO)
    made: Any = botocore.session.get_session().create_client(service, config=BOUNDED)

    def in_time(**_: object) -> None:
        if deadline.left() < LONGEST:
            raise Unavailable from TimeoutError()

    call = made._make_api_call  # noqa: SLF001 - the one place that every operation goes through

    def bounded(operation: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401 - botocore's answer
        left = deadline.left()
        if left == math.inf:
            return call(operation, parameters)
        try:
            return within(left, lambda: call(operation, parameters))
        except TimeoutError as error:
            raise Unavailable from error

    made._make_api_call = bounded  # noqa: SLF001 - likewise
    events = made.meta.events
    events.register("request-created", in_time)  # once a try, the first included
    events.register("needs-retry", _again)
    return made


def _again(response: tuple[Any, Mapping[str, Any]] | None, attempts: int, **_: object) -> float | None:
    """Return the pause in seconds before the try after a conflict, in the form that botocore asks for.

    Keys that a batch left unread are asked for again likewise, with the others: one more read costs less than a merge.
    """
    answer = response[1] if response is not None else {}
    passes = (_is_conflict(answer) or bool(answer.get("UnprocessedKeys"))) and attempts < TRIES
    return PAUSE * random.random() if passes else None  # noqa: S311 - it spreads load, no secret


@contextmanager
def reached() -> Iterator[None]:
    """Turn what passes by itself (throttling, conflicts, time-outs, faults of the service) into `Unavailable`.

    Everything else, such as a missing permission or table, becomes `Refused`: an operator has to act.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code(error) in _PASSING or _is_conflict(error.response) or status >= _SERVER_ERROR:
            raise Unavailable from error
        raise Refused(error) from error
    except (HTTPClientError, BotoConnectionError) as error:
        raise Unavailable from error


def code(error: ClientError) -> str:
    """Return the code of a service's error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def condition_failed(error: ClientError) -> bool:
    """Tell whether a write, or a transaction, was refused because a condition of ours did not hold."""
    return code(error) == f"{_CONDITION}Exception" or (code(error) == _CANCELED and _of_condition(error.response))


def _is_conflict(answer: Mapping[str, Any]) -> bool:
    """Tell whether two writers met; no SDK tries that again by itself."""
    name = answer.get("Error", {}).get("Code")
    return name in _CONFLICTS or (name == _CANCELED and not _of_condition(answer))


def _of_condition(answer: Mapping[str, Any]) -> bool:
    return any(reason.get("Code") == _CONDITION for reason in answer.get("CancellationReasons", ()))
