"""Passwords: which are accepted, and how they are kept (bcrypt)."""

import base64
import hashlib
import hmac
import re
import unicodedata

import bcrypt

from rolegate.errors import InvalidRequest

SHORTEST, LONGEST = 8, 256  # characters
_PLAIN = 72  # bytes: what bcrypt itself reads
_LONG = re.compile(r"\$bcrypt-sha256\$v=2,t=2b,r=([0-9]{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})")
_NOT_UTF8 = re.compile("[\ud800-\udfff\N{REPLACEMENT CHARACTER}]")


def accept(password: str) -> str:
    """Return `password` in the form that is kept (NFC), if it may be somebody's new password.

    Raises `InvalidRequest` with the rule that it breaks: a length in characters, control characters, or U+FFFD or a
    lone surrogate, which is what bytes that were not UTF-8 have become on their way here and nobody could type again.
    There are no composition rules and nothing is trimmed (NIST SP 800-63B-4, section 3.1.1.2).
    """
    password = _normal(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"The password must have {SHORTEST} to {LONGEST} characters.")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise InvalidRequest("The password must not contain control characters.")
    if _NOT_UTF8.search(password):
        raise InvalidRequest("The password is not valid UTF-8.")
    return password


def hash_password(password: str, cost: int) -> str:
    """Return what to store for an accepted password; `cost` is bcrypt's, the logarithm of its work.

    Up to 72 bytes it is plain bcrypt, which every other system reads; beyond, where bcrypt would stop listening, the
    published `bcrypt-sha256` version 2 (https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html).
    """
    secret, salt = _normal(password).encode(), bcrypt.gensalt(cost)
    if len(secret) <= _PLAIN:
        return bcrypt.hashpw(secret, salt).decode()
    bare = salt.decode().rpartition("$")[2]
    digest = bcrypt.hashpw(_digest(secret, bare), salt).decode().rpartition("$")[2][len(bare) :]
    return f"$bcrypt-sha256$v=2,t=2b,r={cost}${bare}${digest}"


def matches(password: str, stored: str | None, cost: int) -> bool:
    """Tell whether `password` is the one that `stored` was made of.

    Without a stored hash (nobody has that name), and for one of a form that is not ours, the same work is done at the
    cost in force, so that time tells nothing, and nothing matches.
    """
    secret = _normal(password).encode(errors="surrogatepass")
    if stored is None:
        return _nobody(secret, cost)
    if long := _LONG.fullmatch(stored):
        rounds, salt, digest = long.groups()
        return _check(_digest(secret, salt), f"$2b${int(rounds):02}${salt}{digest}", cost)
    return _check(secret[:_PLAIN], stored, cost) and len(secret) <= _PLAIN


def _check(secret: bytes, stored: str, cost: int) -> bool:
    try:
        return bcrypt.checkpw(secret, stored.encode())
    except ValueError:
        return _nobody(secret, cost)


def _nobody(secret: bytes, cost: int) -> bool:
    """Do the work of a check that nothing can pass."""
    bcrypt.hashpw(secret[:_PLAIN], bcrypt.gensalt(cost))
    return False


def _digest(secret: bytes, salt: str) -> bytes:
    return base64.b64encode(hmac.digest(salt.encode(), secret, hashlib.sha256))


def _normal(password: str) -> str:
    """Return the NFC of what can still be somebody's password: a character takes at most 4 however it is typed.

    More is not read, for the work is quadratic in a run of combining marks.
    """
    return unicodedata.normalize("NFC", password[: 4 * LONGEST + 1])
