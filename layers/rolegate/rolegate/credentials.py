"""The use cases that take a password: register, sign in, change it. A guess counts before the password is looked at."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rolegate import attempts, endings, errors, sessions, users
from rolegate.attempts import Reservation
from rolegate.deadline import together
from rolegate.model import Audit, Caller, Session, Tokens, User

if TYPE_CHECKING:  # each function loads only what its own flow needs
    from rolegate.stores.attempts import Attempts
    from rolegate.stores.rings import Rings
    from rolegate.stores.sessions import Sessions
    from rolegate.stores.users import Users
    from rolegate.tokens import Issuer


class Passwords(NamedTuple):
    """How passwords are kept and checked here: `passwords`, at the cost and under the rule of this deployment."""

    make: Callable[[str], str]  # -> its hash
    matches: Callable[[str, User | None], bool | None]  # None: the stored hash can be checked with nothing
    renewed: Callable[[str, User], str | None]  # another hash of a password that matched, if there should be one


class Registration(NamedTuple):
    """What a registration needs from the world."""

    users: "Users"
    attempts: "Attempts"
    limit: attempts.Limit  # of a network
    accept: Callable[[str, str], str]  # a password and whose it shall be -> what is kept; raises `InvalidRequest`
    make: Callable[[str], str]  # -> its hash
    role: str
    audit: Audit


def register(typed: str, password: str, caller: Caller, world: Registration, now: int) -> User:
    """Create a user.

    Raises `InvalidRequest` for a name or password outside the rules, `UsernameTaken`, `TooManyAttempts`, `Unavailable`.
    """
    name = users.username(typed)
    password = world.accept(password, name)
    counted = world.attempts.reserve(attempts.network(caller, world.limit), _guess_id(), now)
    _allow([counted], world.audit, caller)
    user = users.create(name, world.make(password), world.role, now)
    world.users.create(user)
    world.audit("registered", username=user.username, user_id=user.user_id, role=user.role)
    return user


class SignIn(NamedTuple):
    """What a sign-in, and a change of a password, needs from the world."""

    users: "Users"
    sessions: "Sessions"
    attempts: "Attempts"
    limits: attempts.Limits
    passwords: Passwords
    issuer: "Issuer"
    signing_keys: "Rings"
    refresh_keys: "Rings"
    audit: Audit
    policy: sessions.Policy
    session_lifetime: int  # seconds
    clock: Callable[[], int]  # for what is given back after bcrypt has taken its time


class Identity(NamedTuple):
    """Whose access token it is, as an authorizer says."""

    username: str
    user_id: str
    session_id: str


def login(typed: str, password: str, audience: str | None, caller: Caller, world: SignIn, now: int) -> Tokens:
    """Begin a session with a username and a password (RFC 6749, section 4.3, without its clients).

    Raises `InvalidCredentials` alike, after the same work, for a name that cannot be, is nobody's, or is disabled, and
    for a wrong password; `TooManyAttempts` before any of it; `InvalidRequest` for an audience that is not configured;
    `Unavailable`.
    """
    audience = world.policy.audiences[0] if audience is None else audience
    if audience not in world.policy.audiences:
        raise errors.InvalidRequest("The field 'audience' names no audience of this service.")
    counted: list[Reservation] = []
    with _given_back(counted, world):
        user, _ = _count(typed, caller, world, now, counted)
        user = _proved(user, password, "login_refused", caller, world)
        renewed = world.passwords.renewed(password, user)
        session, tokens = _session(user, audience, caller, world, now)
        settle = _settlements(counted, world)
        if renewed is not None:
            settle.append(_quietly(partial(world.users.renew_hash, user, renewed), world.audit))
        together(partial(world.sessions.put, session), *settle)
    world.audit("logged_in", **_who(session), **caller._asdict())
    return tokens


def change_password(who: Identity, current: str, new: str, caller: Caller, world: SignIn, now: int) -> Tokens:
    """Give the user of a live session another password: every other session ends, and this client gets a fresh one.

    `new` is accepted already. A client that got no answer, or `Unavailable`, should try to sign in with the new
    password: it may be in force. Raises `Unauthorized` for a user or session that has ended, `InvalidCredentials` and
    `TooManyAttempts` as a sign-in does, and `Unavailable`, also when the user was changed meanwhile: perhaps the
    password that was proved is the current one no more.
    """
    counted: list[Reservation] = []
    with _given_back(counted, world):
        ask = partial(world.sessions.get, who.user_id, who.session_id)
        user, session = _count(who.username, caller, world, now, counted, ask)
        not_before = world.refresh_keys.ring(now).sessions_not_before
        if user is None or user.user_id != who.user_id:
            raise errors.Unauthorized
        if not sessions.stands(session, user, world.policy, not_before, now):
            raise errors.Unauthorized
        user = _proved(user, current, "password_change_refused", caller, world)
        world.issuer.prepare(user, world.signing_keys.ring(now).current)  # what fails here has changed nothing
        user = endings.replace_password(user, world.passwords.make(new), world.users, world.audit, now, caller)
        fresh, tokens = _session(user, session.audience, caller, world, now)
        together(partial(world.sessions.put, fresh), *_settlements(counted, world))
    world.audit("logged_in", **_who(fresh), **caller._asdict())
    return tokens


def _count(
    typed: str,
    caller: Caller,
    world: SignIn,
    now: int,
    counted: list[Reservation],
    more: Callable[[], Any] = lambda: None,
) -> tuple[User | None, Any]:
    """Count a guess everywhere, into `counted`, and read the user and whatever `more` reads, in two round trips.

    For a network where this user signed in lately the guess does not count for the user over all networks: whoever
    guesses elsewhere cannot shut the owner out at home. A network where somebody last signed in before the password
    was changed, or every session ended, is no such one: it may be the very thief's. That takes one more round trip.
    """
    guess, guess_id = attempts.guess(typed, caller, world.limits), _guess_id()

    def reserve(limiter: attempts.Limiter) -> Reservation:
        reservation = world.attempts.reserve(limiter, guess_id, now)
        if reservation.is_counted:
            counted.append(reservation)
        return reservation

    first = reserve(guess.user_and_network)
    _allow([first], world.audit, caller)
    others = [guess.network] if first.is_trusted(now) else [guess.network, guess.user]
    user, read, *rest = together(
        partial(users.found, typed, world.users.get), more, *(partial(reserve, limiter) for limiter in others)
    )
    _allow(rest, world.audit, caller)
    if len(others) == 1 and user is not None and not first.is_trusted(now, users.ended_at(user)):
        _allow([reserve(guess.user)], world.audit, caller)
    return user, read


def _allow(reservations: Sequence[Reservation], audit: Audit, caller: Caller) -> None:
    """Raise `TooManyAttempts` unless every limiter has counted the guess."""
    refused = max(reservations, key=lambda reservation: reservation.retry_after)
    if not refused.is_counted:
        audit("attempts_limited", limiter=refused.limiter.kind, **caller._asdict())
        raise errors.TooManyAttempts(retry_after=refused.retry_after)


@contextmanager
def _given_back(counted: list[Reservation], world: SignIn) -> Iterator[None]:
    """Give a guess back that came to no answer: only who is told that a password is wrong has guessed.

    Else whoever tries again while a store is down, or shares a network with a guesser, would use their own guesses up.
    """
    try:
        yield
    except errors.InvalidCredentials:
        raise
    except Exception:
        now = world.clock()
        together(*(_quietly(partial(world.attempts.give_back, one, now), world.audit) for one in counted))
        raise


def _proved(user: User | None, password: str, refusal: str, caller: Caller, world: SignIn) -> User:
    """Return the user if the password is theirs and they may sign in; the same work is done for everybody."""
    usable = user if user is not None and user.may_sign_in else None
    matched = world.passwords.matches(password, usable)
    if usable is None or not matched:
        reason = "the stored hash has no form that is known" if usable and matched is None else None
        world.audit(refusal, user_id=user.user_id if user else None, reason=reason, **caller._asdict())
        raise errors.InvalidCredentials
    return usable


def _session(user: User, audience: str, caller: Caller, world: SignIn, now: int) -> tuple[Session, Tokens]:
    """Begin a session that is still to be stored, with its tokens: what fails here has changed nothing."""
    signing, sealing = world.signing_keys.ring(now).current, world.refresh_keys.ring(now).current
    world.issuer.prepare(user, signing)
    lifetime = world.policy.token_lifetime
    session = sessions.start(user, audience, caller, sealing.kid, lifetime, world.session_lifetime, now)
    return session, world.issuer.issue(user, session, signing, sealing, now)


def _settlements(counted: list[Reservation], world: SignIn) -> list[Callable[[], None]]:
    """Return the writes by which a right guess is taken out of the count, and its network noted; none is left after."""
    now, (first, *others) = world.clock(), counted
    counted.clear()
    return [
        _quietly(partial(world.attempts.succeeded, first, now), world.audit),
        *(_quietly(partial(world.attempts.give_back, one, now), world.audit) for one in others),
    ]


def _quietly(call: Callable[[], object], audit: Audit) -> Callable[[], None]:
    """Return a call whose failure is noted and fails nothing else: whoever proved their password is let in."""

    def quiet() -> None:
        try:
            call()
        except (errors.Unavailable, errors.Misconfigured) as error:
            audit("not_settled", error=type(error).__name__)

    return quiet


def _guess_id() -> str:
    return secrets.token_urlsafe(12)


def _who(session: Session) -> dict[str, str]:
    return {"user_id": session.user_id, "session_id": session.session_id}
