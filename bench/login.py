"""Login beside a bare bcrypt check, and one refusal beside another: `python -m bench.login`, a minute and a half.

The real handler, in this process, over moto's AWS. What passes inside the SDK's calls is taken out of its time, for
moto is no DynamoDB; how often login waits for them is counted instead. Each figure stands beside the bar that the
design sets for it; one that is missed says why.
"""

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TextIO
from unittest import mock

import bcrypt
from botocore.client import BaseClient

from bench.authorizer import judge
from tests.conftest import PASSWORD, Event, World, rest_event, stack_in_memory

COST, QUICK = 12, 10  # production's; and one by which hundreds of tries take less than a minute
CHECKS = 25
TRIES = 50  # of each refusal that is judged; half of them of any other
UNLIMITED = dict.fromkeys(("USER_NETWORK_LIMIT", "USER_LIMIT", "NETWORK_LIMIT"), "1000000/1")
TRIP = 0.1  # seconds that each call takes at least while trips are counted, so that calls made at once overlap
CONTEXT = SimpleNamespace(aws_request_id="bench", get_remaining_time_in_millis=lambda: 29_000)
NFC, TYPED = "crème brûlée 1", "cre\u0300me bru\u0302le\u0301e 1"
DJANGO = f"pbkdf2_sha256$1000$c2FsdA${'A' * 43}="  # a thousandth of what Django makes today
BUSY = "The machine was busy with something else, or"


class Call(NamedTuple):
    """One call of the SDK: from when to when, and for how many seconds its thread kept a core busy."""

    operation: str
    began: float
    ended: float
    cpu: float


class Spent(NamedTuple):
    """Seconds, apart from the SDK's calls."""

    wall: float
    cpu: float


class Bench:
    """A stack in memory, the calls of its SDK noted."""

    def __init__(self, world: World) -> None:
        self.world, self.calls, self.trip = world, list[Call](), 0.0

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note every call of the SDK until the block ends."""
        real = BaseClient._make_api_call  # type: ignore[attr-defined] # noqa: SLF001 - the one way of every operation

        def noted(client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401 - botocore's answer
            began, busy = time.perf_counter(), time.thread_time()
            try:
                time.sleep(self.trip)
                return real(client, operation, parameters)
            finally:
                self.calls.append(Call(operation, began, time.perf_counter(), time.thread_time() - busy))

        with mock.patch.object(BaseClient, "_make_api_call", noted):
            yield

    def spent(self, work: Callable[[], object]) -> Spent:
        """Return what `work` took; `calls` holds its calls of the SDK afterwards."""
        self.calls.clear()
        began, busy = time.perf_counter(), time.process_time()
        work()
        wall, cpu = time.perf_counter() - began, time.process_time() - busy
        return Spent(wall - covered(self.calls), cpu - sum(call.cpu for call in self.calls))

    def login(self, event: Event, status: int = 200, *, after: int = 2) -> Spent:
        """Ask for tokens `after` so many seconds; by then what the guess before had counted has run out."""
        handler = self.world.handler("login")
        self.world.clock.tick(after)

        def ask() -> None:
            answer = handler(event, CONTEXT)
            if answer["statusCode"] != status:
                raise RuntimeError(answer)

        return self.spent(ask)


@contextmanager
def stack(cost: int, log: TextIO) -> Iterator[Bench]:
    """Lay out a stack whose hashes have this cost, where nobody is limited."""
    with redirect_stdout(log), stack_in_memory(BCRYPT_COST=str(cost), **UNLIMITED) as world:
        bench = Bench(world)
        with bench.noting():
            yield bench


def covered(calls: Sequence[Call]) -> float:
    """Return the seconds in which at least one call was under way: of those made at once, the longest counts."""
    seconds = reached = 0.0
    for call in sorted(calls, key=lambda call: call.began):
        seconds += max(0.0, call.ended - max(call.began, reached))
        reached = max(reached, call.ended)
    return seconds


def trips(calls: Sequence[Call]) -> list[list[str]]:
    """Group calls by the trip that they shared: one that began after another's end has waited for it."""
    groups: list[list[Call]] = []
    for call in sorted(calls, key=lambda call: call.began):
        if groups and call.began < min(other.ended for other in groups[-1]):
            groups[-1].append(call)
        else:
            groups.append([call])
    return [sorted(call.operation for call in group) for group in groups]


def asking(name: str, password: str) -> Event:
    """Return the event of a login."""
    return rest_event("/login", json.dumps({"username": name, "password": password}))


def own_time(bench: Bench) -> tuple[list[Spent], list[Spent]]:
    """Return what bare checks of a hash took and what logins with the same did, in turns."""
    bench.world.add_user()
    event = asking("alice", PASSWORD)
    secret, stored = PASSWORD.encode(), bench.world.user()["password_hash"].encode()
    bench.login(event)  # the first one fetches the keys
    bare, login = [], []
    for _ in range(CHECKS):
        bare.append(bench.spent(lambda: bcrypt.checkpw(secret, stored)))
        login.append(bench.login(event))
    return bare, login


def round_trips(bench: Bench) -> dict[str, list[list[str]]]:
    """Return the trips of a login that has its keys, by what came before it."""
    bench.world.add_user("bob")
    right, wrong = asking("bob", PASSWORD), asking("bob", "not this one")
    found = {}
    bench.trip = TRIP
    for told in ("from a network that is new to this user", "from a network that is known"):
        bench.login(right)
        found[told] = trips(bench.calls)
    bench.login(wrong, 401)
    bench.login(right, after=0)
    found["while a wrong guess still counts"] = trips(bench.calls)
    bench.trip = 0.0
    return found


class Refusal(NamedTuple):
    """Somebody who is refused, and how often."""

    told: str
    event: Event
    times: int


def alike(bench: Bench, mark: str, password: str, typed: str, times: int) -> list[Refusal]:
    """Register users whose refusals must not differ; their names bear a mark."""
    slug = mark.lower().replace(" ", "-")
    users = {kind: f"{kind}-{slug}" for kind in ("wrong", "disabled", "cheap")}
    for name in users.values():
        answer = bench.world.post("register", {"username": name, "password": password})
        if answer.status != 201:  # noqa: PLR2004 - created
            raise RuntimeError(answer)
    bench.world.change_user(users["disabled"], disabled=True)
    cheap = bcrypt.hashpw(password.encode(), bcrypt.gensalt(QUICK - 2)).decode()
    bench.world.change_user(users["cheap"], password_hash=cheap)
    return [
        Refusal(f"{mark}, unknown user", asking(f"nobody-{slug}", typed), times),
        Refusal(f"{mark}, wrong password", asking(users["wrong"], f"{typed}2"), times),
        Refusal(f"{mark}, disabled user with the right password", asking(users["disabled"], typed), times),
        Refusal(f"{mark}, wrong password, a hash of cost {QUICK - 2}", asking(users["cheap"], f"{typed}2"), times),
    ]


def others(bench: Bench) -> list[Refusal]:
    """Register users whose hash takes its own time, or none."""
    dear = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(QUICK + 1)).decode()
    stored = {"a cheap hash of Django's": DJANGO, "a hash of no known form": "x", f"a hash of cost {QUICK + 1}": dear}
    for place, one in enumerate(stored.values()):
        bench.world.add_user(f"other-{place}", password_hash=one)
    return [
        Refusal(f"wrong password, {told}", asking(f"other-{place}", "not this one"), TRIES // 2)
        for place, told in enumerate(stored)
    ]


def refused(bench: Bench, refusals: Sequence[Refusal]) -> dict[str, list[Spent]]:
    """Return what each refusal took, asked in rounds, each in another order."""
    order = random.Random(0)  # noqa: S311 - an order, no secret
    bench.login(refusals[0].event, 401)  # what is made once is made now
    taken: dict[str, list[Spent]] = {refusal.told: [] for refusal in refusals}
    for turn in range(TRIES):
        for refusal in order.sample(refusals, len(refusals)):
            if turn < refusal.times:
                taken[refusal.told].append(bench.login(refusal.event, 401))
    return taken


def medians(taken: Sequence[Spent]) -> Spent:
    """Return the median of each kind of seconds."""
    return Spent(*map(statistics.median, zip(*taken, strict=True)))


def show(taken: Mapping[str, Sequence[Spent]]) -> list[Spent]:
    """Print a row each; return its medians."""
    rows = {told: medians(each) for told, each in taken.items()}
    for told, row in rows.items():
        print(f"  {row.wall * 1000:9.3f} ms, {row.cpu * 1000:9.3f} ms of CPU, {len(taken[told]):3} times  {told}")
    return list(rows.values())


def main(log: TextIO) -> None:
    """Measure, and print each figure beside its bar; the functions write into `log`."""
    with stack(COST, log) as bench:
        bare, login = own_time(bench)
        found = round_trips(bench)
    print(f"\nAt cost {COST}, store calls aside: medians, taken in turns")
    check, ours = show({"a bare bcrypt.checkpw": bare, "login": login})
    why = f"{BUSY} login does more than it should. Of CPU time it is {ours.cpu / check.cpu:.2f}."
    judge("login, of a bare bcrypt.checkpw", ours.wall / check.wall, 1.05, why)

    print("\nRound trips of a login that has its keys; at a semicolon it waits")
    for told, waits in found.items():
        print(f"  {len(waits)} {told}: {'; '.join(' + '.join(calls) for calls in waits)}")
    for told in list(found)[:2]:
        judge(f"round trips {told}", len(found[told]), 3, "Something waits that could go at once.")

    with stack(QUICK, log) as bench:
        groups = alike(bench, "NFC", PASSWORD, PASSWORD, TRIES), alike(bench, "not NFC", NFC, TYPED, TRIES // 2)
        more = others(bench)
        taken = refused(bench, [*groups[0], *groups[1], *more])
    print(f"\nRefusals at cost {QUICK}, store calls aside: medians, taken in turns; wall time is judged")
    for group in groups:
        rows = show({one.told: taken[one.told] for one in group})
        wall, cpu = (max(kind) / min(kind) for kind in zip(*rows, strict=True))
        why = f"{BUSY} one of them does more than another. Of CPU time it is {cpu:.2f}."
        judge("the longest of these, of the shortest", wall, 1.05, why)
    print("  Without a bar, for these are not alike:")
    show({one.told: taken[one.told] for one in more})


if __name__ == "__main__":
    with Path(os.devnull).open("w") as nowhere:
        main(nowhere)
