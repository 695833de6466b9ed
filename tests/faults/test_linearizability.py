"""Refresh and logout are linearizable: what many clients at once are answered, they could be answered one by one.

Clients in threads ask the real functions over the local AWS. What each asked and was answered is recorded, and there
must be an order in which one session, told here in words other than the code's, would have answered the same.
"""

import itertools
import json
import math
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from random import Random
from typing import NamedTuple

import pytest
from rolegate import bootstrap

from tests.conftest import NOW, Handler, World, claims, rest_event
from tests.faults.conftest import at_once
from tests.faults.linearizability import Operation, order

SKEW, CROWD = 1, 6
ENDED, REVOKED, REUSED = "ended", "refresh_token_revoked", "refresh_token_reused"


class Token(NamedTuple):
    """A refresh token: the generation is never unknown, the id is if nobody heard of the rotation that made it."""

    generation: int
    id: str | None


class Session(NamedTuple):
    """What the table knows of a session."""

    live: Token
    previous: Token | None = None
    rotated_at: int | None = None
    forgiven: int | None = None  # the generation whose late retry was forgiven last
    ended: bool = False


class Refresh(NamedTuple):
    """A client's request for the next token."""

    presented: Token
    now: int


class Logout(NamedTuple):
    """A client's request to end the session."""

    presented: Token


class Look(NamedTuple):
    """A look at the table, which is answered with what stands there."""


type Asked = Refresh | Logout | Look
type Answered = Token | Session | str
type Asking = Operation[Asked, Answered]


class Rules(NamedTuple):
    """The sequential specification of one session. No history here lasts so long that anything expires."""

    grace: int
    rotations_per_late_retry: int

    def after(self, session: Session, asked: Asked, answered: Answered | None) -> list[Session]:
        """Return the session as an operation may leave it behind: nothing, if it cannot be answered so."""
        match asked:
            case Look():
                known = _heard(session.live, answered.live) if isinstance(answered, Session) else []
                return [there for token in known if (there := session._replace(live=token)) == answered]
            case Logout():
                return [session._replace(ended=True)] if answered in (ENDED, None) else []
            case Refresh() if session.ended:
                # A reuse too, whose verdict came before the end, and whose write after it: it is told of the end.
                return [session] if answered == REVOKED else []
            case Refresh(presented, now):
                return self._refreshed(session, presented, now, answered)

    def _refreshed(self, session: Session, presented: Token, now: int, answered: Answered | None) -> list[Session]:
        live = session.live
        if presented == live and self._may_rotate(session, now):
            moved = session._replace(live=Token(live.generation + 1, None), previous=presented, rotated_at=now)
        elif presented == live or (presented == session.previous and self._may_repeat(session, now)):
            moved = session
        elif presented == session.previous and self._may_forgive(session):
            moved = session._replace(rotated_at=now, forgiven=live.generation)
        elif presented.generation < live.generation and answered in (REUSED, None):
            return [session._replace(ended=True)]
        else:
            return []
        return [moved._replace(live=token) for token in _heard(moved.live, answered)]

    def _may_rotate(self, session: Session, now: int) -> bool:
        return not self.grace or session.rotated_at is None or now - session.rotated_at > self.grace + 2 * SKEW

    def _may_repeat(self, session: Session, now: int) -> bool:
        fresh = self.grace and session.rotated_at is not None and now - session.rotated_at <= self.grace + SKEW
        return bool(fresh) or session.forgiven == session.live.generation

    def _may_forgive(self, session: Session) -> bool:
        since = math.inf if session.forgiven is None else session.live.generation - session.forgiven
        return 0 < self.rotations_per_late_retry <= since


def _heard(token: Token, answered: Answered | None) -> list[Token]:
    """Return a token as it is known after an answer: the first who hears of it tells its id; none if it is not it."""
    match answered:
        case None:
            return [token]
        case Token(generation, name) if generation == token.generation and token.id in (None, name):
            return [answered]
        case _:
            return []


STANDARD = Rules(30, 20)
A, B, C = (Token(generation, f"id-{generation}") for generation in range(3))
ROTATED: Asking = Operation(0, Refresh(A, NOW), B, 1)
ROTATED_AGAIN: Asking = Operation(2, Refresh(B, NOW + 33), C, 3)


def possible(history: list[Asking], rules: Rules = STANDARD, first: Token = A) -> bool:
    return order(history, Session(first), rules.after) is not None


RIGHT: dict[str, list[Asking]] = {
    "nothing at all": [],
    "rotations, and a parallel tab": [ROTATED, ROTATED_AGAIN, Operation(4, Refresh(B, NOW + 64), C, 5)],
    "an end while a refresh is on its way": [
        Operation(0, Refresh(A, NOW), B, 3),
        Operation(1, Logout(A), ENDED, 2),
        Operation(4, Refresh(B, NOW), REVOKED, 5),
    ],
    "an end while a reuse is on its way": [
        ROTATED,
        ROTATED_AGAIN,
        Operation(4, Refresh(A, NOW + 33), REUSED, 7),
        Operation(5, Logout(C), ENDED, 6),
    ],
    "the later call did its work first": [
        Operation(0, Refresh(A, NOW + 9), B, 3),
        Operation(1, Refresh(A, NOW), B, 2),
        Operation(4, Look(), Session(B, A, NOW), 5),
    ],
    "what nobody heard of was done": [
        Operation(0, Refresh(A, NOW)),
        Operation(1, Refresh(A, NOW + 31), B, 2),
        Operation(3, Look(), Session(B, A, NOW), 4),
    ],
    "what nobody heard of was never done": [Operation(0, Refresh(A, NOW)), Operation(1, Look(), Session(A), 2)],
    "what nobody heard of was done late": [
        Operation(0, Logout(A)),
        Operation(1, Refresh(A, NOW), B, 2),
        Operation(3, Refresh(B, NOW), REVOKED, 4),
    ],
}
WRONG: dict[str, list[Asking]] = {
    "the later call did its work first, and came too late for it": [
        Operation(0, Refresh(A, NOW + 9), B, 1),
        Operation(2, Refresh(A, NOW), B, 3),
        Operation(4, Look(), Session(B, A, NOW), 5),
    ],
    "two successors of one token": [
        Operation(0, Refresh(A, NOW), B, 2),
        Operation(1, Refresh(A, NOW), Token(1, "another"), 3),
    ],
    "a refresh after an acknowledged end": [Operation(0, Logout(A), ENDED, 1), Operation(2, Refresh(A, NOW), B, 3)],
    "a token that was never live is presented": [ROTATED, Operation(2, Refresh(C, NOW + 33), Token(3, "id-3"), 3)],
    "a token that was never live is answered": [ROTATED, Operation(2, Look(), Session(Token(1, "else"), A, NOW), 3)],
    "a spent token is answered": [ROTATED, ROTATED_AGAIN, Operation(4, Refresh(A, NOW + 33), C, 5)],
    "a spent token is the answer": [ROTATED, ROTATED_AGAIN, Operation(4, Refresh(B, NOW + 33), B, 5)],
    "two rotations within one grace": [ROTATED, Operation(2, Refresh(B, NOW + 32), C, 3)],
    "an end that nobody asked for": [ROTATED, Operation(2, Refresh(A, NOW), REVOKED, 3)],
    "a reuse of what an acknowledged end had ended": [
        ROTATED,
        ROTATED_AGAIN,
        Operation(4, Logout(C), ENDED, 5),
        Operation(6, Refresh(A, NOW + 33), REUSED, 7),
    ],
    "a reuse that ends nothing": [
        ROTATED,
        ROTATED_AGAIN,
        Operation(4, Refresh(A, NOW + 33), REUSED, 5),
        Operation(6, Refresh(C, NOW + 33), C, 7),
    ],
    "what nobody heard of was done too early": [
        Operation(0, Look(), Session(B, A, NOW), 1),
        Operation(2, Refresh(A, NOW)),
    ],
}


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT)
def test_a_right_history_is_accepted(history: list[Asking]) -> None:
    assert possible(history)


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
def test_a_wrong_history_is_refused(history: list[Asking]) -> None:
    assert not possible(history)


class OwnClock(threading.local):
    """A clock that every thread sets for itself."""

    now = NOW

    def __call__(self) -> int:
        return self.now


class Recording:
    """One session, from its sign-in until after its end, with everything that was asked of it."""

    def __init__(self, world: World, clock: OwnClock, pace: int) -> None:
        self._world, self._clock, self._pace, self._began = world, clock, pace, clock.now
        self._ticks = itertools.count()  # the time that the checker sees; `pace` seconds pass with each tick
        self._heard: list[str] = [world.login()["refresh_token"]]
        self.first = known(self._heard[0])
        self.history: list[Asking] = []

    @property
    def newest(self) -> str:
        return max(self._heard, key=known)

    def play(self, client: Mapping[str, Handler], chance: Random, logouts: float) -> None:
        """Let a client refresh some times, mostly with the newest token that anybody heard of, and perhaps log out."""
        own = self._heard[0]
        for _ in range(chance.randint(3, 6)):
            (token,) = chance.choices([self.newest, own, chance.choice(self._heard)], [12, 2, 1])
            own = self.ask("refresh", client, token) or own
        if chance.random() < logouts:
            self.ask("logout", client, own)
            self.ask("refresh", client, own)

    def ask(self, function: str, client: Mapping[str, Handler], token: str) -> str | None:
        """Have a function answer a token, and record it; return the token that was answered, if one was."""
        event, called_at = rest_event(f"/{function}", json.dumps({"refresh_token": token})), next(self._ticks)
        self._clock.now = self._began + self._pace * called_at
        asked = Refresh(known(token), self._clock.now) if function == "refresh" else Logout(known(token))
        answer = client[function](event, None)
        returned_at, body = next(self._ticks), json.loads(answer["body"] or "{}")
        if answer["statusCode"] == 503:
            self.history.append(Operation(called_at, asked))
            return None
        heard: str | None = body.get("refresh_token")
        done = known(heard) if heard else ENDED if answer["statusCode"] == 200 else body["code"]
        self.history.append(Operation(called_at, asked, done, returned_at))
        self._heard += [heard] if heard else []
        return heard

    def look(self) -> None:
        """Record what stands in the table."""
        called_at, stored = next(self._ticks), self._world.session(self._heard[0])
        live, previous = Token(stored["generation"], stored["token_id"]), stored.get("previous_token_id")
        before = Token(live.generation - 1, previous) if previous else None
        times = stored.get("rotated_at"), stored.get("late_retry_generation"), "revoked_at" in stored
        self.history.append(Operation(called_at, Look(), Session(live, before, *times), next(self._ticks)))


def known(token: str) -> Token:
    said = claims(token)
    return Token(said["gen"], said["jti"])


@pytest.fixture
def record(real_world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Rules, int, float], Recording]:
    """Give what records the session of a crowd under these rules, at this pace, with so many logouts a client."""
    clock, numbers = OwnClock(), itertools.count()
    monkeypatch.setattr(bootstrap, "_now", clock)
    real_world.add_user()

    @cache
    def clients(rules: Rules) -> list[dict[str, Handler]]:
        per_retry = str(rules.rotations_per_late_retry)
        real_world.configure(REFRESH_GRACE_SECONDS=str(rules.grace), ROTATIONS_PER_LATE_RETRY=per_retry)
        return [{function: real_world.cold(function) for function in ("refresh", "logout")} for _ in range(CROWD)]

    def record(rules: Rules, pace: int, logouts: float) -> Recording:
        dice, recording = Random(f"{rules} {next(numbers)}"), Recording(real_world, clock, pace)  # noqa: S311 - no secret
        some = clients(rules)[: dice.randint(2, CROWD)]
        plays = [(client, Random(dice.random()), logouts) for client in some]  # noqa: S311 - likewise
        at_once(*(partial(recording.play, *play) for play in plays))
        recording.look()
        recording.ask("logout", some[0], recording.newest)
        recording.ask("refresh", some[0], recording.newest)
        recording.look()
        return recording

    return record


type Record = Callable[[Rules, int, float], Recording]


@pytest.mark.parametrize("rules", [STANDARD, Rules(30, 2), Rules(0, 0), Rules(0, 3), Rules(0, 2)])
def test_what_a_crowd_is_answered_might_be_answered_one_by_one(record: Record, rules: Rules) -> None:
    for pace in [0, 1, 4, 9] * 3:
        recording = record(rules, pace, 0.2)
        assert possible(recording.history, rules, recording.first), "\n".join(map(str, sorted(recording.history)))


def test_a_recorded_history_stays_possible_whichever_answer_is_lost(record: Record) -> None:
    recording = record(STANDARD, 4, 0.2)
    for n, one in enumerate(recording.history):
        lost: Asking = Operation(one.called_at, one.asked)
        assert possible([*recording.history[:n], lost, *recording.history[n + 1 :]], STANDARD, recording.first)


def test_a_recorded_history_is_refused_once_it_is_falsified(record: Record) -> None:
    recording = record(STANDARD, 0, 0)
    *refreshes, look, logout, late, last_look = sorted(recording.history)
    first, live = recording.first, refreshes[0].answered
    assert possible(recording.history, STANDARD, first)
    assert {one.answered for one in refreshes} == {live}  # the clock stood still
    falsified = {
        "a refresh after the end": [*refreshes, look, logout, late._replace(answered=live), last_look],
        "the end came first": [logout._replace(called_at=-2, returned_at=-1), *refreshes, look, late, last_look],
        "nobody asked for the end": [*refreshes, look, late, last_look],
        "the table kept nothing": [*refreshes, look._replace(answered=Session(first)), logout, late, last_look],
        "the end was not written": [*refreshes, look, logout, late, last_look._replace(answered=look.answered)],
    }
    wrong: list[Answered] = [Token(1, "another"), Token(2, "the next"), first, REVOKED, REUSED, ENDED]
    for n, answered in itertools.product(range(len(refreshes)), wrong):
        others = [*refreshes[:n], *refreshes[n + 1 :], look, logout, late, last_look]
        falsified[f"{answered} to refresh {n}"] = [refreshes[n]._replace(answered=answered), *others]
    assert [what for what, history in falsified.items() if possible(history, STANDARD, first)] == []
