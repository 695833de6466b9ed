"""Strict verification of both kinds of token (RFC 7515, 7519, 8725), over the primitives of `cryptography` and `hmac`.

Stricter than the libraries, and a third of their start: the algorithm is the key's own and never the header's word for
it, every claim that is relied upon is required and of its one type, and no byte of a token can be read in two ways.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rolegate import strictjson
from rolegate.model import Claims, Presented, RefreshToken

ACCESS, REFRESH = "at+jwt", "rt+jwt"
CLOCK_LEEWAY = 30  # seconds that two hosts' clocks may differ, for `iat` and `nbf`
_LONGEST = 8192  # characters; API Gateway lets no longer header through
_SECRET = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})  # members of private and symmetric keys (RFC 7518)
_LAST_DATE = 253_402_300_799  # the end of the year 9999


class Refused(ValueError):
    """The token is not to be trusted; the message says why, for tests and for nobody else."""


class Expired(Refused):
    """The token was ours and is past its end."""


class UnknownKey(Refused):
    """The token names a key that is not in the set: `kid`, which is whatever the client wrote."""

    def __init__(self, kid: str) -> None:
        super().__init__("kid")
        self.kid = kid


class Key(NamedTuple):
    """What one signature is checked with: its algorithm, and whether a signature fits a message."""

    alg: str
    fits: Callable[[bytes, bytes], bool]


def hmac_key(secret: bytes) -> Key:
    """Return the HS256 key of `secret` (RFC 7518, section 3.2)."""
    return Key(
        "HS256", lambda signature, message: hmac.compare_digest(hmac.digest(secret, message, "sha256"), signature)
    )


def public_key(jwk: Claims) -> Key:
    """Return the key of a public JWK (RFC 7517, 7518 and 8037).

    Raises `ValueError`, or `KeyError` and `TypeError` for members that are missing or make no sense, unless it is an
    RSA key of 2048 bits or more, a P-256 or an Ed25519 key, public, meant for signatures (`use`, `key_ops`) and for the
    one algorithm that we use it with (`alg`).
    """
    if jwk.keys() & _SECRET:
        raise ValueError("a private key in a public place")
    make, alg = _MAKERS.get((jwk.get("kty"), jwk.get("crv")), (None, ""))
    if make is None or jwk.get("alg", alg) != alg:
        raise ValueError("no key that we verify with")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("not a key for signatures")
    return Key(alg, make(jwk))


def _rsa(jwk: Claims) -> Callable[[bytes, bytes], bool]:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - a cold start loads one algorithm
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    exponent, modulus = (int.from_bytes(_bytes(jwk[name])) for name in "en")
    if modulus.bit_length() < 2048:  # noqa: PLR2004 - RFC 7518, section 3.3
        raise ValueError("an RSA key of less than 2048 bits")
    key, pad, digest = rsa.RSAPublicNumbers(exponent, modulus).public_key(), padding.PKCS1v15(), SHA256()
    return _fits(lambda signature, message: key.verify(signature, message, pad, digest))


def _p256(jwk: Claims) -> Callable[[bytes, bytes], bool]:
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    x, y = (int.from_bytes(_bytes(jwk[name])) for name in "xy")
    key, digest = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key(), ec.ECDSA(SHA256())

    def check(signature: bytes, message: bytes) -> None:
        if len(signature) != 64:  # noqa: PLR2004 - RFC 7518, section 3.4: r and s, 32 bytes each
            raise ValueError("not an ES256 signature")
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        key.verify(utils.encode_dss_signature(r, s), message, digest)

    return _fits(check)


def _ed25519(jwk: Claims) -> Callable[[bytes, bytes], bool]:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    return _fits(ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk["x"])).verify)


_MAKERS: Mapping[tuple[Any, Any], tuple[Callable[[Claims], Callable[[bytes, bytes], bool]], str]] = {
    ("RSA", None): (_rsa, "RS256"),
    ("EC", "P-256"): (_p256, "ES256"),
    ("OKP", "Ed25519"): (_ed25519, "EdDSA"),
}


def _fits(check: Callable[[bytes, bytes], None]) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    def fits(signature: bytes, message: bytes) -> bool:
        try:
            check(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return fits


def access_token(token: str, keys: Mapping[str, Key], issuer: str, audience: str, leeway: int, now: int) -> Claims:
    """Return the claims of a valid access token (RFC 9068, section 4); `leeway` is for `exp`, in seconds.

    Raises `UnknownKey` when its `kid` is not in `keys`, `Expired` when all else is well, `Refused` for the rest.
    """
    _, claims = _signed(token, ACCESS, keys, issuer, audience)
    _strings(claims, "username", "role", "scope", "sid", "uid")
    if max(claims["iat"], claims.get("nbf", 0)) > now + CLOCK_LEEWAY:
        raise Refused("not yet valid")
    if claims["exp"] + leeway <= now:
        raise Expired
    return claims


def refresh_token(token: str, keys: Mapping[str, Key], issuer: str) -> Presented:
    """Return what a refresh token of ours says, *expired or not yet valid*: its times are for the use case to judge.

    Raises `UnknownKey` when its `kid` is not in `keys`, `Refused` for the rest.
    """
    kid, claims = _signed(token, REFRESH, keys, issuer, issuer)
    _strings(claims, "uid", "sid")
    _dates(claims, "auth_time", "session_exp")
    generation = claims.get("gen")
    if type(generation) is not int or not 0 <= generation < _LAST_DATE:
        raise Refused("gen")
    valid_from = max(claims["iat"], claims.get("nbf", 0))
    return Presented(
        RefreshToken(claims["jti"], kid, generation, valid_from, claims["exp"]),
        claims["sub"],
        claims["uid"],
        claims["sid"],
        claims["auth_time"],
        claims["session_exp"],
    )


def _signed(token: str, typ: str, keys: Mapping[str, Key], issuer: str, audience: str) -> tuple[str, Claims]:
    """Return the `kid` and the claims of a token that is ours in every respect but its times."""
    if len(token) > _LONGEST or not token.isascii() or token.count(".") != 2:  # noqa: PLR2004 - RFC 7515, section 3.1
        raise Refused("not a compact JWS")
    head, body, seal = token.split(".")
    header, signature = _json(head), _bytes(seal)
    if header.get("typ") != typ or "crit" in header:
        raise Refused("typ or crit")
    _strings(header, "kid", "alg")
    key = keys.get(header["kid"])
    if key is None:
        raise UnknownKey(header["kid"])
    if header["alg"] != key.alg or not key.fits(signature, f"{head}.{body}".encode()):
        raise Refused("signature")
    claims = _json(body)
    _strings(claims, "iss", "sub", "jti")
    _dates(claims, "exp", "iat")
    if claims["iss"] != issuer or not _names(claims.get("aud"), audience):
        raise Refused("iss or aud")
    if "nbf" in claims:
        _dates(claims, "nbf")
    return header["kid"], claims


def _names(aud: object, audience: str) -> bool:
    return audience in aud and all(isinstance(one, str) for one in aud) if isinstance(aud, list) else aud == audience


def _strings(members: Claims, *names: str) -> None:
    for name in names:
        value = members.get(name)
        if not isinstance(value, str) or not value:
            raise Refused(name)


def _dates(members: Claims, *names: str) -> None:
    for name in names:
        value = members.get(name)
        if type(value) is not int or not 0 < value <= _LAST_DATE:  # True is an int too
            raise Refused(name)


def _json(part: str) -> Claims:
    try:
        members = strictjson.loads(_bytes(part))
    except ValueError:
        raise Refused("not JSON") from None
    if not isinstance(members, dict):
        raise Refused("not an object")
    return members


def _bytes(part: object) -> bytes:
    """Decode base64url in its one canonical form (RFC 7515, section 2)."""
    try:
        raw = part.encode("ascii")  # type: ignore[attr-defined] # what is not a string is refused below
        decoded = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (AttributeError, ValueError):
        raise Refused("base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != raw:
        raise Refused("base64url")
    return decoded
