"""One way to every AWS service: bounded in time, and its errors put into our words in one place."""

from collections.abc import Iterator
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

from rolegate.errors import Unavailable

# Two tries of at most 1 s to connect and 1.5 s to answer, and up to 1 s between them: two calls that both hang to their
# end still fit into the shortest time-out of a function that waits for them (8 s).
BOUNDED = Config(connect_timeout=1, read_timeout=1.5, retries={"mode": "standard", "total_max_attempts": 2})
_PASSING = frozenset(
    {
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
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SERVER_ERROR = 500


def client(service: str) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
    """Return a client of `service`, from botocore alone: boto3 would cost a cold start a fifth more."""
    return botocore.session.get_session().create_client(service, config=BOUNDED)


@contextmanager
def reached() -> Iterator[None]:
    """Turn what passes by itself (throttling, time-outs, faults of the service) into `Unavailable`.

    Everything else, such as a missing permission or table, stays what it is: nobody should try that again.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code(error) in _PASSING or status >= _SERVER_ERROR:
            raise Unavailable from error
        raise
    except (HTTPClientError, BotoConnectionError) as error:
        raise Unavailable from error


def code(error: ClientError) -> str:
    """Return the code of a service's error."""
    return str(error.response.get("Error", {}).get("Code", ""))
