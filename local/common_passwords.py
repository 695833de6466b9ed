"""Make the layer's list of common passwords: `python -m local.common_passwords LIST...`.

A list is text in UTF-8, a password a line, the most common first; of several lists the earlier are the more common.
NOTICE names the lists in the repository's file, in the order in which they were given. Of the list of a million only
the first 756,088 lines were (`head -n 756088`): the rest was seen once each, and goes from z to v alone.
"""

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rolegate import blocklist

from local.process import Failure

SHORTEST = 8  # characters: no rule lets a shorter password in
MOST = 500_000  # 2.5 MB in every layer, and one other password in 2.2 million taken for one of them


def passwords(lists: Sequence[Path]) -> Iterator[str]:
    """List the passwords that are not too short anyway.

    Raises:
        Failure: a list cannot be read.
    """
    for path in lists:
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except OSError as error:
            raise Failure(f"{path} cannot be read ({error.strerror}). Name a text file, a password a line.") from None
        except UnicodeDecodeError:
            raise Failure(f"{path} is not UTF-8. Convert it first: iconv -f LATIN1 -t UTF-8 {path}") from None
        yield from (line for line in lines if len(line) >= SHORTEST)


def build(lists: Sequence[Path], file: Path = blocklist.FILE) -> int:
    """Write the fingerprints of the most common passwords, sorted; return how many they are.

    Raises:
        Failure: there is no list, it cannot be read, or nothing in it is long enough.
    """
    if not lists:
        raise Failure("Name the lists to build from: python -m local.common_passwords LIST...")
    distinct = dict.fromkeys(blocklist.fingerprint(password) for password in passwords(lists))
    if not distinct:
        raise Failure(
            f"There is no password of at least {SHORTEST} characters in {', '.join(map(str, lists))}. "
            "Write one a line, the most common first."
        )
    kept = sorted(itertools.islice(distinct, MOST))
    file.write_bytes(b"".join(kept))
    return len(kept)


def main() -> None:
    """Build the file from the lists named and print how many passwords it holds."""
    count = build([Path(name) for name in sys.argv[1:]])
    print(f"{blocklist.FILE.name}: {count:,} passwords, {count * blocklist.SIZE / 1e6:.1f} MB")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
