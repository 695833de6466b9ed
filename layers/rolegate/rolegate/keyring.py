"""The life of signing keys: `next` is published before it signs, `current` signs, `retired` still verifies. Pure.

A ring is kept as one JSON document in Secrets Manager. RFC 7517 gives the form of public keys, RFC 7638 their names.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rolegate import strictjson
from rolegate.errors import Misconfigured

HMAC = "HS256"
FORMAT = 1
# Seconds for which a retired key still verifies: the longest life that a template's parameter allows to what it has
# signed, and an hour for functions that still sign with a ring that they read before.
RETIRED_SIGNING_KEY_STAYS = 15 * 60 + 3600
RETIRED_REFRESH_KEY_STAYS = 90 * 86_400 + 3600


class Key(NamedTuple):
    """One key. `secret` is base64url for HS256, PKCS #8 PEM for the others."""

    kid: str
    alg: str
    created_at: int
    secret: str
    retired_at: int | None = None

    def __repr__(self) -> str:
        return f"Key({self.kid})"  # the secret stays out of whatever prints this


class Ring(NamedTuple):
    """Keys of one purpose. `sessions_not_before` refuses every session that was begun earlier."""

    current: Key
    next: Key
    retired: tuple[Key, ...] = ()
    rotated_at: int = 0
    sessions_not_before: int = 0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key that something valid may have been signed with."""
        return (self.current, self.next, *self.retired)


def kept(ring: Ring | None, now: int, period: int, retired_stay: int, make: Callable[[int], Key]) -> Ring:
    """Return the ring as it should stand at `now`: created, rotated once when `period` seconds are over, pruned."""
    if ring is None:
        return Ring(current=make(now), next=make(now), rotated_at=now)
    if now - ring.rotated_at >= period:
        ring = ring._replace(
            current=ring.next,
            next=make(now),
            retired=(*ring.retired, ring.current._replace(retired_at=now)),
            rotated_at=now,
        )
    return ring._replace(retired=tuple(key for key in ring.retired if (key.retired_at or now) + retired_stay > now))


def generate(alg: str, now: int) -> Key:
    """Make a new key for HS256, RS256 (2048 bits), ES256 or EdDSA."""
    if alg == HMAC:
        return Key(secrets.token_urlsafe(12), alg, now, secrets.token_urlsafe(32))
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only a rotation makes keys
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    makers: dict[str, Callable[[], Any]] = {
        "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    private = makers[alg]()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return Key(_thumbprint(_members(private.public_key())), alg, now, pem)


def find(ring: Ring, kid: str) -> Key | None:
    """Return the key of that name, if the ring has it."""
    return next((key for key in ring.keys if key.kid == kid), None)


def secret_bytes(key: Key) -> bytes:
    """Return the secret of an HS256 key."""
    return base64.urlsafe_b64decode(key.secret + "=" * (-len(key.secret) % 4))


def public_jwk(key: Key) -> Mapping[str, str]:
    """Return the public half of an asymmetric key, and nothing else of it (RFC 7517, section 4)."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    public = load_pem_private_key(key.secret.encode(), None).public_key()
    return {**_members(public), "use": "sig", "alg": key.alg, "kid": key.kid}


def jwks(ring: Ring) -> str:
    """Return the JWK set that verifiers fetch (RFC 7517, section 5), in few bytes: a parameter holds 4096."""
    return json.dumps({"keys": [public_jwk(key) for key in ring.keys]}, separators=(",", ":"))


def dump(ring: Ring) -> str:
    """Return the document that `load` reads."""
    plain = {
        "format": FORMAT,
        **ring._asdict(),
        "current": ring.current._asdict(),
        "next": ring.next._asdict(),
        "retired": [key._asdict() for key in ring.retired],
    }
    return json.dumps(plain, separators=(",", ":"))


def load(document: str) -> Ring | None:
    """Return the ring of a stored document, or None for `{}`, which a new stack's secret holds.

    Raises `Misconfigured`, without a word of the content, for anything else that `dump` did not write.
    """
    try:
        plain = strictjson.loads(document.encode())
        if plain == {}:
            return None
        if plain.pop("format") != FORMAT:
            raise Misconfigured(f"The key ring is not of format {FORMAT}: a newer Rolegate wrote it.")
        current, upcoming = Key(**plain.pop("current")), Key(**plain.pop("next"))
        retired = tuple(Key(**key) for key in plain.pop("retired"))
        if {name: type(time) for name, time in plain.items()} == {"rotated_at": int, "sessions_not_before": int}:
            return Ring(current, upcoming, retired, **plain)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise Misconfigured("The secret does not hold a key ring.")


def _members(public: Any) -> dict[str, str]:  # noqa: ANN401 - one of three key classes that a cold start must not load
    """Return the members that define a public key, in the order that RFC 7638, section 3 asks for."""
    numbers = getattr(public, "public_numbers", None)
    if numbers is None:
        return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public.public_bytes_raw())}
    if hasattr(numbers(), "n"):
        size = (public.key_size + 7) // 8
        return {"e": _integer(numbers().e, 3), "kty": "RSA", "n": _integer(numbers().n, size)}
    return {"crv": "P-256", "kty": "EC", "x": _integer(numbers().x, 32), "y": _integer(numbers().y, 32)}


def _thumbprint(members: Mapping[str, str]) -> str:
    return _base64url(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def _integer(number: int, size: int) -> str:
    return _base64url(number.to_bytes(size))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
