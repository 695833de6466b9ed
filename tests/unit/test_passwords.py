import base64
import hashlib
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
    for character in ("%", " ", "é", "\U0001f511"):
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
    ["        ", "%%%%%%%%", " leading and trailing ", "\u043f\u0430\u0440\u043e\u043b\u044c123", "🔑🔑🔑🔑🔑🔑🔑🔑"],
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


def test_of_an_imported_hash_the_first_72_bytes_count_as_where_it_comes_from() -> None:
    """Most systems let bcrypt cut silently: what they stored for a longer password is a hash of 72 bytes."""
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(COST)).decode()
    for longer in ("a" * 73, "a" * 72 + "b"):
        assert not passwords.matches(longer, stored, COST)  # one of ours for so much would not be plain bcrypt
        assert passwords.matches(longer, stored, COST, imported=True)
        for form in ("$2a$", "$2y$"):  # nor in a form that we never write
            assert passwords.matches(longer, form + stored[4:], COST)
    assert not passwords.matches("a" * 71 + "b" * 2, stored, COST, imported=True)


def test_an_imported_hash_of_a_password_that_was_not_normalised_matches_as_it_is_typed() -> None:
    stored = bcrypt.hashpw(DECOMPOSED.encode(), bcrypt.gensalt(COST)).decode()
    assert passwords.matches(DECOMPOSED, stored, COST)
    assert not passwords.matches(COMPOSED, stored, COST)


FOREIGN = {
    "Django's PBKDF2": f"pbkdf2_sha256$1000$salt$"
    f"{base64.b64encode(hashlib.pbkdf2_hmac('sha256', b'passphrase', b'salt', 1000)).decode()}",
    "Django's bcrypt": "bcrypt$" + bcrypt.hashpw(b"passphrase", bcrypt.gensalt(COST)).decode(),
    "Django's bcrypt of SHA-256": "bcrypt_sha256$"
    + bcrypt.hashpw(hashlib.sha256(b"passphrase").hexdigest().encode(), bcrypt.gensalt(COST)).decode(),
}


@pytest.mark.parametrize("stored", FOREIGN.values(), ids=FOREIGN)
def test_hashes_of_other_schemes_match(stored: str) -> None:
    assert passwords.matches("passphrase", stored, COST)
    assert not passwords.matches("passphrases", stored, COST)
    assert not passwords.is_current(stored, COST)


def test_the_first_version_of_passlibs_form_matches() -> None:
    """https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html"""
    salt = bcrypt.gensalt(COST)
    whole = bcrypt.hashpw(base64.b64encode(hashlib.sha256(b"passphrase").digest()), salt).decode()
    stored = f"$bcrypt-sha256$2b,{COST}${whole[7:29]}${whole[29:]}"
    assert passwords.matches("passphrase", stored, COST)
    assert not passwords.matches("passphrases", stored, COST)


@pytest.mark.parametrize("stored", ["$2b$16$", "$2a$31$", "bcrypt$$2b$31$", "$bcrypt-sha256$v=2,t=2b,r=31$"])
def test_a_hash_that_would_take_for_ever_is_not_checked(stored: str) -> None:
    tail = "n79VH.0Q2TMWmt3Oqt9uku" + ("$" if "sha256" in stored else "") + "Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
    assert passwords.matches("password", stored + tail, COST) is None


# --- which are to be made anew


def test_what_is_made_now_is_current_and_stays_so_at_a_lower_cost() -> None:
    for password in ("passphrase 1", "password" * 10):
        stored = kept(password)
        assert passwords.is_current(stored, COST)
        assert not passwords.is_current(stored, COST + 1)
        assert passwords.is_current(passwords.hash_password(password, COST + 1), COST)


def test_bcrypt_begins_anew_after_a_nul_and_we_do_not() -> None:
    stored = kept("passphrase one")
    assert bcrypt.checkpw(b"passphrase one\0passphrase one", stored.encode())
    assert not passwords.matches("passphrase one\0passphrase one", stored, COST)


def test_a_hash_that_was_cut_where_it_comes_from_is_not_made_anew_of_what_may_be_a_wrong_end() -> None:
    typed = "a" * 72 + "wrong end"
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(COST)).decode()
    for one in (stored, "$2y$" + stored[4:], f"bcrypt${stored}"):
        assert passwords.renewed(typed, one, COST + 1, imported=True) is None
        made = passwords.renewed("a" * 72, one, COST + 1, imported=True)
        assert made is not None
        assert made.startswith("$2b$05$")
    long = kept("a" * 73)
    assert (passwords.renewed("a" * 73, long, COST + 1) or "").startswith("$bcrypt-sha256$v=2,t=2b,r=5$")
    assert passwords.renewed("a" * 73, long, COST) is None


@pytest.mark.parametrize("stored", ["$2a$12$" + "a" * 53, "$2y$12$" + "a" * 53, "", "*", PUBLISHED.replace("2b", "2a")])
def test_what_another_system_made_is_not_current(stored: str) -> None:
    assert not passwords.is_current(stored, COST)


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
    "other", ["Passphrase1", "password", "passphrase1 ", " passphrase1", "passphras\u01171", "\uff50assphrase1"]
)
def test_nothing_else_is_taken_for_it(other: str) -> None:
    assert not passwords.matches(other, kept("passphrase1"), COST)


def test_nothing_after_a_nul_is_left_out() -> None:
    stored = bcrypt.hashpw(b"pass\0word", bcrypt.gensalt(COST)).decode()
    assert passwords.matches("pass\0word", stored, COST, imported=True)
    assert not passwords.matches("pass\0word", stored, COST)  # none of ours has a NUL
    assert not passwords.matches("pass", stored, COST)
    assert not passwords.matches("pass\0wort", stored, COST)


def test_the_same_password_is_never_kept_in_the_same_way_twice() -> None:
    assert kept("passphrase 1") != kept("passphrase 1")
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
    PUBLISHED.replace("t=2b", "t=2x"),
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
    short, long = kept("passphrase 1"), kept("password" * 10)
    work.clear()
    for stored in (short, long, None):
        assert not passwords.matches(password, stored, COST)
    assert work == [b"$2b$04$"] * 3


def total(work: list[bytes]) -> int:
    """Return the rounds that were done."""
    return sum(2 ** int(salt[4:6]) for salt in work)


@pytest.mark.parametrize("typed", ["wrong", DECOMPOSED, COMPOSED])
def test_a_hash_of_lower_cost_or_another_scheme_costs_exactly_the_same_work(typed: str, work: list[bytes]) -> None:
    dear = 8
    stored = [passwords.hash_password(COMPOSED, cost) for cost in range(4, dear + 1)]
    stored += [passwords.hash_password(COMPOSED * 10, cost) for cost in range(4, dear + 1)]
    spellings = 2 if typed == DECOMPOSED else 1
    for one in (None, *stored, *FOREIGN.values(), "*", "$2x$04$" + "a" * 53):
        work.clear()
        passwords.matches(typed, one, dear)
        assert total(work) == spellings * 2**dear, one


@pytest.mark.parametrize("stored", NO_HASH, ids=ascii)
def test_a_stored_hash_that_cannot_be_checked_costs_the_same_work_too(stored: str, work: list[bytes]) -> None:
    assert passwords.matches("password", stored, COST) is None
    assert total(work) == 2**COST


# --- names and lists


@pytest.mark.parametrize("password", ["alice in wonderland", "I am ALICE!", "xxalicexx"])
def test_a_password_with_the_username_in_it_is_refused(password: str) -> None:
    for name in ("alice", "alice@example.com"):
        with pytest.raises(
            InvalidRequest, match=r"^The password must not contain the username, nor what stands before its @\.$"
        ):
            passwords.accept(password, name)
    assert passwords.accept(password, "bob") == password
    assert passwords.accept(password, "al") == password  # too short to say anything


@pytest.mark.parametrize("password", ["password", "Password1", "PASSWORD", "12345678", "iloveyou"])
def test_a_password_that_is_tried_first_is_refused_in_whatever_case(password: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^This password is among those that are tried first\. Choose another\.$"):
        passwords.accept(password)


def test_the_lengths_are_a_rule() -> None:
    rule = passwords.Rule(12, 64)
    assert passwords.accept("%" * 12, rule=rule) == "%" * 12
    for password in ("%" * 11, "%" * 65):
        with pytest.raises(InvalidRequest, match=r"^The password must have 12 to 64 characters\.$"):
            passwords.accept(password, rule=rule)
