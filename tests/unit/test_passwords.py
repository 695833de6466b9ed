from typing import Any

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolegate import passwords
from rolegate.errors import InvalidRequest

COST = 4
PUBLISHED = "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
COMPOSED, DECOMPOSED = "caf\u00e9 au lait", "cafe\u0301 au lait"


def kept(password: str) -> str:
    return passwords.hash_password(passwords.accept(password), COST)


# --- which are accepted


@pytest.mark.parametrize("length", [8, 72, 73, 256])
def test_8_to_256_characters_are_accepted_as_they_are(length: int) -> None:
    for character in ("a", " ", "é", "\U0001f511"):
        assert passwords.accept(character * length) == character * length


@pytest.mark.parametrize("length", [0, 7, 257, 1000])
@pytest.mark.parametrize("character", ["a", "\U0001f511"])
def test_fewer_or_more_are_refused_with_the_rule(length: int, character: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        passwords.accept(character * length)
    assert (error.value.code, error.value.detail) == (
        "invalid_request",
        "The password must have 8 to 256 characters.",
    )


def test_characters_are_counted_as_they_are_kept() -> None:
    with pytest.raises(InvalidRequest, match="8 to 256"):
        passwords.accept("e\u0301" * 7)
    assert passwords.accept("e\u0301" * 8) == "\u00e9" * 8


@pytest.mark.parametrize("character", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85"], ids=ascii)
@pytest.mark.parametrize("form", ["{}password", "pass{}word", "password{}"])
def test_control_characters_are_refused(character: str, form: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^The password must not contain control characters\.$"):
        passwords.accept(form.format(character))


@pytest.mark.parametrize("character", [chr(0xFFFD), chr(0xDCFF)], ids=ascii)
def test_what_bad_utf_8_has_become_on_its_way_is_refused(character: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^The password is not valid UTF-8\.$"):
        passwords.accept(f"password{character}")


def test_no_refusal_quotes_the_password() -> None:
    for password in ("hunter2", "hunter2\0\0", "hunter2\ufffd"):
        with pytest.raises(InvalidRequest) as error:
            passwords.accept(password)
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "password",
    ["        ", "aaaaaaaa", " leading and trailing ", "\u043f\u0430\u0440\u043e\u043b\u044c123", "🔑🔑🔑🔑🔑🔑🔑🔑"],
)
def test_nothing_is_trimmed_and_no_kind_of_character_is_asked_for(password: str) -> None:
    assert passwords.accept(password) == password


# --- which match


def test_a_hash_that_others_published_matches() -> None:
    assert passwords.matches("password", PUBLISHED, COST)
    assert not passwords.matches("Password", PUBLISHED, COST)


def test_up_to_72_bytes_a_hash_is_one_that_every_other_system_reads() -> None:
    stored = kept("é" * 36)
    assert stored.startswith("$2b$04$")
    assert bcrypt.checkpw(("é" * 36).encode(), stored.encode())


def test_beyond_72_bytes_a_hash_has_the_published_form() -> None:
    stored = kept("é" * 36 + "a")
    assert stored.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert len(stored) == len(PUBLISHED) - 1


@pytest.mark.parametrize("form", ["$2a$", "$2y$", "$2b$"])
def test_hashes_of_other_systems_match(form: str) -> None:
    stored = bcrypt.hashpw(b"password", bcrypt.gensalt(COST)).decode()
    assert passwords.matches("password", form + stored[4:], COST)


@pytest.mark.parametrize("character", ["a", "é", "\U0001f511"])
def test_no_byte_of_a_long_password_is_left_out(character: str) -> None:
    whole = "x" * (72 % len(character.encode())) + character * (72 // len(character.encode()))
    assert len(whole.encode()) == 72
    longer = whole + character
    for password, others in ((whole, (longer, whole[:-1])), (longer, (whole, longer + "a", longer[:-1] + "b"))):
        stored = kept(password)
        assert passwords.matches(password, stored, COST)
        for other in others:
            assert not passwords.matches(other, stored, COST)


def test_a_long_password_and_its_first_72_bytes_hashed_elsewhere_are_different() -> None:
    """Most systems let bcrypt cut silently: what they stored for a longer password is a hash of 72 bytes."""
    assert not passwords.matches("a" * 73, bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(COST)).decode(), COST)


def test_a_password_matches_however_its_accents_were_typed() -> None:
    assert passwords.matches(COMPOSED, kept(DECOMPOSED), COST)
    assert passwords.matches(DECOMPOSED, kept(COMPOSED), COST)
    long = COMPOSED + "x" * 72
    assert passwords.matches(DECOMPOSED + "x" * 72, kept(long), COST)


def test_the_longest_password_matches_in_its_longest_spelling_and_no_longer_one_does() -> None:
    composed, decomposed = "\u1f82" * 256, "\u03b1\u0313\u0300\u0345" * 256
    stored = kept(composed)
    assert passwords.matches(decomposed, stored, COST)
    for more in ("a", "\u0300", "\u1f82", "\u0345" * 30_000):
        assert not passwords.matches(decomposed + more, stored, COST)
        with pytest.raises(InvalidRequest, match="8 to 256"):
            passwords.accept(decomposed + more)


@pytest.mark.parametrize(
    "other", ["Password1", "password", "password1 ", " password1", "passwor\u05011", "\uff50assword1"]
)
def test_nothing_else_is_taken_for_it(other: str) -> None:
    assert not passwords.matches(other, kept("password1"), COST)


def test_nothing_after_a_nul_is_left_out() -> None:
    stored = bcrypt.hashpw(b"pass\0word", bcrypt.gensalt(COST)).decode()
    assert passwords.matches("pass\0word", stored, COST)
    assert not passwords.matches("pass", stored, COST)
    assert not passwords.matches("pass\0wort", stored, COST)


def test_the_same_password_is_never_kept_in_the_same_way_twice() -> None:
    assert kept("password") != kept("password")
    assert kept("password" * 10) != kept("password" * 10)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffd"), min_size=8, max_size=100))
def test_whatever_is_accepted_matches_what_is_kept_of_it(password: str) -> None:
    try:
        stored = kept(password)
    except InvalidRequest:
        return
    assert passwords.matches(password, stored, COST)
    assert not passwords.matches(password + "x", stored, COST)


ANYTHING = ["", "\0", "\ud800", "pass\udfffword", "\ufffd", "a" * 10_000, "\U0001f511" * 1000, "e\u0301" * 500]


@pytest.mark.parametrize("password", ANYTHING, ids=lambda password: ascii(password)[:20])
@pytest.mark.parametrize("stored", [None, PUBLISHED.replace("r=12", "r=4"), "$2b$04$" + "a" * 53], ids=str)
def test_nothing_that_is_typed_at_sign_in_crashes(password: str, stored: str | None) -> None:
    assert not passwords.matches(password, stored, COST)


NO_HASH = [
    "",
    "*",
    "password",
    "$2b$",
    "$2b$04$",
    "$2b$04$" + "a" * 52,
    "$2b$04$" + "a" * 21 + "\0" * 32,
    "$2b$04$" + "é" * 53,
    "$2b$03$" + "a" * 53,
    "$2b$99$" + "a" * 53,
    "$2b$-4$" + "a" * 53,
    "$2x$04$" + "a" * 53,
    "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
    "\ud800",
    PUBLISHED[:-1],
    PUBLISHED + "a",
    PUBLISHED + "\n",
    PUBLISHED.replace("v=2", "v=1"),
    PUBLISHED.replace("t=2b", "t=2a"),
    PUBLISHED.replace("r=12", "r=0"),
    PUBLISHED.replace("r=12", "r=99"),
    PUBLISHED.replace("r=12", "r="),
    PUBLISHED.replace("r=12", "r=\u0661\u0662"),
    " " + PUBLISHED,
]


@pytest.mark.parametrize("stored", NO_HASH, ids=ascii)
def test_a_stored_hash_of_another_form_matches_nothing(stored: str) -> None:
    for password in ("password", "", stored):
        assert not passwords.matches(password, stored, COST)


# --- what time tells


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The prefix of every salt that bcrypt is really given: the version, and the cost."""
    done: list[bytes] = []

    def watch(name: str) -> None:
        real = getattr(bcrypt, name)

        def watched(password: bytes, salt: bytes) -> Any:
            done.append(salt[:7])
            return real(password, salt)

        monkeypatch.setattr(bcrypt, name, watched)

    watch("hashpw")
    watch("checkpw")
    return done


@pytest.mark.parametrize("password", ["wrong", "wrong" * 20, "", "\ud800"], ids=ascii)
def test_nobody_s_password_costs_the_same_work_as_somebody_s(password: str, work: list[bytes]) -> None:
    short, long = kept("password"), kept("password" * 10)
    work.clear()
    for stored in (short, long, None):
        assert not passwords.matches(password, stored, COST)
    assert work == [b"$2b$04$"] * 3


@pytest.mark.parametrize("stored", NO_HASH, ids=ascii)
def test_a_stored_hash_that_cannot_be_checked_costs_the_same_work_too(stored: str, work: list[bytes]) -> None:
    passwords.matches("password", stored, COST)
    assert b"$2b$04$" in work
