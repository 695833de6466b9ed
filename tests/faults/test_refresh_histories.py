"""Whatever clients, thieves, operators, hosts and the network do in whatever order, refresh keeps its promises.

Hypothesis makes up histories and plays them against the real functions, two instances of refresh among them; beside
them runs a small model, told in other words than the code's. A session there is a row of generations, of which one is
live and the one before may be asked about once more.

A few histories are played, the same every time. `make faults EXAMPLES=2000` plays so many, others every time.
"""

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rolegate import endings, errors
from rolegate.deadline import Deadline
from rolegate.model import Caller
from rolegate.observe import Log
from rolegate.stores import aws
from rolegate.stores.users import Users

from tests.conftest import (
    LAPTOP,
    PASSWORD,
    PHONE,
    Death,
    Fault,
    Incident,
    World,
    claims,
    replace_password,
    rest_event,
    stack_in_memory,
)

SKEW, DAY = 1, 86_400
ROTATIONS_PER_LATE_RETRY = 3  # as the stack below is configured
TABLET = Caller(PHONE.source_ip, "ExampleApp/1.4 (iPad; iPadOS 19.1)")
NUMBERS = itertools.count()
AUDIT = Log("Rolegate").event

EXAMPLES = os.environ.get("EXAMPLES")
if EXAMPLES and not (EXAMPLES.isdecimal() and int(EXAMPLES)):
    pytest.exit("EXAMPLES must be a whole number from 1: make faults EXAMPLES=2000", returncode=2)
PLAYED = settings(
    max_examples=int(EXAMPLES or 20),
    stateful_step_count=20,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.generate],  # finding the shortest history takes minutes: add Phase.shrink when one breaks a promise
)


def die() -> None:
    raise Death


class Trouble(NamedTuple):
    """What happens to a write, try by try; whether it is done all the same; and what its caller is left with."""

    tries: list[Incident]
    done: bool = True
    left_with: str = ""  # nothing special


TROUBLES = {
    "none": Trouble([None]),
    "a first try throttled": Trouble([Fault.THROTTLED, None]),
    "a first answer lost": Trouble([Fault.ANSWER_LOST, None]),
    "out of reach": Trouble([Fault.TIME_OUT, Fault.TIME_OUT], done=False, left_with="unavailable"),
    "both answers lost": Trouble([Fault.ANSWER_LOST, Fault.ANSWER_LOST], left_with="unavailable"),
    "death before it": Trouble([die], done=False, left_with="crashed"),
    "death after it": Trouble([Fault.ANSWER_LOST, die], left_with="crashed"),
}


class Way(NamedTuple):
    """How a token is presented: by whom, to which instance, and what happens to its first and its second write."""

    caller: Caller = PHONE
    host: int = 0
    first: str = "none"
    second: str = "none"


STRAIGHT = Way()
WAITS = st.sampled_from([0, 0, 10, 29, 30, 31, 32, 33, 34, 60, 900, 900, 900, 6 * 3600, DAY - 1])
WHICH = st.sampled_from([0, 0, 0, 0, 1])
BACK = st.sampled_from([0, 0, 1, 1, 2, 3, 1000])
HOST = st.sampled_from([0, 1])
TROUBLE = st.sampled_from(list(TROUBLES))
SOME_TROUBLE = st.sampled_from(["none", "none", *TROUBLES])
ANYBODY = st.sampled_from([PHONE, TABLET, LAPTOP])
OWN_WAY = st.builds(Way, st.sampled_from([PHONE, PHONE, TABLET]), HOST, SOME_TROUBLE, SOME_TROUBLE)
ANY_WAY = st.builds(Way, ANYBODY, HOST, SOME_TROUBLE, SOME_TROUBLE)
SELDOM = st.sampled_from([True, False, False])

ANSWERED = ("rotated", "again", "late retry forgiven")
REFUSED = {
    "reused": (401, "refresh_token_reused"),
    "revoked": (401, "refresh_token_revoked"),
    "expired": (401, "refresh_token_expired"),
    "unavailable": (503, "unavailable"),
}


@dataclass
class Family:
    """One sign-in as it should be, and what was seen of it."""

    grace: int
    epoch: int
    ends_at: int
    ends: dict[int, int]  # when the token of each generation ends
    seen: dict[int, str]  # the token of each generation
    where: Caller  # that the last rotation came from
    live: int = 0
    rotated_at: int | None = None  # by the clock of the instance that did it
    forgiven: int | None = None  # the generation whose late retry was forgiven last
    closed: bool = False
    # what the honest client knows, and what truly happened
    held: int = 0
    told_at: int = 0  # when the live token was last given out as something new
    disturbed: bool = False  # somebody else presented a token of it, or somebody tried to end it
    ended: bool = False  # and was told that it is
    refusals: int = 0
    kept: dict[str, Any] = field(default_factory=dict)  # what the table held last, and in which state
    kept_at: tuple[object, ...] = ()
    ids: dict[int, str] = field(default_factory=dict)  # the identity of each generation's token

    @property
    def state(self) -> tuple[object, ...]:
        return self.live, self.rotated_at, self.forgiven, self.closed

    def known(self, back: int) -> int:
        """Return the generation of a token that was seen, so many before the last one."""
        return sorted(self.seen)[max(-1 - back, -len(self.seen))]

    def quiet(self, now: int, skew: int) -> bool:
        """Say whether the last rotation is longer ago than the grace, if there is one, and the skew."""
        return self.rotated_at is None or not self.grace or now - self.rotated_at > self.grace + skew

    def past(self, generation: int, now: int) -> bool:
        """Say whether a token is so old that nobody looks any further."""
        return now >= self.ends[generation] + self.grace + SKEW

    def verdict(self, generation: int, caller: Caller, now: int, epoch: int) -> str:
        """Return what is to be said to who presents this token, by what the table knows."""
        if self.closed or self.epoch != epoch:
            return "revoked"
        if now >= min(self.ends_at, self.ends[self.live]):
            return "expired"
        if generation == self.live:
            return "rotated" if self.quiet(now, 2 * SKEW) else "again"
        if generation == self.live - 1:
            if self.forgiven == self.live or not self.quiet(now, SKEW):
                return "again"
            if self.may_be_forgiven(caller):
                return "late retry forgiven"
        return "reused"

    def may_be_forgiven(self, caller: Caller) -> bool:
        known = caller.source_ip == self.where.source_ip or caller.user_agent == self.where.user_agent
        return known and (self.forgiven is None or self.live - self.forgiven >= ROTATIONS_PER_LATE_RETRY)

    def become(self, verdict: str, caller: Caller, now: int) -> None:
        match verdict:
            case "rotated":
                self.live += 1
                self.ends[self.live] = min(now + DAY, self.ends_at)
                self.rotated_at, self.where = now, caller
            case "late retry forgiven":
                self.rotated_at, self.forgiven = now, self.live
            case "reused":
                self.closed = True

    def live_through(self, generation: int, way: Way, now: int, epoch: int | None) -> str:
        """Live through a refresh; return what its caller is left with.

        The first write is the rotation, which finds out about everything that the table knows. Only a late retry and a
        reuse take a second one.
        """
        if self.past(generation, now):
            return "expired"
        if epoch is None:
            return "revoked"
        verdict = self.verdict(generation, way.caller, now, epoch)
        writes = [TROUBLES[way.first], TROUBLES[way.second]][: 2 if verdict in ("late retry forgiven", "reused") else 1]
        stop = next((n for n, write in enumerate(writes, 1) if write.left_with), None)
        if stop is None or (stop == len(writes) and writes[-1].done):
            self.become(verdict, way.caller, now)
        return writes[stop - 1].left_with if stop else verdict


class Histories(RuleBasedStateMachine):
    """A user with some devices, somebody who copies tokens, an operator, and hosts and a network that fail."""

    stack: ClassVar[World]
    counted: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.counted["examples"] += 1
        self.world, self.now = self.stack, self.stack.clock.now
        self.name, self.password, self.role = f"user-{next(NUMBERS)}", PASSWORD, "user"
        self.epochs = 0
        self.epoch: int | None = 0  # none while the user is kept out
        self.all: list[Family] = []
        self.world.add_user(self.name)

    @initialize(grace=st.sampled_from([30, 30, 30, 0]), fast=st.sampled_from([-SKEW, 0, SKEW]))
    def begin(self, grace: int, fast: int) -> None:
        """Have two new instances of refresh, the clock of one of them a little fast or slow, and sign in."""
        self.grace, self.fast = grace, [0, fast]
        self.world.settings["REFRESH_GRACE_SECONDS"] = str(grace)
        self.hosts = [self.world.cold("refresh") for _ in range(2)]
        self.sign_in()

    @invariant()
    def count(self) -> None:
        self.counted["steps"] += 1

    @rule(trouble=TROUBLE, seldom=SELDOM)
    def sign_in_again(self, trouble: str, *, seldom: bool) -> None:
        if seldom:
            self.sign_in(trouble)

    def sign_in(self, trouble: str = "none") -> None:
        met, body = TROUBLES[trouble], {"username": self.name, "password": self.password}
        self.world.wire.order("PutItem", *met.tries)
        answer = self._answer(lambda: self.world.post("login", body))
        self.world.restart("login")
        if met.left_with:  # nobody holds a token of the session that may be there
            assert (answer and answer.status) == {"unavailable": 503, "crashed": None}[met.left_with]
            return
        token = answer.body["refresh_token"]
        said = claims(token)
        self.all.append(Family(self.grace, self.epochs, said["session_exp"], {0: said["exp"]}, {0: token}, PHONE))
        self._table_agrees(self.all[-1])

    @rule(which=WHICH, turns=st.lists(st.tuples(WAITS, OWN_WAY, st.booleans()), min_size=1, max_size=3))
    def refresh(self, which: int, turns: list[tuple[int, Way, bool]]) -> None:
        for after, way, heard in turns:
            self._go_on(self._after(after, which), way, heard=heard)

    @rule(
        before=st.sampled_from([900, 900, DAY - 1]),
        nap=st.sampled_from([3600, 3600, 30]),
        host=HOST,
        between=st.integers(0, ROTATIONS_PER_LATE_RETRY),
    )
    def sleep_over_answers(self, before: int, nap: int, host: int, between: int) -> None:
        self._go_on(self._after(before, 0), heard=False)
        self._go_on(self._after(nap, 0), Way(host=host))
        for turn in range(between):
            self._go_on(self._after(900, 0), Way(host=turn % 2))
        if between:
            self.sleep_over_answers(900, 3600, host, 0)

    @rule(after=WAITS, which=WHICH, back=BACK, way=ANY_WAY)
    def present_a_copy(self, after: int, which: int, back: int, way: Way) -> None:
        """Have somebody present a token of the family, of now or of some generations ago."""
        family = self._after(after, which)
        family.disturbed = True
        self._present(family, family.known(back), way)

    @rule(which=WHICH, one=ANYBODY, other=ANYBODY)
    def have_somebody_retry_late(self, which: int, one: Caller, other: Caller) -> None:
        family = self._after(900, which)
        family.disturbed = True
        generation = family.known(0)
        self._present(family, generation, Way(one))
        self._after(3600, which)
        self._present(family, generation, Way(other, 1))

    @rule(after=WAITS, which=WHICH, asleep=SELDOM, copy=st.none() | BACK, caller=ANYBODY)
    def refresh_at_once(self, after: int, which: int, copy: int | None, caller: Caller, *, asleep: bool) -> None:
        """Have another tab, or somebody with a copy, refresh while the honest client's refresh is about to write."""
        if asleep:
            self._go_on(self._after(900, which), heard=False)
        family = self._after(3600 if asleep else after, which)
        family.disturbed |= copy is not None

        def refresh() -> None:
            if copy is None:
                self._go_on(family, Way(host=1))
            else:
                self._present(family, family.known(copy), Way(caller, 1))

        self._go_on(family, meanwhile=refresh)

    @rule(trouble=TROUBLE, which=WHICH, back=BACK, seldom=SELDOM)
    def log_out(self, trouble: str, which: int, back: int, *, seldom: bool) -> None:
        if seldom:
            family = self._after(0, which)
            family.disturbed = True
            generation, met = family.known(back), TROUBLES[trouble]
            self.world.restart("logout")
            self.world.wire.order("UpdateItem", *met.tries)
            answer = self._answer(lambda: self.world.logout(family.seen[generation]).status)
            heard = 401 if family.past(generation, self.now) else 200
            assert answer == {"": heard, "unavailable": 503, "crashed": None}[met.left_with]
            family.closed |= met.done
            family.ended |= not met.left_with
            self._table_agrees(family)

    @rule(trouble=TROUBLE, which=WHICH, how=st.sampled_from(["sign out", "keep out", "new password"]), seldom=SELDOM)
    def end_everything(self, trouble: str, which: int, how: str, *, seldom: bool) -> None:
        if not seldom:
            return
        match how:
            case "sign out":
                self._end_all(trouble, lambda users: endings.sign_out_everywhere(self.name, users, AUDIT, self.now))
            case "keep out":
                if self._end_all(trouble, lambda users: endings.disable(self.name, users, AUDIT, self.now)):
                    self.epoch = None
                    family = self._after(0, which)
                    self._present(family, family.known(0))
                self._end_all("none", lambda users: endings.enable(self.name, users, AUDIT, self.now))
            case _:
                new = f"{PASSWORD} {next(NUMBERS)}"
                if self._end_all(trouble, lambda users: replace_password(users, self.name, new, self.now)):
                    self.password = new

    def _end_all(self, trouble: str, end: Callable[[Users], None]) -> bool:
        """End everything of the user; tell whether it was done, heard of or not."""

        def left_with() -> str:
            try:
                end(Users(aws.client("dynamodb", Deadline()), "users"))
            except errors.Unavailable:
                return "unavailable"
            return ""

        met = TROUBLES[trouble]
        self.world.wire.order("UpdateItem", *met.tries)
        said = self._answer(left_with)
        assert ("crashed" if said is None else said) == met.left_with
        if met.done:
            self.epochs += 1
            self.epoch = self.epochs
        for family in self.all:
            family.disturbed = True
            family.ended |= not met.left_with
        return met.done

    @rule(role=st.sampled_from(["user", "manager", "admin"]))
    def change_role(self, role: str) -> None:
        self.role = role
        self.world.change_user(self.name, role=role)

    def _after(self, seconds: int, which: int) -> Family:
        """Let time pass; return one of the last families. One that was refused twice has told its story."""
        if self.all[-1].refusals > 1 and self.epoch is not None:
            self.sign_in()
        self.now += seconds
        self.world.clock.now = self.now
        return self.all[max(-1 - which, -len(self.all))]

    def _go_on(
        self, family: Family, way: Way = STRAIGHT, *, heard: bool = True, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Have the honest client refresh with the last token that it heard of."""
        said = self._present(family, family.held, way, meanwhile)
        if said in ("revoked", "reused"):
            spent = family.forgiven is not None and 0 < family.live - family.forgiven < ROTATIONS_PER_LATE_RETRY
            assert family.disturbed or spent, "an honest client was logged out without a cause"
        if said == "expired":
            assert self.now + SKEW >= family.ends[family.held], "a token ended before its time"
        if said in ANSWERED and heard:
            family.held = family.live

    def _present(
        self, family: Family, generation: int, way: Way = STRAIGHT, meanwhile: Callable[[], None] | None = None
    ) -> str:
        """Refresh; hold the answer against the model's; return what came of it.

        What happens meanwhile does so just before the write that decides.
        """
        rotated_at, told_at, was_ended = family.rotated_at, family.told_at, family.ended
        event = rest_event("/refresh", json.dumps({"refresh_token": family.seen[generation]}), caller=way.caller)
        with self._clock_of(way.host) as now:
            tries = [*TROUBLES[way.first].tries, *TROUBLES[way.second].tries]
            if meanwhile:
                late = family.verdict(generation, way.caller, now, self.epochs) == "late retry forgiven"
                tries = [None, meanwhile] if late else [meanwhile]
            self.world.wire.order("UpdateItem", *tries)
            given = self._answer(lambda: self.hosts[way.host](event, None))
        said = family.live_through(generation, way, now, self.epoch)
        self.counted.update(["refreshes", said])
        if family.rotated_at != rotated_at:
            assert self.now - told_at > self.grace or not self.grace, "two new answers within a grace"
            family.told_at = self.now
        stored = self._table_agrees(family)
        if given is None:
            assert said == "crashed"
            self.hosts[way.host] = self.world.cold("refresh")
        elif said in ANSWERED:
            assert given["statusCode"] == 200
            assert not was_ended, "a token after the end"
            self._tokens_agree(family, json.loads(given["body"]), stored, now)
        else:
            assert (given["statusCode"], json.loads(given["body"])["code"]) == REFUSED[said]
            family.refusals += said != "unavailable"
        return said

    def _answer(self, ask: Callable[[], Any]) -> Any:
        """Return the answer of a function; None where it died before."""
        try:
            return ask()
        except Death:
            return None
        finally:
            self.world.wire.heal()

    @contextmanager
    def _clock_of(self, host: int) -> Iterator[int]:
        before, self.world.clock.now = self.world.clock.now, self.now + self.fast[host]
        yield self.world.clock.now
        self.world.clock.now = before

    def _table_agrees(self, family: Family) -> dict[str, Any]:
        stored = self.world.session(family.seen[0])
        told = (stored.get(name) for name in ("generation", "rotated_at", "late_retry_generation"))
        assert (*told, "revoked_at" in stored) == family.state
        assert family.ids.setdefault(family.live, stored["token_id"]) == stored["token_id"], "two successors of a token"
        assert family.state != family.kept_at or stored == family.kept, "what changes nothing changed something"
        family.kept, family.kept_at = stored, family.state
        return stored

    def _tokens_agree(self, family: Family, body: dict[str, Any], stored: dict[str, Any], now: int) -> None:
        token = body["refresh_token"]
        said = claims(token)
        assert (said["gen"], said["jti"]) == (family.live, stored["token_id"]), "an answer that is not the live token"
        assert said["exp"] == stored["token_expires_at"] == family.ends[family.live]
        assert body["refresh_expires_in"] == said["exp"] - now > 0
        assert claims(body["access_token"])["role"] == body["role"] == self.role
        assert family.seen.setdefault(family.live, token) == token, "other bytes for the same token"


def test_every_history_keeps_the_promises(capsys: pytest.CaptureFixture[str]) -> None:
    class Played(Histories):
        counted: ClassVar[Counter[str]] = Counter()

    configured = {"REFRESH_TOKEN_DAYS": "1", "SESSION_DAYS": "2", "ROTATIONS_PER_LATE_RETRY": "3"}
    with stack_in_memory(**configured) as Played.stack, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        run_state_machine_as_test(Played, settings=PLAYED)
    kinds = ["examples", "steps", "refreshes", *ANSWERED, *REFUSED, "crashed"]
    counted = ", ".join(f"{Played.counted[kind]} {kind}" for kind in kinds)
    with capsys.disabled():
        print(f"\n{'Random' if EXAMPLES else 'Repeatable'} histories: {counted}")  # noqa: T201 - so that a run can be quoted
