"""The authorizer's use case, apart from the others: its cold start loads nothing that it does not need."""

from collections.abc import Callable
from typing import NamedTuple

from rolegate import policy, verify
from rolegate.jwks import KeySet, KeySets
from rolegate.model import Claims
from rolegate.roles import Roles


class Verifier(NamedTuple):
    """Whose tokens are taken; `leeway` is for `exp`, in seconds."""

    key_sets: KeySets
    issuer: str
    audience: str
    leeway: int


class Gate(NamedTuple):
    """What an authorizer needs from the world.

    `role_now` asks the tables for the role that a token's user has now, None if the session stands no more. Without
    it (`off`), a token is good until it expires.
    """

    verifier: Verifier
    minimum: str
    roles: Roles
    role_now: Callable[[Claims, int], str | None] | None = None


def authorize(token: str, world: Gate, now: int) -> policy.Decision | None:
    """Decide on an access token; None for one that is not valid, or valid no more.

    Raises `Unavailable` without keys to check it with, or without the tables' word where that is asked for.
    """
    claims = verified(token, world.verifier, now)
    if claims is None:
        return None
    # The tables lower a role and never raise it: who is refused anyway costs no read.
    if world.role_now is not None and world.roles.reaches(claims["role"], world.minimum):
        role = world.role_now(claims, now)
        if role is None:
            return None
        claims = policy.lowered(claims, role, world.roles)
    return policy.decide(claims, world.minimum, world.roles)


def verified(token: str, world: Verifier, now: int) -> Claims | None:
    """Return the claims of a valid access token, or None; raises `Unavailable` without keys to check it with."""
    keys = world.key_sets.current(now)
    claims = keys.verified.get(token)
    if claims is None or claims["exp"] + world.leeway <= now:
        try:
            claims = _claims(token, keys, world, now)
        except verify.Refused:
            return None
    return claims


def _claims(token: str, keys: KeySet, world: Verifier, now: int) -> Claims:
    try:
        claims = verify.access_token(token, keys.keys, world.issuer, world.audience, world.leeway, now)
    except verify.UnknownKey:
        renewed = world.key_sets.after_unknown_key(now)
        if renewed is None:
            raise
        keys = renewed
        claims = verify.access_token(token, keys.keys, world.issuer, world.audience, world.leeway, now)
    keys.remember(token, claims)
    return claims
