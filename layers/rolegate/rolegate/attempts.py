"""How often a password may be guessed: one generic cell rate algorithm for names and for networks. Pure.

A limiter's whole state is one time, `tat`, the theoretical arrival time of the next guess: each guess moves it on by
the limit's seconds, and is allowed while it is less than a burst ahead of now (ITU-T I.371, annex A; the virtual
scheduling form in https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
"""

import hashlib
from typing import NamedTuple

from rolegate.model import Caller

TRUSTED = 30 * 86_400  # seconds after a sign-in for which a network is known as one of this user's


class Limit(NamedTuple):
    """So many guesses at once, and then one in so many seconds."""

    burst: int
    seconds: int

    @property
    def room(self) -> int:
        """How far ahead of now, in seconds, `tat` may be for one more guess."""
        return (self.burst - 1) * self.seconds


class Limits(NamedTuple):
    """What is limited: a user from one network, a user from everywhere, a network whomever it guesses."""

    user_and_network: Limit
    user: Limit
    network: Limit


DEFAULT = Limits(Limit(10, 900), Limit(100, 900), Limit(100, 10))


class Limiter(NamedTuple):
    """One limit of one name or network; its state is kept for `lifetime` seconds after the last guess.

    `kind` tells operators which of the three it is, and nobody's name.
    """

    key: str
    limit: Limit
    lifetime: int
    kind: str = ""


class Guess(NamedTuple):
    """The three limiters that one guess counts in."""

    user_and_network: Limiter
    user: Limiter
    network: Limiter


class Reservation(NamedTuple):
    """What became of the try to count a guess: it was counted at `at`, or not, and there is room in `retry_after` s.

    `backlog` is how far ahead of `at`, in seconds, the limiter was by guesses before this one.
    """

    limiter: Limiter
    id: str
    at: int
    backlog: int = 0
    retry_after: int = 0
    succeeded_at: int | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the guess may be made."""
        return self.retry_after == 0

    def is_trusted(self, now: int, since: int = 0) -> bool:
        """Tell whether this user has signed in from this network lately, and not before `since`."""
        return self.succeeded_at is not None and now - self.succeeded_at < TRUSTED and self.succeeded_at >= since

    def refund(self, now: int) -> int:
        """Return the seconds to give back for a guess: what of it has not run out by itself since.

        Its own time runs only when that of the guesses before it is over. Never more than it moved the limiter on, so
        that nobody refills another's budget.
        """
        run_out = max(0, now - self.at - self.backlog)
        return max(0, self.limiter.limit.seconds - run_out)


def guess(typed: str, caller: Caller, limits: Limits) -> Guess:
    """Return the limiters of a guess at a name as it was typed; a name that cannot be is limited as any other."""
    name = typed.strip().lower()
    return Guess(
        user_and_network=_limiter("user and network", limits.user_and_network, name, caller.network, least=TRUSTED),
        user=_limiter("user", limits.user, name),
        network=network(caller, limits.network),
    )


def network(caller: Caller, limit: Limit) -> Limiter:
    """Return the limiter of everything that comes from a caller's network."""
    return _limiter("network", limit, caller.site)


def retry_after(tat: int, limit: Limit, now: int) -> int:
    """Return in how many seconds a limiter in this state has room for a guess; 0 or less is now."""
    return tat - limit.room - now


def _limiter(kind: str, limit: Limit, *whose: str, least: int = 0) -> Limiter:
    """Name a limiter by a hash, so that a long or odd name costs no more than another."""
    told = "\0".join((kind, *whose)).encode(errors="surrogatepass")
    return Limiter(hashlib.sha256(told).hexdigest(), limit, max(least, limit.burst * limit.seconds), kind)
