"""Passwords: which are accepted, how they are kept (bcrypt), and what other systems kept of theirs."""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import bcrypt

from rolegate import blocklist
from rolegate.errors import InvalidRequest

LONGEST = 256  # characters, at most, whatever the rule
LOWEST, HIGHEST = 4, 15  # bcrypt's cost: it knows none below, and above, even one check would take seconds
SHORTEST_NAME = 3  # characters: a shorter name is in too many passwords to say anything
_PLAIN = 72  # bytes: what bcrypt itself reads
_OURS = re.compile(r"\$2b\$([0-9]{2})\$[./A-Za-z0-9]{53}|\$bcrypt-sha256\$v=2,t=2b,r=([0-9]{1,2})\$.*")
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$([./A-Za-z0-9]{53})")
_PASSLIB_2 = re.compile(r"\$bcrypt-sha256\$v=2,t=2[aby],r=([0-9]{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})")
_PASSLIB_1 = re.compile(r"\$bcrypt-sha256\$2[aby],([0-9]{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})")
_NOT_UTF8 = re.compile("[\ud800-\udfff\N{REPLACEMENT CHARACTER}]")


class Rule(NamedTuple):
    """How many characters a new password must have."""

    shortest: int = 8
    longest: int = LONGEST


DEFAULT = Rule()


def accept(password: str, username: str = "", rule: Rule = DEFAULT) -> str:
    """Return `password` in the form that is kept (NFC), if it may be the new password of `username`.

    Raises `InvalidRequest` with the rule that it breaks: a length in characters, control characters, U+FFFD or a lone
    surrogate, which is what bytes that were not UTF-8 have become on their way here and nobody could type again, one of
    the most common passwords, or one with the name in it. There are no composition rules and nothing is trimmed
    (NIST SP 800-63B-4, section 3.1.1.2).
    """
    password = _normal(password)
    if not rule.shortest <= len(password) <= rule.longest:
        raise InvalidRequest(f"The password must have {rule.shortest} to {rule.longest} characters.")
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise InvalidRequest("The password must not contain control characters.")
    if _NOT_UTF8.search(password):
        raise InvalidRequest("The password is not valid UTF-8.")
    folded, names = password.casefold(), {username, username.partition("@")[0]}
    if any(len(name) >= SHORTEST_NAME and name in folded for name in names):
        raise InvalidRequest("The password must not contain the username, nor what stands before its @.")
    if blocklist.is_common(password):
        raise InvalidRequest("This password is among those that are tried first. Choose another.")
    return password


def hash_password(password: str, cost: int) -> str:
    """Return what to store for an accepted password; `cost` is bcrypt's, the logarithm of its work.

    Up to 72 bytes it is plain bcrypt, which every other system reads; beyond, where bcrypt would stop listening, the
    published `bcrypt-sha256` version 2 (https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html).
    """
    secret, salt = _bytes(_normal(password)), bcrypt.gensalt(cost)
    if len(secret) <= _PLAIN:
        return bcrypt.hashpw(secret, salt).decode()
    bare = salt.decode().rpartition("$")[2]
    digest = bcrypt.hashpw(_salted(bare)(secret), salt).decode().rpartition("$")[2][len(bare) :]
    return f"$bcrypt-sha256$v=2,t=2b,r={cost}${bare}${digest}"


def is_current(stored: str, cost: int) -> bool:
    """Tell whether a stored hash is what `hash_password` makes, at `cost` or more; else it should be made anew."""
    ours = _OURS.fullmatch(stored)
    return ours is not None and int(ours[1] or ours[2]) >= cost


def renewed(password: str, stored: str, cost: int, *, imported: bool = False) -> str | None:
    """Return another hash of a password that matched, if `stored` should be made anew at `cost`; else None.

    Of a longer password than bcrypt reads, nobody knows whether the rest was right: such a hash stays as it is.
    """
    if not imported and is_current(stored, cost):
        return None
    cut = _BCRYPT.fullmatch(stored.removeprefix("bcrypt$")) and len(_bytes(_normal(password))) > _PLAIN
    return None if cut else hash_password(password, cost)


def matches(password: str, stored: str | None, cost: int, *, imported: bool = False) -> bool | None:
    """Tell whether `password` is the one that `stored` was made of; None for a hash that nothing can be checked with.

    The same bcrypt work is done whatever is stored, even nothing (nobody has that name), so that time tells nothing:
    that of `cost`, twice for a password that was not typed in NFC, because another system may have hashed it as it was
    typed. Only a foreign hash takes its own time beside. Of an `imported` hash the first 72 bytes count, as they did
    where it comes from; one of our own for so much is never plain bcrypt.
    """
    typed = password[: 4 * LONGEST + 1]
    spellings = dict.fromkeys((_normal(password), typed))
    found = [_check(_bytes(spelling), stored, cost, imported=imported) for spelling in spellings]
    return None if None in found else any(found)


def _check(secret: bytes, stored: str | None, cost: int, *, imported: bool) -> bool | None:
    matched: bool | None = False if stored is None else None
    rounds: int | None = None
    if stored is not None:
        with suppress(ValueError):
            matched, rounds = _tried(secret, stored, imported=imported)
    if rounds is None:
        _work(cost, cost + 1)
    else:  # 2**n + (2**n + 2**(n + 1) + ... + 2**(cost - 1)) is 2**cost: with what was done, the work of one at `cost`
        _work(rounds, cost)
    return matched


def _tried(secret: bytes, stored: str, *, imported: bool) -> tuple[bool, int | None]:
    """Return whether it matches, and the rounds of bcrypt that were done; raises `ValueError` for what cannot be."""
    known = _bcrypt_of(stored)
    if known is None:
        from rolegate import foreign  # noqa: PLC0415 - few tables have such a hash, and it takes 2 ms of a cold start

        return foreign.matches(secret, stored), None
    prepared, rounds, whole = known
    ready = prepared(secret)
    matched = bcrypt.checkpw(ready[:_PLAIN], whole.encode())
    # Of ours for so much is no plain bcrypt, and none has a NUL, after which bcrypt would begin anew.
    ours = stored.startswith("$2b$") and not imported
    return matched and not (ours and (len(ready) > _PLAIN or b"\0" in ready)), rounds


def _bcrypt_of(stored: str) -> tuple[Callable[[bytes], bytes], int, str] | None:
    """Return what a password goes through before bcrypt, the rounds, and the hash in bcrypt's own form, if it has one.

    Django's forms: https://docs.djangoproject.com/en/5.2/topics/auth/passwords/. Raises `ValueError` for more work than
    a request can wait for, and for less than bcrypt does.
    """
    bare = stored
    prepared: Callable[[bytes], bytes] = _itself
    if stored.startswith("bcrypt_sha256$"):
        bare, prepared = stored.removeprefix("bcrypt_sha256$"), _hex
    elif stored.startswith("bcrypt$"):
        bare = stored.removeprefix("bcrypt$")
    if plain := _BCRYPT.fullmatch(bare):
        rounds, tail = int(plain[1]), plain[2]
    elif wrapped := _PASSLIB_2.fullmatch(stored):
        rounds, tail, prepared = int(wrapped[1]), wrapped[2] + wrapped[3], _salted(wrapped[2])
    elif wrapped := _PASSLIB_1.fullmatch(stored):
        rounds, tail, prepared = int(wrapped[1]), wrapped[2] + wrapped[3], _sha256
    else:
        return None
    if not LOWEST <= rounds <= HIGHEST:
        raise ValueError(rounds)
    return prepared, rounds, f"$2b${rounds:02}${tail}"


def _work(least: int, below: int) -> None:
    """Do the work of one check at each cost from `least` to before `below`; nothing could pass it."""
    for cost in range(least, below):
        bcrypt.hashpw(b"", bcrypt.gensalt(cost))


def _itself(secret: bytes) -> bytes:
    return secret


def _hex(secret: bytes) -> bytes:
    return hashlib.sha256(secret).hexdigest().encode()


def _sha256(secret: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(secret).digest())


def _salted(salt: str) -> Callable[[bytes], bytes]:
    return lambda secret: base64.b64encode(hmac.digest(salt.encode(), secret, hashlib.sha256))


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")


def _normal(password: str) -> str:
    """Return the NFC of what can still be somebody's password: a character takes at most 4 however it is typed.

    More is not read, for the work is quadratic in a run of combining marks.
    """
    return unicodedata.normalize("NFC", password[: 4 * LONGEST + 1])
