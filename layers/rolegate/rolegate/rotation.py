"""The use cases of keys: keep both rings, throw away what leaked, sign everyone out, and say how things stand."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rolegate import keyring
from rolegate.errors import InvalidRequest, Misconfigured, Unavailable
from rolegate.keyring import Ring, Rule
from rolegate.model import Audit

if TYPE_CHECKING:
    from rolegate.stores.documents import Documents
    from rolegate.stores.rings import RingStore

DAY = 86_400  # seconds
TRIES = 5
Report = dict[str, Any]


class Rotation(NamedTuple):
    """What keeping the keys needs from the world."""

    signing: "RingStore"
    refresh: "RingStore"
    documents: "Documents"
    signing_rule: Rule
    refresh_rule: Rule
    audit: Audit
    measure: Callable[[str, float], None]


def carry_out(order: Mapping[str, Any], world: Rotation, now: int) -> Report:
    """Do what an operator's event orders, and report; whatever orders nothing is a daily run.

    Raises `InvalidRequest` for an order that there is not, `Misconfigured` for a secret that holds no ring,
    `Unavailable`: then nothing is lost, and the same order or the next daily run brings it to its end.
    """
    match order:
        case {"action": "show"}:
            return _report(_there(world.signing.read()[0]), _there(world.refresh.read()[0]), world, now)
        case {"action": "rotate", "compromised": "signing" | "refresh" | "both" as which}:
            return drop(which, world, now)
        case {"action": "rotate", **more} if not more:
            return rotate(world, now, early=True)
        case {"action": "sign-out-everyone"}:
            return sign_everyone_out(world, now)
        case {"action": _}:
            raise InvalidRequest(
                "The action must be show, rotate (with compromised: signing, refresh or both) or sign-out-everyone."
            )
        case _:
            return rotate(world, now)


def rotate(world: Rotation, now: int, *, early: bool = False) -> Report:
    """Make, rotate or prune both rings as they are due, or early, and publish; a repetition changes nothing.

    A run may die between any two of its writes: what signs was published before, and the next run does the rest.
    """
    refresh, _ = world.refresh.update(lambda ring: keyring.kept(ring, world.refresh_rule, now, early=early))
    signing = _signing_ring(world, now, early=early)
    for name, store, ring in (("signing", world.signing, signing), ("refresh", world.refresh, refresh)):
        if ring.compromised_at:
            store.forget_previous()
        if ring.rotated_at == now:
            world.audit("keys_rotated", ring=name, kid=ring.current.kid)
    world.measure("KeyAgeDays", (now - min(signing.rotated_at, refresh.rotated_at)) / DAY)
    return _report(signing, refresh, world, now)


def _signing_ring(world: Rotation, now: int, *, early: bool) -> Ring:
    """Bring the signing ring and its document forward in turns, until both are where they should stand."""
    published = world.documents.read()

    def step(ring: Ring | None) -> Ring:
        fresh = keyring.kept(ring, world.signing_rule, now, published, early=early)
        document = keyring.jwks(fresh)
        if fresh.current.kid not in published:
            world.documents.publish(document)
        return fresh

    for _ in range(TRIES):
        ring, version = world.signing.update(step)
        document = keyring.jwks(ring)
        if document != published:
            world.documents.publish(document)
            published = document
        # A version that is not ours is of somebody who was faster: our document may have overwritten theirs.
        if not ring.is_compromised and world.signing.read()[1] == version:
            return ring
    raise Unavailable


def drop(which: str, world: Rotation, now: int) -> Report:
    """Throw away every key of one ring or `both`, for they leaked. Without the refresh keys all sessions end."""
    if which != "signing":
        world.refresh.update(
            lambda ring: keyring.compromised(ring, world.refresh_rule, now)._replace(sessions_not_before=now)
        )
    if which != "refresh":
        world.signing.update(lambda ring: keyring.compromised(ring, world.signing_rule, now))
    world.audit("keys_compromised", ring=which)
    return rotate(world, now)


def sign_everyone_out(world: Rotation, now: int) -> Report:
    """End every session that was begun before `now`; functions learn of it when they read their ring again."""
    signing = _there(world.signing.read()[0])
    refresh, _ = world.refresh.update(lambda ring: _there(ring)._replace(sessions_not_before=now))
    world.audit("everyone_signed_out")
    return _report(signing, refresh, world, now)


def _there(ring: Ring | None) -> Ring:
    if ring is None:
        raise Misconfigured("There is no key ring yet. Run: rolegate keys rotate")
    return ring


def _report(signing: Ring, refresh: Ring, world: Rotation, now: int) -> Report:
    """Tell what an operator may know of the rings: names and times, and nothing secret."""
    rings = {
        name: {
            "keys": keyring.described(ring, rule),
            "rotated_at": ring.rotated_at,
            "next_is_known_at": ring.next_is_known_at,
        }
        for name, ring, rule in (
            ("signing", signing, world.signing_rule),
            ("refresh", refresh, world.refresh_rule),
        )
    }
    return {"now": now, **rings, "sessions_not_before": refresh.sessions_not_before}
