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
ALGORITHMS = (HMAC, "RS256", "ES256", "EdDSA")
FORMAT = 1
LARGEST = 4096  # bytes that a parameter of the standard tier holds
# A function works with the ring that it read last: so many seconds at most, and an hour more while the store is silent.
FRESH_AT_MOST, KEPT_WITHOUT_ANSWER = 300, 3600
STILL_SIGNS = FRESH_AT_MOST + KEPT_WITHOUT_ANSWER
MARGIN = 120  # seconds: for the leeway that verifiers grant, and for clocks that differ
# Seconds that verifiers may keep a key set: API Gateway's own JWT authorizers for HTTP APIs keep one for two hours.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
KNOWN_AFTER = 7200


class Key(NamedTuple):
    """One key. `secret` is base64url for HS256, PKCS #8 PEM for the others.

    `created_at` begins anew for a key whose publication got lost. `lifetime` is that of the longest-lived token that
    it can have signed, in seconds.
    """

    kid: str
    alg: str
    created_at: int
    secret: str
    retired_at: int | None = None
    lifetime: int = 0

    def __repr__(self) -> str:
        return f"Key({self.kid})"  # the secret stays out of whatever prints this

    @property
    def leaves_at(self) -> int:
        """When the last token that a retired key can have signed has expired everywhere."""
        return (self.retired_at or 0) + STILL_SIGNS + self.lifetime + MARGIN


class Ring(NamedTuple):
    """Keys of one purpose. `sessions_not_before` refuses every session that was begun earlier."""

    current: Key
    next: Key
    retired: tuple[Key, ...] = ()
    rotated_at: int = 0
    sessions_not_before: int = 0
    compromised_at: int = 0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key that something valid may have been signed with."""
        return (self.current, self.next, *self.retired)

    @property
    def is_compromised(self) -> bool:
        """Whether `current` leaked, and signs only until verifiers can know `next`."""
        return self.rotated_at < self.compromised_at

    @property
    def next_is_known_at(self) -> int:
        """When every verifier knows `next`; in a ring that never rotated, whoever knows `current` does."""
        together = self.next.created_at <= self.current.created_at and not self.compromised_at
        return self.next.created_at + (0 if together else KNOWN_AFTER)


class Rule(NamedTuple):
    """How a ring is kept. `period` is how long a key signs, `lifetime` how long what it signs lives, in seconds."""

    alg: str
    period: int
    lifetime: int
    generate: Callable[[str, int], Key]

    def key(self, now: int) -> Key:
        """Make a new key."""
        return self.generate(self.alg, now)


def kept(ring: Ring | None, rule: Rule, now: int, published: str | None = None, *, early: bool = False) -> Ring:
    """Return the ring as a run at `now` should leave it: made, one step further if that is due or `early`, pruned.

    A key signs only after its publication: `published` is the document that verifiers see, None where nobody needs one.
    A changed algorithm replaces `next`, which has signed nothing, and then takes its turn.
    """
    if ring is None:
        ring = Ring(current=rule.key(now), next=rule.key(now), rotated_at=now)
    elif ring.next.alg != rule.alg:
        ring = ring._replace(next=rule.key(now))
    elif published is not None and ring.next.kid not in published:
        ring = ring._replace(next=ring.next._replace(created_at=now))
    elif ring.is_compromised or _due(ring, rule, now, early):
        retired = () if ring.is_compromised else (*ring.retired, ring.current._replace(retired_at=now))
        at = max(now, ring.compromised_at)  # the clock of whoever marked the ring may be ahead of ours
        ring = ring._replace(current=ring.next, next=rule.key(now), retired=retired, rotated_at=at)
    return _pruned(_noted(ring, rule.lifetime, now), now)


def _due(ring: Ring, rule: Rule, now: int, early: bool) -> bool:  # noqa: FBT001 - as `kept` was told
    return ring.next_is_known_at <= now and now - ring.rotated_at >= (1 if early else rule.period)


def _noted(ring: Ring, lifetime: int, now: int) -> Ring:
    """Note on every key that signs, did so a moment ago or will how long the tokens of this moment live.

    On `next` too: functions of before a deployment may still issue by the longer life of then when it takes over.
    """
    current, upcoming, *retired = (
        key._replace(lifetime=max(key.lifetime, lifetime))
        if key.retired_at is None or now < key.retired_at + STILL_SIGNS
        else key
        for key in ring.keys
    )
    return ring._replace(current=current, next=upcoming, retired=tuple(retired))


def _pruned(ring: Ring, now: int) -> Ring:
    return ring._replace(retired=tuple(key for key in ring.retired if now < key.leaves_at))


def described(ring: Ring, rule: Rule) -> list[dict[str, str | int]]:
    """Say of every key what it is and when that changes, at the first daily run from then on; nothing secret."""
    due = max(ring.rotated_at + rule.period, ring.next_is_known_at)
    if ring.is_compromised:
        due = ring.compromised_at
    states = [
        ("leaked" if ring.is_compromised else "current", due),
        ("next", due),
        *(("retired", key.leaves_at) for key in ring.retired),
    ]
    return [
        {"state": state, "kid": key.kid, "alg": key.alg, "created_at": key.created_at, "changes_at": changes_at}
        for key, (state, changes_at) in zip(ring.keys, states, strict=True)
    ]


def compromised(ring: Ring | None, rule: Rule, now: int) -> Ring:
    """Return the ring as it stands right after its keys leaked: `next` is a new one, and the next run drops the rest.

    So nothing signs before its publication even then. Once more before that run, `next` is renewed: it may have leaked.
    """
    if ring is None:
        return kept(None, rule, now)
    upcoming = rule.key(now)._replace(lifetime=max(key.lifetime for key in ring.keys))
    return ring._replace(next=upcoming, retired=(), rotated_at=0, compromised_at=now)


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
    """Return the JWK set that verifiers fetch (RFC 7517, section 5).

    Raises `Misconfigured` for one that the parameter cannot hold; prune the ring first.
    """
    document = json.dumps({"keys": [public_jwk(key) for key in ring.keys]}, separators=(",", ":"))
    if len(document) > LARGEST:
        raise Misconfigured(
            f"The {len(ring.keys)} public keys take {len(document)} bytes, and their parameter holds {LARGEST}. "
            "Nothing was changed. Try again when a retired key has left."
        )
    return document


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
        current, upcoming = _key(plain.pop("current")), _key(plain.pop("next"))
        retired = tuple(map(_key, plain.pop("retired")))
        ring = Ring(current, upcoming, retired, **plain)
        if all(type(time) is int for time in ring[3:]):
            return ring
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise Misconfigured("The secret does not hold a key ring.")


def _key(plain: Mapping[str, Any]) -> Key:
    longest = 90 * 86_400 if plain["alg"] == HMAC else 15 * 60  # what parameters allow; of before it was noted
    key = Key(**{"lifetime": longest, **plain})
    texts, times = (key.kid, key.alg, key.secret), (key.created_at, key.lifetime, key.retired_at or 0)
    if key.alg not in ALGORITHMS or {*map(type, texts)} != {str} or {*map(type, times)} != {int}:
        raise ValueError
    if key.alg == HMAC and len(secret_bytes(key)) < 32:  # noqa: PLR2004 - RFC 7518, section 3.2
        raise ValueError
    return key


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
