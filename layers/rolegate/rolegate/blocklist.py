"""Which passwords are commonly used or breached: those that a guesser tries first.

The 313,573 that have 8 characters or more, of SecLists (MIT): the most used of 2024 and 2025, and those that more than
one account used among ten million. NOTICE names the lists. The file keeps their fingerprints alone, sorted; of all
other passwords, one in 3.5 million is taken for one of these.
"""

import hashlib
import unicodedata
from bisect import bisect_left
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("common-passwords.bin")  # made by local/common_passwords.py
SIZE = 5  # bytes a fingerprint


def is_common(password: str) -> bool:
    """Tell whether an accepted password is commonly used or breached, in whatever case."""
    table, wanted = _table(), fingerprint(password)
    place = bisect_left(range(len(table) // SIZE), wanted, key=lambda index: _at(table, index))
    return _at(table, place) == wanted


def fingerprint(password: str) -> bytes:
    """Return what the file keeps of a password: the start of its SHA-256, without regard to case."""
    text = unicodedata.normalize("NFC", password).casefold()
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:SIZE]


def _at(table: bytes, index: int) -> bytes:
    return table[index * SIZE : (index + 1) * SIZE]


@cache
def _table() -> bytes:
    return FILE.read_bytes()
