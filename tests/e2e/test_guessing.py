"""Passwords over HTTP: guesses are counted whatever a client writes, changed in one session, renewed at sign-in."""

import json
from typing import Any

import bcrypt
import pytest

from tests.e2e.test_refusals import JSON, problem, send

PASSPHRASE = "seven lamps on a quiet hill"
LIMITED = (429, "too_many_attempts")


@pytest.fixture
def name(world: Any, request: pytest.FixtureRequest) -> str:
    """Register somebody for this test alone."""
    name = f"user-{abs(hash(request.node.name)) % 10**9}"
    assert world.ask("POST", "/register", {"username": name, "password": PASSPHRASE}).status == 201
    return name


def sign_in(world: Any, name: str, password: str = PASSPHRASE) -> Any:
    return world.ask("POST", "/login", {"username": name, "password": password})


def stored(world: Any, name: str) -> dict[str, Any]:
    table = world.stack["users_table"]
    item: dict[str, Any] = world.client("dynamodb").get_item(TableName=table, Key={"username": {"S": name}})["Item"]
    return item


def test_no_header_that_a_client_writes_gives_it_another_guess(world: Any, name: str) -> None:
    body = json.dumps({"username": name, "password": "not this one"}).encode()
    answers = [
        send(world, "POST", "/login", body, [("Content-Type", JSON), ("X-Forwarded-For", f"203.0.113.{number}")])
        for number in range(50)
    ]
    assert [status for status, _ in answers] == [401] * 10 + [429] * 40
    problem(answers[-1], *LIMITED)
    refused = sign_in(world, name)
    assert (refused.status, refused.body["code"]) == LIMITED
    assert 0 < int(refused.headers["Retry-After"]) <= 900


def test_an_operator_lets_somebody_try_again(world: Any, name: str) -> None:
    for _ in range(11):
        refused = sign_in(world, name, "not this one")
    assert refused.status == 429
    assert world.operate("users", "unlock", name).returncode == 0
    assert sign_in(world, name).status == 429  # from this network there were ten
    told = world.operate("users", "unlock", name, "--address", "127.0.0.1")
    assert told.stdout == f"Forgotten: the guesses at the name {name}, and those from 127.0.0.1 at any name.\n"
    assert sign_in(world, name).status == 200


@pytest.mark.parametrize("address", ["localhost", "127.0.0", "192.0.2.0/24"])
def test_what_is_no_address_is_said_to_be_none(world: Any, name: str, address: str) -> None:
    told = world.operate("users", "unlock", name, "--address", address)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"'{address}' is no address. Give one such as 192.0.2.44 or 2001:db8::7.\n"


def test_a_changed_password_ends_every_session_but_the_one_that_it_begins(world: Any, name: str) -> None:
    other, ours = sign_in(world, name).body, sign_in(world, name).body
    header = {"Authorization": f"Bearer {ours['access_token']}"}
    new = {"current_password": PASSPHRASE, "new_password": "eight lamps on a quiet hill"}
    changed = world.ask("POST", "/me/password", new, **header)
    assert changed.status == 200
    for ended in (other, ours):
        refused = world.refresh(ended["refresh_token"])
        assert (refused.status, refused.body["code"]) == (401, "refresh_token_revoked")
    assert world.refresh(changed.body["refresh_token"]).status == 200
    again = world.ask("POST", "/me/password", new, **header)  # the access token lives on, its session does not
    assert (again.status, again.body["code"]) == (401, "unauthorized")
    assert sign_in(world, name).status == 401
    assert sign_in(world, name, "eight lamps on a quiet hill").status == 200
    for key in ("role", "user_id", "created_at"):
        assert key in stored(world, name)


def test_without_a_token_no_password_is_changed(world: Any) -> None:
    body = {"current_password": PASSPHRASE, "new_password": "eight lamps on a quiet hill"}
    refused = world.ask("POST", "/me/password", body)
    assert (refused.status, refused.body["code"]) == (401, "unauthorized")


def test_a_hash_of_lower_cost_is_renewed_by_the_function_with_its_own_permissions(world: Any, name: str) -> None:
    low = bcrypt.hashpw(PASSPHRASE.encode(), bcrypt.gensalt(4)).decode()
    item = {**stored(world, name), "password_hash": {"S": low}}
    world.client("dynamodb").put_item(TableName=world.stack["users_table"], Item=item)
    assert sign_in(world, name).status == 200
    assert stored(world, name)["password_hash"]["S"].startswith("$2b$10$")
    assert sign_in(world, name).status == 200


@pytest.mark.parametrize(
    ("password", "detail"),
    [
        ("seven77", "The password must have 8 to 256 characters."),
        ("x" * 257, "The password must have 8 to 256 characters."),
        ("with\u0000a NUL", "The password must not contain control characters."),
        ("Password123", "This password is among those that are tried first. Choose another."),
        ("my name is tim-the-tester", "The password must not contain the username, nor what stands before its @."),
    ],
)
def test_a_password_outside_the_rules_is_told_the_rule(world: Any, password: str, detail: str) -> None:
    told = world.ask("POST", "/register", {"username": "tim-the-tester", "password": password})
    assert (told.status, told.body["code"], told.body["detail"]) == (400, "invalid_request", detail)


@pytest.mark.parametrize("length", [72, 73, 256])
def test_every_character_of_a_long_password_counts(world: Any, name: str, length: int) -> None:
    password = ("lamp post " * 26)[:length]
    assert world.ask("POST", "/register", {"username": f"{name}-long", "password": password}).status == 201
    assert sign_in(world, f"{name}-long", password).status == 200
    for other in (password[:-1], f"{password}!", f"{password[:-1]}!"):
        assert sign_in(world, f"{name}-long", other).status == 401
