import hashlib
import random
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from rolegate import blocklist

from local import common_passwords
from local.process import Failure

ROOT = Path(__file__).parents[2]
LETTERS = string.ascii_letters + string.digits + string.punctuation + " äéñßжя漢字"


def fingerprints(file: Path) -> Sequence[bytes]:
    content = file.read_bytes()
    return [content[start : start + 5] for start in range(0, len(content), 5)]


def sha256_start(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:5]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text("Iloveyou\nshorter\niLoveYou\ncontraseña\n  spaces  \nLetmein!\n")
    return path


# --- which passwords are common


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "password1",
        "iloveyou",
        "12345678",
        "qwertyuiop",
        "1q2w3e4r5t",
        "Aa@123456",
        "contraseña",
        "target123",
    ],
)
def test_what_a_guesser_tries_first_is_common_in_any_case(password: str) -> None:
    for written in (password, password.upper(), password.title(), password.swapcase()):
        assert blocklist.is_common(written)


def test_a_common_password_is_common_however_its_accents_are_typed() -> None:
    for form in ("NFC", "NFD"):
        assert blocklist.is_common(unicodedata.normalize(form, "Contraseña"))


@pytest.mark.parametrize(
    "password", ["", "password1 ", " password1", "correct horse battery staple", "p\udcffassword", "a" * 256]
)
def test_any_other_password_is_not_common(password: str) -> None:
    assert not blocklist.is_common(password)


def test_nobody_is_refused_a_random_password() -> None:
    dice = random.Random(8)  # noqa: S311 - the same passwords every time
    assert not any(blocklist.is_common("".join(dice.choices(LETTERS, k=8 + n % 9))) for n in range(200_000))


def test_the_first_and_the_last_fingerprint_are_found_and_so_are_those_between(monkeypatch: pytest.MonkeyPatch) -> None:
    among = fingerprints(blocklist.FILE)
    for wanted in (among[0], among[1], among[len(among) // 2], among[-2], among[-1]):
        monkeypatch.setattr(blocklist, "fingerprint", lambda _password, found=wanted: found)
        assert blocklist.is_common("any")
    for absent in (bytes(5), b"\xff" * 5):
        monkeypatch.setattr(blocklist, "fingerprint", lambda _password, found=absent: found)
        assert not blocklist.is_common("any")


# --- the file


def test_the_file_is_whole_sorted_and_distinct_and_mistakes_one_other_password_in_a_million_at_most() -> None:
    kept = fingerprints(blocklist.FILE)
    assert {len(one) for one in kept} == {5}
    assert kept == sorted(set(kept))
    assert 100_000 <= len(kept) <= 2**40 / 1_000_000


def test_the_module_and_the_notice_tell_how_many_passwords_there_are() -> None:
    count = f"{len(fingerprints(blocklist.FILE)):,}"
    assert count in (blocklist.__doc__ or "")
    assert count in (ROOT / "NOTICE").read_text()


# --- its builder


def test_what_is_built_is_each_long_enough_password_once_without_its_case(tmp_path: Path, lists: Path) -> None:
    file = tmp_path / "built.bin"
    assert common_passwords.build([lists], file) == 4
    wanted = ("iloveyou", "contraseña", "  spaces  ", "letmein!")
    assert fingerprints(file) == sorted(sha256_start(text) for text in wanted)


def test_what_is_built_is_what_is_found(tmp_path: Path, lists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "built.bin"
    common_passwords.build([lists], file)
    monkeypatch.setattr(blocklist, "_table", file.read_bytes)
    assert all(blocklist.is_common(password) for password in lists.read_text().splitlines() if password != "shorter")
    assert not any(blocklist.is_common(password) for password in ("shorter", "password1", "spaces"))


def test_several_lists_are_one_and_the_most_common_are_kept(
    tmp_path: Path, lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, file = tmp_path / "other.txt", tmp_path / "built.bin"
    other.write_bytes(b"\xef\xbb\xbfdragon123\r\nILOVEYOU\r\nmonkey123")  # as Windows writes it
    assert common_passwords.build([other, lists], file) == 6
    monkeypatch.setattr(common_passwords, "MOST", 3)
    assert common_passwords.build([other, lists], file) == 3
    assert fingerprints(file) == sorted(map(sha256_start, ("dragon123", "iloveyou", "monkey123")))


@pytest.mark.parametrize("content", ["", "\n\n", "short\nshorter\n"])
def test_a_list_without_a_password_that_is_long_enough_is_refused(tmp_path: Path, content: str) -> None:
    path, file = tmp_path / "list.txt", tmp_path / "built.bin"
    path.write_text(content)
    with pytest.raises(Failure, match=r"no password of at least 8 characters in .*list\.txt\. Write one a line"):
        common_passwords.build([path], file)
    assert not file.exists()


def test_no_list_an_absent_one_and_one_in_another_encoding_are_refused_with_what_to_do(tmp_path: Path) -> None:
    latin, file = tmp_path / "latin.txt", tmp_path / "built.bin"
    latin.write_bytes("contraseña\n".encode("latin-1"))
    with pytest.raises(Failure, match="Name the lists to build from"):
        common_passwords.build([], file)
    with pytest.raises(Failure, match="Name a text file, a password a line"):
        common_passwords.build([tmp_path / "absent.txt"], file)
    with pytest.raises(Failure, match="Convert it first: iconv -f LATIN1 -t UTF-8"):
        common_passwords.build([latin], file)
    assert not file.exists()
