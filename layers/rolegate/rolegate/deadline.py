"""How long the request at hand may take, so that it is answered before Lambda ends the function."""

import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

RESERVE = 0.4  # seconds that are kept for the answer


class Deadline:
    """When the request at hand must be answered; never, until `begin`. An environment answers one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = math.inf

    def begin(self, context: object) -> None:
        """Take the time that is left from Lambda's context, where there is one.

        https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
        """
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        self._ends_at = math.inf if remaining is None else self._clock() + remaining() / 1000 - RESERVE

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._ends_at - self._clock()


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Make several calls at once, and return what each gives; raise what the first of them raised, when all have ended.

    A store's calls wait for its answer most of their time: at once they take one round trip.
    """
    outcomes: list[tuple[Any, BaseException | None]] = [(None, None)] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        try:
            outcomes[place] = call(), None
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcomes[place] = None, error

    threads = [threading.Thread(target=run, args=one, daemon=True) for one in list(enumerate(calls))[1:]]
    for thread in threads:
        thread.start()
    for call in calls[:1]:  # in this thread, which would only wait
        run(0, call)
    for thread in threads:
        thread.join()
    for _, error in outcomes:
        if error is not None:
            raise error
    return [given for given, _ in outcomes]


def within(seconds: float, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call gives
    """Return what a call gives, or raise `TimeoutError` when `seconds` have passed.

    The call then goes on in its thread, and nobody hears of it: as if its answer had got lost. Nothing gentler ends
    whatever may hang, a look-up of a name included, and an exception that strikes anywhere could leave a lock locked.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        given, error = outcome.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return given
