"""How long the request at hand may take, and its end before Lambda's: nobody goes without an answer."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESERVE = 0.4  # seconds that are kept for the answer


class TimeIsUp(BaseException):
    """The time of a request is over, whatever was being done; no `except Exception` on the way stops it."""


class Deadline:
    """When the request at hand must be answered; never, outside `running`. An environment answers one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = math.inf

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._ends_at - self._clock()

    @contextmanager
    def running(self, context: object) -> Iterator[None]:
        """Take the time that is left from Lambda's context, where there is one, and end the block by then.

        The SDK's own limits are for one read or one address; a store that drips, or has many addresses, is only ended
        by this. Raises `TimeIsUp`, in the main thread alone, which is where Lambda calls a handler
        (https://docs.aws.amazon.com/lambda/latest/dg/python-context.html).
        """
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        if remaining is None:
            yield
            return
        seconds = remaining() / 1000 - RESERVE
        self._ends_at = self._clock() + seconds
        alarmed = threading.current_thread() is threading.main_thread()
        if alarmed:
            signal.signal(signal.SIGALRM, _end)
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
        try:
            yield
        finally:
            if alarmed:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self._ends_at = math.inf


def _end(_signal: int, _frame: object) -> None:
    raise TimeIsUp
