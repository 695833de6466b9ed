"""The use cases: each tells its story in order; the rules, the stores and the clock are handed in."""

from typing import TYPE_CHECKING, NamedTuple

from rolegate import endings, errors, keyring, sessions, verify
from rolegate.model import Audit, Because, Caller, Presented, Session, Tokens, User

if TYPE_CHECKING:  # each function loads only what its own flow needs
    from rolegate.stores.rings import Rings
    from rolegate.stores.sessions import Sessions
    from rolegate.stores.users import Users
    from rolegate.tokens import Issuer


class Refresh(NamedTuple):
    """What a refresh needs from the world."""

    users: "Users"
    sessions: "Sessions"
    issuer: "Issuer"
    signing_keys: "Rings"
    refresh_keys: "Rings"
    audit: Audit
    policy: sessions.Policy


def refresh(token: str, caller: Caller, world: Refresh, now: int) -> Tokens:
    """Exchange a refresh token for new tokens (RFC 6749, section 6; RFC 9700, section 4.14.2).

    Raises `InvalidRefreshToken`, `RefreshTokenExpired`, `RefreshTokenRevoked`, `RefreshTokenReused`, `Unavailable`.
    """
    presented = _presented(token, world.refresh_keys, world.issuer.url, now)
    ring = world.refresh_keys.ring(now)
    if presented.token.expires_at + world.policy.leeway <= now:
        raise errors.RefreshTokenExpired
    if presented.token.issued_at > now + verify.CLOCK_LEEWAY:  # ours, so our clocks disagree: nobody's fault but ours
        raise errors.Unavailable(retry_after=verify.CLOCK_LEEWAY)
    if _signed_out(presented, ring):
        raise errors.RefreshTokenRevoked
    user = world.users.get(presented.username)
    if user is None or not user.may_sign_in or user.user_id != presented.user_id:
        raise errors.RefreshTokenRevoked
    signing = world.signing_keys.ring(now).current  # before the write: what fails here has changed nothing
    world.issuer.prepare(user, signing)
    session = _rotated(presented, user, caller, world, ring.current.kid, now)
    sealing = keyring.find(ring, session.live.kid)
    if sealing is None:
        # Our ring was an old one. What it let pass must pass the new one too, or a leaked key would be laundered.
        ring = world.refresh_keys.knowing(session.live.kid, now)
        sealing = keyring.find(ring, session.live.kid)
        if sealing is None or keyring.find(ring, presented.token.kid) is None or _signed_out(presented, ring):
            raise errors.RefreshTokenRevoked
    return world.issuer.issue(user, session, signing, sealing, now)


def _signed_out(presented: Presented, ring: keyring.Ring) -> bool:
    return presented.auth_time < ring.sessions_not_before


def _presented(token: str, keys: "Rings", issuer: str, now: int) -> Presented:
    """Return what a refresh token of ours says; a key that we do not know has the ring read again once."""
    try:
        try:
            return verify.refresh_token(token, _verifying(keys.ring(now)), issuer)
        except verify.UnknownKey as unknown:
            return verify.refresh_token(token, _verifying(keys.knowing(unknown.kid, now)), issuer)
    except verify.Refused:
        raise errors.InvalidRefreshToken from None


def _verifying(ring: keyring.Ring) -> dict[str, verify.Key]:
    return {key.kid: verify.hmac_key(keyring.secret_bytes(key)) for key in ring.keys}


def _rotated(presented: Presented, user: User, caller: Caller, world: Refresh, kid: str, now: int) -> Session:
    """Rotate, or find in the refused write what the one answer must be; return the session to answer from."""
    fresh = sessions.successor(presented, kid, world.policy.token_lifetime, now)
    result = world.sessions.rotate(presented, fresh, user.session_epoch, caller, world.policy, now)
    for _ in range(3):  # a forgiven late retry may itself be overtaken, and is then decided anew
        if isinstance(result, Session):
            return result
        session = result.session
        verdict = sessions.explain(session, presented, fresh, user, caller, world.policy, now)
        if session is None or verdict not in _ANSWERED:
            raise _refused(verdict, presented, caller, world, now)
        if sessions.elsewhere(session, caller) and verdict is sessions.Verdict.AGAIN:
            world.audit("refresh_repeated_elsewhere", **_who(session), **caller._asdict())
        if verdict is not sessions.Verdict.LATE_RETRY:
            return session
        result = world.sessions.forgive(presented, session, now)
        if isinstance(result, Session):
            world.audit("refresh_retried_late", **_who(session), **caller._asdict())
    raise errors.Unavailable


_ANSWERED = (sessions.Verdict.LANDED, sessions.Verdict.AGAIN, sessions.Verdict.LATE_RETRY)


def _refused(
    verdict: sessions.Verdict, presented: Presented, caller: Caller, world: Refresh, now: int
) -> errors.RolegateError:
    """Return the error of a refusal, having ended the session first where the verdict says so."""
    session = endings.One(presented.user_id, presented.session_id, world.sessions)
    match verdict:
        case sessions.Verdict.EXPIRED:
            return errors.RefreshTokenExpired()
        case sessions.Verdict.AHEAD:
            return errors.Unavailable()
        case sessions.Verdict.STATE_LOST:
            endings.end(session, Because.STATE_LOST, world.audit, now, caller)
            return errors.RefreshTokenRevoked()
        case sessions.Verdict.REUSED:
            world.audit(  # first: whatever becomes of the write, somebody should know
                "refresh_token_reused",
                username=presented.username,
                user_id=presented.user_id,
                session_id=presented.session_id,
                generation=presented.token.generation,
                **caller._asdict(),
            )
            ended = endings.end(session, Because.REUSED, world.audit, now, caller)
            return errors.RefreshTokenReused() if ended else errors.RefreshTokenRevoked()
        case _:
            return errors.RefreshTokenRevoked()


class Logout(NamedTuple):
    """What a logout needs from the world."""

    sessions: "Sessions"
    refresh_keys: "Rings"
    issuer_url: str
    audit: Audit
    leeway: int  # seconds


def logout(token: str, world: Logout, now: int) -> None:
    """End the session of a refresh token, whichever of the session's tokens it is (RFC 7009, section 2).

    Raises `InvalidRefreshToken` for what is not ours, `RefreshTokenExpired` for a token past its end, whose session is
    ended all the same, and `Unavailable`, never success, when the end could not be written.
    """
    presented = _presented(token, world.refresh_keys, world.issuer_url, now)
    endings.end(endings.One(presented.user_id, presented.session_id, world.sessions), Because.LOGOUT, world.audit, now)
    if presented.token.expires_at + world.leeway <= now:
        raise errors.RefreshTokenExpired


def account(username: str, user_id: str, users_table: "Users") -> User:
    """Return the user who asks, as stored now; raises `Unauthorized` for one who may not sign in any more."""
    user = users_table.get(username)
    if user is None or not user.may_sign_in or user.user_id != user_id:
        raise errors.Unauthorized
    return user


def _who(session: Session) -> dict[str, str]:
    return {"user_id": session.user_id, "session_id": session.session_id}
