"""Passwords that other systems hashed: Django, passlib, Werkzeug (Flask), and Firebase. bcrypt is in `passwords`."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable

_ITERATIONS = 2_000_000  # of PBKDF2: Django and Werkzeug write a million, and a sign-in must end in seconds
_MEMORY = 256 * 2**20  # bytes, 128 * N * r of scrypt: everybody's defaults take 16 to 64 MiB; the functions have 1,769
_WORK = 2**23  # N * r * p of scrypt: thirteen times Django's, and seconds again
_SHORTEST = 16  # bytes of a digest: what is shorter can be hit by trying, and what is empty matches everybody
_SIZES = {"sha1": 20, "sha256": 32, "sha512": 64}  # bytes

# Whatever is read into a number is a few digits, without zeros in front: each hash is written in one way.
_ROUNDS = "([1-9][0-9]{0,8})"
_SMALL = "([1-9][0-9]?)"  # r and p below 100: what scrypt takes beside the memory that is counted stays under 2 MiB
_TEXT = "([^$]{1,1024})"
_BASE64 = "([A-Za-z0-9+/]{2,1366}={0,2})"  # passlib's longest salt has 1024 bytes
_BARE = "([A-Za-z0-9+/]{2,1366})"
_DOTTED = "([A-Za-z0-9./]{2,1366})"
_HEX = "([0-9a-f]{2,128})"


def matches(secret: bytes, stored: str) -> bool:
    """Tell whether `secret`, a password in UTF-8, is the one that another system made `stored` of.

    Raises `ValueError` for a form that is not known, is malformed, or would cost too much; then no work was done.
    To HMAC, and so to each form, a short secret with NULs behind it is the same (RFC 2104, section 2): not to us.
    """
    for form, check in _FORMS:
        if parts := form.fullmatch(stored):
            return check(secret, *parts.groups()) and not secret.endswith(b"\0")
    raise ValueError("not a hash of a known form")


def _pbkdf2(secret: bytes, name: str, rounds: str, salt: bytes, digest: bytes) -> bool:
    kept = _of_size(digest, _SIZES[name])
    if int(rounds) > _ITERATIONS:
        raise ValueError("too many iterations")
    return hmac.compare_digest(hashlib.pbkdf2_hmac(name, secret, salt, int(rounds)), kept)


def _scrypt(secret: bytes, salt: bytes, n: int, r: str, p: str, size: int) -> bytes:
    """Return a key of `size` bytes (RFC 7914); raises `ValueError`, of `hashlib`, for an N that is no power of two."""
    block, lanes = int(r), int(p)
    if 128 * n * block > _MEMORY or n * block * lanes > _WORK:
        raise ValueError("too much memory or work")
    memory = 128 * block * (n + lanes + 2)  # bytes: all that OpenSSL takes, down to the last
    return hashlib.scrypt(secret, salt=salt, n=n, r=block, p=lanes, maxmem=memory, dklen=size)


def _django(secret: bytes, name: str, rounds: str, salt: str, digest: str) -> bool:
    return _pbkdf2(secret, name, rounds, salt.encode(), _base64(digest))


def _django_scrypt(secret: bytes, n: str, salt: str, r: str, p: str, digest: str) -> bool:
    kept = _of_size(_base64(digest), 64)
    return hmac.compare_digest(_scrypt(secret, salt.encode(), int(n), r, p, len(kept)), kept)


def _passlib(secret: bytes, name: str | None, rounds: str, salt: str, digest: str) -> bool:
    return _pbkdf2(secret, name or "sha1", rounds, _bare(salt.replace(".", "+")), _bare(digest.replace(".", "+")))


def _passlib_scrypt(secret: bytes, log_n: str, r: str, p: str, salt: str, digest: str) -> bool:
    kept = _of_size(_bare(digest), 32)
    return hmac.compare_digest(_scrypt(secret, _bare(salt), 2 ** int(log_n), r, p, len(kept)), kept)


def _werkzeug(secret: bytes, name: str, rounds: str, salt: str, digest: str) -> bool:
    return _pbkdf2(secret, name, rounds, salt.encode(), bytes.fromhex(digest))


def _werkzeug_scrypt(secret: bytes, n: str, r: str, p: str, salt: str, digest: str) -> bool:
    kept = _of_size(bytes.fromhex(digest), 64)
    return hmac.compare_digest(_scrypt(secret, salt.encode(), int(n), r, p, len(kept)), kept)


def _firebase(
    secret: bytes, log_n: str, r: str, p: str, separator: str | None, signer: str, salt: str, digest: str
) -> bool:
    """Tell whether the project's signer key, encrypted under what scrypt makes of `secret`, is the digest."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - few sign-ins need it

    plain = _base64(signer)
    if len(plain) < _SHORTEST:
        raise ValueError("a signer key that is too short")
    kept = _of_size(_base64(digest), len(plain))
    key = _scrypt(secret, _base64(salt) + _base64(separator or ""), 2 ** int(log_n), r, p, 32)
    zero = bytes(16)  # Firebase's own choice: each key encrypts one text only
    return hmac.compare_digest(Cipher(algorithms.AES(key), modes.CTR(zero)).encryptor().update(plain), kept)


def _of_size(digest: bytes, size: int) -> bytes:
    if len(digest) != size:
        raise ValueError(f"a digest of {len(digest)} bytes instead of {size}")
    return digest


def _base64(text: str) -> bytes:
    """Return the bytes of `text` in its only spelling: the last character's spare bits are zeros (RFC 4648, 3.5)."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("another spelling of base64")
    return raw


def _bare(text: str) -> bytes:
    return _base64(text + "=" * (-len(text) % 4))


_FORMS: tuple[tuple[re.Pattern[str], Callable[..., bool]], ...] = (
    # https://docs.djangoproject.com/en/5.2/topics/auth/passwords/ and django/contrib/auth/hashers.py
    (re.compile(rf"pbkdf2_(sha1|sha256)\${_ROUNDS}\${_TEXT}\${_BASE64}"), _django),
    (re.compile(rf"scrypt\${_ROUNDS}\${_TEXT}\${_SMALL}\${_SMALL}\${_BASE64}"), _django_scrypt),
    # https://passlib.readthedocs.io/en/stable/lib/passlib.hash.pbkdf2_digest.html and passlib.hash.scrypt.html
    (re.compile(rf"\$pbkdf2(?:-(sha256|sha512))?\${_ROUNDS}\${_DOTTED}\${_DOTTED}"), _passlib),
    (re.compile(rf"\$scrypt\$ln={_SMALL},r={_SMALL},p={_SMALL}\${_BARE}\${_BARE}"), _passlib_scrypt),
    # https://werkzeug.palletsprojects.com/en/stable/utils/ and werkzeug/security.py
    (re.compile(rf"pbkdf2:(sha1|sha256|sha512):{_ROUNDS}\${_TEXT}\${_HEX}"), _werkzeug),
    (re.compile(rf"scrypt:{_ROUNDS}:{_SMALL}:{_SMALL}\${_TEXT}\${_HEX}"), _werkzeug_scrypt),
    # https://github.com/firebase/scrypt, written as in https://github.com/supabase/auth: internal/crypto/password.go
    (
        re.compile(
            rf"\$fbscrypt\$v=1,n={_SMALL},r={_SMALL},p={_SMALL}(?:,ss={_BASE64})?,sk={_BASE64}\${_BASE64}\${_BASE64}"
        ),
        _firebase,
    ),
)
