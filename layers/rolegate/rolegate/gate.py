"""The authorizer's use case, apart from the others: its cold start loads nothing that it does not need."""

from typing import NamedTuple

from rolegate import policy, verify
from rolegate.jwks import KeySet, KeySets
from rolegate.model import Claims
from rolegate.roles import Roles


class Gate(NamedTuple):
    """What an authorizer needs from the world."""

    key_sets: KeySets
    issuer: str
    audience: str
    leeway: int
    minimum: str
    roles: Roles


def authorize(token: str, world: Gate, now: int) -> policy.Decision | None:
    """Decide on an access token; None for one that is not valid. Raises `Unavailable` without keys to check it with."""
    keys = world.key_sets.current(now)
    claims = keys.verified.get(token)
    if claims is None or claims["exp"] + world.leeway <= now:
        try:
            claims = _claims(token, keys, world, now)
        except verify.Refused:
            return None
    return policy.decide(claims, world.minimum, world.roles)


def _claims(token: str, keys: KeySet, world: Gate, now: int) -> Claims:
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
