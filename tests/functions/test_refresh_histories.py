"""Whatever clients, thieves, the network and operators do in whatever order, refresh keeps its promises.

Hypothesis makes up histories and plays them against the real functions; beside them runs a small model, told in other
words than the code's. A session there is a row of generations, of which one is live and the one before may be asked
about once more.
"""

import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from rolegate.model import Caller

from tests.conftest import LAPTOP, PHONE, Fault, World, claims, stack_in_memory

GRACE, SKEW, DAY = 30, 1, 86_400
ROTATIONS_PER_LATE_RETRY = 3  # as the stack below is configured
TABLET = Caller(PHONE.source_ip, "ExampleApp/1.4 (iPad; iPadOS 19.1)")
CALLERS = [PHONE, TABLET, LAPTOP]
NUMBERS = itertools.count()

# Without Phase.shrink: finding the shortest history takes minutes; add it when one is found that breaks a promise.
PLAYED = settings(max_examples=25, stateful_step_count=40, phases=[Phase.generate])
WAITS = st.sampled_from([0, 0, 31, 32, 33, 60, 900, 900, 6 * 3600, DAY - 1])
WHICH = st.sampled_from([0, 0, 0, 1])
SELDOM = st.sampled_from([True, False, False, False])

# What may happen to the write of a refresh, and whether it happens in spite of it and is answered.
TROUBLE: dict[str, tuple[list[Fault], bool, bool]] = {
    "none": ([], True, True),
    "a first try throttled": ([Fault.THROTTLED], True, True),
    "a first answer lost": ([Fault.ANSWER_LOST], True, True),
    "out of reach": ([Fault.TIME_OUT, Fault.TIME_OUT], False, False),
    "both answers lost": ([Fault.ANSWER_LOST, Fault.ANSWER_LOST], True, False),
}


@dataclass
class Family:
    """One sign-in as it should be, and what was seen of it."""

    epoch: int
    ends_at: int
    ends: dict[int, int]  # when the token of each generation ends
    seen: dict[int, str]  # the token of each generation
    where: Caller  # that the last rotation came from
    live: int = 0
    rotated_at: int | None = None
    forgiven: int | None = None  # the generation whose late retry was forgiven last
    closed: bool = False
    # what the honest client knows and did
    held: int = 0
    ended_by_owner: bool = False
    shared: bool = False  # somebody else has presented a token of it

    def known(self, back: int) -> int:
        """Return the generation of a token that was seen, so many before the last one."""
        return sorted(self.seen)[max(-1 - back, -len(self.seen))]

    def quiet(self, now: int, seconds: int) -> bool:
        """Say whether the last rotation is longer ago than so many seconds."""
        return self.rotated_at is None or now - self.rotated_at > seconds

    def moves_on(self, generation: int, now: int) -> bool:
        """Say whether this token would be exchanged for a new one."""
        fresh = now < self.ends[generation] and now < self.ends_at
        return generation == self.live and fresh and self.quiet(now, GRACE + 2 * SKEW)

    def move_on(self, now: int, caller: Caller) -> None:
        self.live += 1
        self.ends[self.live] = min(now + DAY, self.ends_at)
        self.rotated_at, self.where = now, caller

    def may_still_be_forgiven(self, caller: Caller) -> bool:
        known = caller.source_ip == self.where.source_ip or caller.user_agent == self.where.user_agent
        rested = self.forgiven is None or self.live - self.forgiven >= ROTATIONS_PER_LATE_RETRY
        return known and rested

    def answer(self, generation: int, caller: Caller, now: int, epoch: int) -> int | str:
        """Live through a refresh: return the generation that is answered, or the code of the refusal."""
        if now >= self.ends[generation] + GRACE + SKEW:
            return "refresh_token_expired"
        if self.closed or self.epoch != epoch:
            return "refresh_token_revoked"
        if self.moves_on(generation, now):
            self.move_on(now, caller)
        elif now >= min(self.ends_at, self.ends[self.live]):
            return "refresh_token_expired"
        elif not self.may_ask_again(generation, caller, now):
            self.closed = True
            return "refresh_token_reused"
        return self.live

    def may_ask_again(self, generation: int, caller: Caller, now: int) -> bool:
        """Say whether the live token is told once more, and note it where that is the last time for long."""
        if generation != self.live - 1:
            return generation == self.live
        if self.forgiven == self.live or not self.quiet(now, GRACE + SKEW):
            return True
        forgivable = self.may_still_be_forgiven(caller)
        if forgivable:
            self.rotated_at, self.forgiven = now, self.live
        return forgivable


class Histories(RuleBasedStateMachine):
    """A user with some devices, somebody who copies tokens, an operator, and a network that loses things."""

    stack: World

    def __init__(self) -> None:
        super().__init__()
        self.world = self.stack
        self.world.restart("refresh")  # a client of the SDK stops trying again after some hundred failures
        self.name = f"user-{next(NUMBERS)}"
        self.epoch = 0
        self.role = "user"
        self.all: list[Family] = []
        self.world.add_user(self.name)
        self.sign_in()

    @property
    def now(self) -> int:
        return self.world.clock.now

    @rule()
    def sign_in(self) -> None:
        token = self.world.login(self.name)["refresh_token"]
        said = claims(token)
        self.all.append(Family(self.epoch, said["session_exp"], {0: said["exp"]}, {0: token}, PHONE))

    @rule(after=WAITS, which=WHICH, trouble=st.sampled_from(sorted(TROUBLE)), heard=st.booleans())
    def refresh(self, after: int, which: int, trouble: str, *, heard: bool) -> None:
        """Have the honest client refresh with the last token that it heard of."""
        family = self._after(after, which)
        given = self._present(family, family.held, PHONE, trouble)
        if isinstance(given, int) and heard:
            family.held = given
        if given in ("refresh_token_revoked", "refresh_token_reused"):
            late = family.forgiven is not None and 0 < family.live - family.forgiven < ROTATIONS_PER_LATE_RETRY
            assert family.ended_by_owner or family.shared or late, "an honest client was logged out without a cause"

    @rule(times=st.integers(1, 4), which=WHICH)
    def refresh_as_usual(self, times: int, which: int) -> None:
        for _ in range(times):
            self.refresh(900, which, "none", heard=True)

    @rule(which=WHICH)
    def sleep_over_an_answer(self, which: int) -> None:
        self.refresh(900, which, "none", heard=False)
        self.refresh(6 * 3600, which, "none", heard=True)

    @rule(after=WAITS, which=WHICH, back=st.sampled_from([0, 0, 1, 1, 2]), caller=st.sampled_from(CALLERS))
    def present_a_copy(self, after: int, which: int, back: int, caller: Caller) -> None:
        """Have somebody present a token of the family, of now or of some generations ago."""
        family = self._after(after, which)
        family.shared = True
        self._present(family, family.known(back), caller, "none")

    @rule(which=WHICH, back=st.sampled_from([0, 0, 1, 2]), seldom=SELDOM)
    def log_out(self, which: int, back: int, *, seldom: bool) -> None:
        if seldom:
            family = self._after(0, which)
            generation = family.known(back)
            answer = self.world.logout(family.seen[generation])
            expired = self.now >= family.ends[generation] + GRACE + SKEW
            assert answer.status == (401 if expired else 200)
            family.closed = family.ended_by_owner = True
            self._table_agrees(family)

    @rule(seldom=SELDOM)
    def sign_out_everywhere(self, *, seldom: bool) -> None:
        if seldom:
            self.epoch += 1
            self.world.change_user(self.name, session_epoch=f"epoch {self.epoch}")
            for family in self.all:
                family.ended_by_owner = True

    @rule(role=st.sampled_from(["user", "manager", "admin"]))
    def change_role(self, role: str) -> None:
        self.role = role
        self.world.change_user(self.name, role=role)

    def _after(self, seconds: int, which: int) -> Family:
        """Let time pass; return one of the last families."""
        self.world.clock.tick(seconds)
        return self.all[max(-1 - which, -len(self.all))]

    def _table_agrees(self, family: Family) -> None:
        stored = self.world.session(family.seen[0])
        assert stored["generation"] == family.live
        assert ("revoked_at" in stored) is family.closed
        assert stored.get("rotated_at") == family.rotated_at
        assert stored.get("late_retry_generation") == family.forgiven

    def _present(self, family: Family, generation: int, caller: Caller, trouble: str) -> int | str:
        """Refresh; compare the answer with the model's; return the generation answered, or the code of the refusal."""
        faults, lands, heard = TROUBLE[trouble]
        was_ended = family.ended_by_owner
        writes = self.now < family.ends[generation] + GRACE + SKEW
        if heard or not writes:
            expected = family.answer(generation, caller, self.now, self.epoch)
        else:
            if lands and not family.closed and family.epoch == self.epoch and family.moves_on(generation, self.now):
                family.move_on(self.now, caller)
            expected = "unavailable"
        self.world.wire.order("UpdateItem", *faults)
        answer = self.world.refresh(family.seen[generation], caller)
        self.world.wire.heal()
        self._table_agrees(family)
        if answer.status != 200:
            assert answer.body["code"] == expected
            return str(expected)
        assert not was_ended, "a token after the end"
        return self._answered(family, answer.body, expected)

    def _answered(self, family: Family, body: dict[str, Any], expected: int | str) -> int:
        token = body["refresh_token"]
        said = claims(token)
        assert said["gen"] == expected
        assert said["exp"] == family.ends[said["gen"]]
        assert body["refresh_expires_in"] == said["exp"] - self.now > 0
        assert claims(body["access_token"])["role"] == body["role"] == self.role
        assert family.seen.setdefault(said["gen"], token) == token, "two successors of one token"
        return int(said["gen"])


def test_every_history_keeps_the_promises() -> None:
    configured = {"REFRESH_TOKEN_DAYS": "1", "SESSION_DAYS": "2", "ROTATIONS_PER_LATE_RETRY": "3"}
    with stack_in_memory(**configured) as world:

        class Played(Histories):
            stack = world

        run_state_machine_as_test(Played, settings=PLAYED)
