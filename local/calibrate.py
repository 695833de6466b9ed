"""How long a check of a password takes here, and what that would be on Lambda: `python -m local.calibrate`.

It prints a table by which to choose the template's parameter `BcryptCost`.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import bcrypt
from rolegate import passwords

LOWEST = 10  # what the template allows at least
COSTS = range(LOWEST, passwords.HIGHEST + 1)
CHECKS = 5
PATIENCE = 3.0  # seconds: no check that would take longer is tried
# "At 1,769 MB, a function has the equivalent of one vCPU", and less has its part of one:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
FULL = 1769
MEMORIES = (512, 1024, FULL, 3008)  # MB
WAIT = 0.3  # seconds that a check should take at most


class Measured(NamedTuple):
    """The seconds of one check; not tried, but reckoned from the cost below, if `reckoned`."""

    seconds: float
    reckoned: bool = False


def share(memory: int) -> float:
    """Return the part of a core that one thread of a function with so many MB gets."""
    return min(memory / FULL, 1.0)


def on_lambda(seconds: float, memory: int) -> float:
    """Return what `seconds` of a whole core become in a function with so many MB."""
    return seconds / share(memory)


def highest(seconds: Mapping[int, float], memory: int = FULL, wait: float = WAIT) -> int | None:
    """Return the highest cost whose check takes `wait` seconds at most in a function with so many MB; None: none."""
    return max((cost for cost, taken in seconds.items() if on_lambda(taken, memory) <= wait), default=None)


def measure(check: Callable[[int], float]) -> dict[int, Measured]:
    """Return the seconds of each cost, where `check` takes one; each step of the cost doubles the work."""
    found: dict[int, Measured] = {}
    for cost in COSTS:
        reckoned = 2 * found[cost - 1].seconds if cost > LOWEST else 0.0
        if reckoned > PATIENCE:
            found[cost] = Measured(reckoned, reckoned=True)
            continue
        times = CHECKS if CHECKS * reckoned < PATIENCE else 1  # a moment's trouble is little of a long check
        found[cost] = Measured(statistics.median(check(cost) for _ in range(times)))
    return found


def check(cost: int) -> float:
    """Return for how many seconds one check at a cost keeps a core of this machine busy, however busy it is."""
    began = time.thread_time()
    bcrypt.hashpw(b"correct horse battery staple", bcrypt.gensalt(cost))  # a check is the same work
    return time.thread_time() - began


def report(found: Mapping[int, Measured]) -> Iterator[str]:
    """Give the lines to print."""
    yield "One check of a password, in milliseconds (~ is reckoned, not measured)"
    yield ""
    yield f"{'BcryptCost':>10}{'here':>10}" + "".join(f"{f'{memory} MB':>10}" for memory in MEMORIES)
    for cost, (seconds, reckoned) in found.items():
        cells = [shown(seconds, reckoned=reckoned), *(shown(on_lambda(seconds, memory)) for memory in MEMORIES)]
        yield f"{cost:>10}" + "".join(f"{cell:>10}" for cell in cells)
    yield ""
    best = highest({cost: one.seconds for cost, one in found.items()})
    most = f"{WAIT * 1000:.0f} ms at {FULL} MB"
    if best is None:
        yield f"Even BcryptCost={LOWEST}, the lowest, takes more than {most}: this machine is slow or busy."
    else:
        yield f"BcryptCost={best} is the highest that stays at or below {most}."
    yield "This machine is not Lambda's. What stands under MB is what such a part of this machine's core would take."
    yield "To measure there: deploy, sign in a few times, and read Duration in the REPORT lines of LoginFunction's log."
    yield f"Nearly all of it is the check, apart from the first time. More than {FULL} MB makes no check faster."


def shown(seconds: float, *, reckoned: bool = True) -> str:
    """Write seconds as milliseconds, marked where they were not measured."""
    return f"{'~' if reckoned else ''}{seconds * 1000:,.0f}"


if __name__ == "__main__":
    for line in report(measure(check)):
        print(line)
