import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolegate import users
from rolegate.errors import InvalidRequest

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("ALICE", "alice"),
        ("  alice ", "alice"),
        ("\talice\r\n", "alice"),
        ("7", "7"),
        ("a", "a"),
        ("alice@example.com", "alice@example.com"),
        ("Alice.B_c+tag@sub-domain.example.com", "alice.b_c+tag@sub-domain.example.com"),
        ("a" * 128, "a" * 128),
        (" " * 3000 + "alice", "alice"),
        ("123e4567e89b42d3a456426614174000", "123e4567e89b42d3a456426614174000"),
        ("123e4567-e89b-42d3-a456-42661417400", "123e4567-e89b-42d3-a456-42661417400"),
    ],
)
def test_a_name_has_one_form_however_it_is_typed(typed: str, name: str) -> None:
    assert users.username(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        ".alice",
        "-alice",
        "_alice",
        "@alice",
        "+alice",
        "al ice",
        "al\tice",
        "al\nice",
        "alice\0",
        "\0alice",
        "al\x7fice",
        "alice/bob",
        "alice#1",
        "#deleted#1",
        "alice:bob",
        "alice'; --",
        "{{alice}}",
        "a" * 129,
        "a" * 3000,
        "123e4567-e89b-42d3-a456-426614174000",
        "123E4567-E89B-42D3-A456-426614174000",
        " 123e4567-e89b-42d3-a456-426614174000 ",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_what_is_outside_the_rule_is_refused_with_the_rule(typed: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        users.username(typed)
    assert (error.value.code, error.value.detail) == ("invalid_request", users.USERNAME_RULE)


@pytest.mark.parametrize(
    "typed",
    [
        "\u212aate",  # KELVIN SIGN, whose lower case is k
        "\u0130rene",  # I WITH DOT ABOVE, whose lower case begins with i
        "\u0430lice",  # CYRILLIC A
        "\uff41lice",  # FULLWIDTH A
        "alic\u00e9",
        "alice\u0301",
        "stra\u00dfe",
        "\u0661",  # ARABIC-INDIC ONE
        "alice\u00a0",  # NO-BREAK SPACE, which `strip` takes away
        "\u2003alice",
        "\ufeffalice",
        "alice\u200b",
        "\u202ealice",
        "alice" + chr(0xD800),
        "alice\ufffd",
        "\U0001f511",
    ],
    ids=ascii,
)
def test_no_look_alike_becomes_somebody_s_name(typed: str) -> None:
    with pytest.raises(InvalidRequest, match="letters a to z"):
        users.username(typed)


@given(st.text() | st.from_regex(r"\s*[A-Za-z0-9._+@-]{1,130}\s*") | st.uuids().map(str))
def test_what_a_name_becomes_is_itself_a_name_and_stays_as_it_is(typed: str) -> None:
    try:
        name = users.username(typed)
    except InvalidRequest:
        return
    assert users.username(name) == name
    assert re.fullmatch(r"[a-z0-9][a-z0-9._+@-]{0,127}", name)
    assert name == typed.strip().lower()


@given(st.uuids())
def test_no_name_could_be_taken_for_a_user_id(user_id: uuid.UUID) -> None:
    with pytest.raises(InvalidRequest):
        users.username(str(user_id).upper())


def test_a_new_user_is_nobody_s_successor() -> None:
    first, second = (users.create("alice", "a hash", "user", NOW) for _ in range(2))
    assert uuid.UUID(first.user_id).version == 4
    assert first.user_id != second.user_id
    assert first.session_epoch != second.session_epoch
    assert (first.username, first.password_hash, first.role) == ("alice", "a hash", "user")
    assert (first.created_at, first.updated_at, first.password_changed_at) == (NOW, NOW, NOW)
    assert first.may_sign_in


def test_a_user_who_is_disabled_or_deleted_may_not_sign_in() -> None:
    alice = users.create("alice", "a hash", "user", NOW)
    assert not alice._replace(disabled=True).may_sign_in
    assert not alice._replace(deleted_at=NOW).may_sign_in


def test_epochs_do_not_repeat() -> None:
    assert len({users.epoch() for _ in range(1000)}) == 1000
