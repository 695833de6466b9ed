"""Tells whether a recorded parallel history could have been a sequential one: whether it is linearizable.

The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993), which remembers where it has
been as Lowe proposes ("Testing for linearizability", 2017). It knows nothing of what was tested: a specification says
what one operation may do to one state.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple


class Operation[Asked, Answered](NamedTuple):
    """What somebody asked and was answered, and when: in any unit, as long as it is everybody's.

    Of an operation without a known outcome there is no answer and no return: it may have been done at any time after
    its call, or never.
    """

    called_at: float
    asked: Asked
    answered: Answered | None = None
    returned_at: float = math.inf


def order[State: Hashable, Asked, Answered](
    history: Iterable[Operation[Asked, Answered]],
    beginning: State,
    after: Callable[[State, Asked, Answered | None], Iterable[State]],
) -> list[Operation[Asked, Answered]] | None:
    """Return an order in which the operations may have been done one by one, or None if there is none.

    In that order nothing comes before what had returned when it was called. `after` is the specification: every state
    that an operation may leave behind, none if it cannot have been answered so.
    """
    operations = sorted(history, key=lambda operation: operation.called_at)
    known = frozenset(n for n, operation in enumerate(operations) if operation.returned_at < math.inf)
    in_vain: set[tuple[frozenset[int], State]] = set()

    def search(left: frozenset[int], state: State) -> list[int] | None:
        """Return an order for the operations that are left; whoever's outcome is unknown may stay left for ever."""
        if not left & known:
            return []
        if (left, state) in in_vain:
            return None
        first_return = min(operations[n].returned_at for n in left)
        for n in sorted(left):
            operation = operations[n]
            if operation.called_at > first_return:
                break  # this one, and all that were called later, had to wait for another
            for following in after(state, operation.asked, operation.answered):
                rest = search(left - {n}, following)
                if rest is not None:
                    return [n, *rest]
        in_vain.add((left, state))
        return None

    found = search(frozenset(range(len(operations))), beginning)
    return None if found is None else [operations[n] for n in found]
