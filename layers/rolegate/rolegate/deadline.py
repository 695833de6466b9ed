"""How long the request at hand may still take: nobody begins what the function's time-out would cut off."""

import math
import time
from collections.abc import Callable


class Deadline:
    """When Lambda ends the request at hand; never, until `begin`. An environment answers one request at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = math.inf

    def begin(self, context: object) -> None:
        """Take the time that is left from Lambda's context, where there is one.

        https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
        """
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        self._ends_at = math.inf if remaining is None else self._clock() + remaining() / 1000

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._ends_at - self._clock()
