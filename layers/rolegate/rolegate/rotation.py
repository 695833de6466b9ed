"""The use cases of keys: keep both rings, throw away what leaked, sign everyone out, and say how things stand."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rolegate import keyring
from rolegate.errors import InvalidRequest, Misconfigured, Unavailable
from rolegate.keyring import Ring, Rule
from rolegate.model import Audit
from rolegate.sessions import SKEW

if TYPE_CHECKING:
    from rolegate.stores.documents import Documents
    from rolegate.stores.rings import RingStore

DAY = 86_400  # seconds
TRIES = 5
RINGS = ("signing", "refresh")
LONGEST_PUT = 10  # seconds: more than both of the SDK's tries to put a parameter take
Report = dict[str, Any]


class Rotation(NamedTuple):
    """What keeping the keys needs from the world."""

    stores: Mapping[str, "RingStore"]  # by the rings' names
    rules: Mapping[str, Rule]
    documents: "Documents"
    audit: Audit
    measure: Callable[[str, float], None]
    wait: Callable[[float], None]


def carry_out(order: Mapping[str, Any], world: Rotation, now: int) -> Report:
    """Do what an operator's event orders, and report; whatever orders nothing is a daily run.

    Raises `InvalidRequest` for an order that there is not, `Misconfigured` for a secret that holds no ring,
    `Unavailable`: then nothing is lost, and the same order or the next daily run brings it to its end.
    """
    match order:
        case {"action": "show"}:
            rings = {name: _there(store.read()[0]) for name, store in world.stores.items()}
        case {"action": "rotate", "compromised": "signing" | "refresh" | "both" as which}:
            rings = drop(which, world, now)
        case {"action": "rotate", **more} if not more:
            rings = rotate(world, now, early=True)
        case {"action": "sign-out-everyone"}:
            rings = {"refresh": sign_everyone_out(world, now)}
        case {"action": _}:
            raise InvalidRequest(
                "The action must be show, rotate (with compromised: signing, refresh or both) or sign-out-everyone."
            )
        case _:
            rings = rotate(world, now)
    return _report(rings, world, now)


def rotate(world: Rotation, now: int, *, early: bool = False) -> dict[str, Ring]:
    """Make, rotate or prune both rings as they are due, or early, and publish; a repetition changes nothing.

    A run may die between any two of its writes: what signs was published before, and the next run does the rest.
    """
    rings = _each(RINGS, lambda name: _kept(name, world, now, early=early))
    world.measure("KeyAgeDays", (now - min(ring.rotated_at for ring in rings.values())) / DAY)
    return rings


def drop(which: str, world: Rotation, now: int) -> dict[str, Ring]:
    """Throw away every key of one ring or `both`, for they leaked. Without the refresh keys all sessions end.

    All that leaked is marked before anything else is done, so that any later run can end it. Raises `Unavailable`
    unless every key of before is gone: what is read may be older than what was written.
    """
    names = RINGS if which == "both" else (which,)
    leaked: set[str] = set()
    world.audit("keys_compromised", ring=which)
    failure = None
    try:
        _each(names, lambda name: _marked(name, leaked, world, now))
    except Exception as error:  # noqa: BLE001 - raised below: the other ring is not to wait for it
        failure = error
    rings = _each(names, lambda name: _kept(name, world, now))
    if failure:
        raise failure
    if "signing" in names:  # a run that was overtaken may have been about to publish what leaked: look again after it
        world.wait(LONGEST_PUT)
        rings["signing"] = _kept("signing", world, now)
    if any(key.kid in leaked for ring in rings.values() for key in ring.keys):
        raise Unavailable
    return rings


def _marked(name: str, leaked: set[str], world: Rotation, now: int) -> Ring | None:
    """Mark a ring; one that does not exist yet has nothing that could leak, and is made as always, published first."""

    def step(ring: Ring | None) -> Ring:
        if ring is not None:
            leaked.update(key.kid for key in ring.keys)
        marked = keyring.compromised(ring, world.rules[name], now)
        return _signed_out(marked, now) if name == "refresh" else marked

    store = world.stores[name]
    return store.read()[0] and store.update(step)[0]


def sign_everyone_out(world: Rotation, now: int) -> Ring:
    """End every session that was begun until now; functions learn of it when they read their ring again.

    Waits until this second is over on every host: whoever signs in after the answer has a session that goes on.
    """
    pause = 1 + SKEW
    ring, _ = world.stores["refresh"].update(lambda ring: _signed_out(_there(ring), now + pause))
    world.audit("everyone_signed_out")
    world.wait(pause)
    return ring


def _each[Made](names: Iterable[str], work: Callable[[str], Made]) -> dict[str, Made]:
    """Do the work for every ring, whatever befalls another; then raise the first error, if there was one."""
    rings: dict[str, Made] = {}
    failures: list[Exception] = []
    for name in names:
        try:
            rings[name] = work(name)
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if failures:
        raise failures[0]
    return rings


def _kept(name: str, world: Rotation, now: int, *, early: bool = False) -> Ring:
    if name == "signing":
        ring = _signing_ring(world, now, early=early)
    else:
        ring, _ = world.stores[name].update(lambda ring: keyring.kept(ring, world.rules[name], now, early=early))
    if ring.compromised_at:
        world.stores[name].forget_previous()
    if ring.rotated_at == now:
        world.audit("keys_rotated", ring=name, kid=ring.current.kid)
    return ring


def _signing_ring(world: Rotation, now: int, *, early: bool) -> Ring:
    """Bring the signing ring and its document forward in turns, until both are where they should stand."""
    store, rule, published = world.stores["signing"], world.rules["signing"], world.documents.read()

    def step(ring: Ring | None) -> Ring:
        nonlocal published
        fresh = keyring.kept(ring, rule, now, published, early=early)
        document = keyring.jwks(fresh)
        if fresh.current.kid not in published:
            world.documents.publish(document)
            published = document
        return fresh

    for _ in range(TRIES):
        ring, version = store.update(step)
        document = keyring.jwks(ring)
        if document != published:
            if store.read()[1] != version:
                continue  # somebody was faster, and may have thrown keys away that this document lists
            world.documents.publish(document)
            published = document
        # The same once more: our document may have overwritten theirs.
        if not ring.is_compromised and store.read()[1] == version:
            return ring
    raise Unavailable


def _signed_out(ring: Ring, before: int) -> Ring:
    return ring._replace(sessions_not_before=max(ring.sessions_not_before, before))


def _there(ring: Ring | None) -> Ring:
    if ring is None:
        raise Misconfigured("There is no key ring yet. Run: rolegate keys rotate.")
    return ring


def _report(rings: Mapping[str, Ring], world: Rotation, now: int) -> Report:
    """Tell what an operator may know of the rings: names and times, and nothing secret."""
    told = {
        name: {
            "keys": keyring.described(ring, world.rules[name]),
            "rotated_at": ring.rotated_at,
            "next_is_known_at": ring.next_is_known_at,
            "sessions_not_before": ring.sessions_not_before,
        }
        for name, ring in rings.items()
    }
    return {"now": now, "rings": told}
