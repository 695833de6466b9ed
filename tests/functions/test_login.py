"""POST /login: a username and a password for tokens; whoever is refused learns nothing from it."""

import uuid
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest

from tests.conftest import LAPTOP, NOW, OUT_OF_REACH, PASSWORD, PHONE, Fault, Logs, World, claims, header

UNAVAILABLE = (503, "unavailable", "The service is not available right now. Try again.")


@pytest.fixture
def world(world: World) -> World:
    world.guesses = True
    world.add_user()
    world.wire.calls.clear()
    return world


def test_a_sign_in_gives_both_tokens_and_begins_a_session(world: World) -> None:
    body = world.login()
    access, refresh, stored = (
        claims(body["access_token"]),
        claims(body["refresh_token"]),
        world.session(body["refresh_token"]),
    )
    assert {name: body[name] for name in body.keys() - {"access_token", "refresh_token"}} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_expires_in": 7 * 86_400,
        "role": "user",
    }
    assert header(body["access_token"]) == {
        "typ": "at+jwt",
        "alg": "RS256",
        "kid": world.ring("SIGNING_KEYS_SECRET")["current"]["kid"],
    }
    assert header(body["refresh_token"]) == {
        "typ": "rt+jwt",
        "alg": "HS256",
        "kid": world.ring("REFRESH_KEYS_SECRET")["current"]["kid"],
    }
    assert access.pop("jti")
    assert access == {
        "iss": world.issuer,
        "aud": "rolegate",
        "sub": "alice",
        "iat": NOW,
        "exp": NOW + 900,
        "client_id": "rolegate",
        "sid": stored["session_id"],
        "uid": world.user()["user_id"],
        "username": "alice",
        "role": "user",
        "scope": "user",
        "auth_time": NOW,
        "amr": ["pwd"],
    }
    assert refresh == {
        "iss": world.issuer,
        "aud": world.issuer,
        "sub": "alice",
        "uid": world.user()["user_id"],
        "sid": stored["session_id"],
        "jti": stored["token_id"],
        "gen": 0,
        "iat": NOW,
        "exp": NOW + 7 * 86_400,
        "auth_time": NOW,
        "session_exp": NOW + 30 * 86_400,
    }


def test_a_session_is_stored_whole(world: World) -> None:
    token = world.login(audience="reports")["refresh_token"]
    stored = world.session(token)
    assert uuid.UUID(stored.pop("session_id")).version == 4
    assert stored == {
        "user_id": world.user()["user_id"],
        "session_epoch": world.user()["session_epoch"],
        "token_id": claims(token)["jti"],
        "token_kid": header(token)["kid"],
        "token_issued_at": NOW,
        "token_expires_at": NOW + 7 * 86_400,
        "generation": 0,
        "auth_time": NOW,
        "amr": ("pwd",),
        "client_id": "rolegate",
        "audience": "reports",
        "created_at": NOW,
        "session_expires_at": NOW + 30 * 86_400,
        "source_ip": PHONE.source_ip,
        "user_agent": PHONE.user_agent,
        "schema_version": 1,
    }


def test_a_warm_sign_in_takes_three_round_trips(world: World) -> None:
    world.login()
    world.clock.tick(10)
    world.wire.calls.clear()
    world.login(caller=LAPTOP)
    first, second, third = world.wire.calls[:1], world.wire.calls[1:4], world.wire.calls[4:]
    assert first == ["UpdateItem"]
    assert sorted(second) == ["GetItem", "UpdateItem", "UpdateItem"]
    assert sorted(third) == ["PutItem", "UpdateItem", "UpdateItem", "UpdateItem"]
    world.clock.tick(10)
    world.wire.calls.clear()
    world.login()  # from where this user signed in before, it counts in two places
    assert len(world.wire.calls) == 6


def test_every_sign_in_is_a_session_of_its_own(world: World) -> None:
    tokens = [world.login()["refresh_token"] for _ in range(3)]
    assert len({claims(token)["sid"] for token in tokens}) == 3
    world.logout(tokens[0])
    assert [world.refresh(token).status for token in tokens] == [401, 200, 200]


@pytest.mark.parametrize(
    ("role", "scope"), [("user", "user"), ("manager", "user manager"), ("admin", "user manager admin")]
)
def test_the_scope_lists_every_role_at_or_below_the_users(world: World, role: str, scope: str) -> None:
    world.change_user(role=role)
    body = world.login()
    assert (body["role"], claims(body["access_token"])["scope"]) == (role, scope)


def test_the_subject_may_be_the_user_id(world: World) -> None:
    world.configure(SUBJECT="user_id")
    body = world.login()
    assert claims(body["access_token"])["sub"] == world.user()["user_id"]
    assert claims(body["refresh_token"])["sub"] == "alice"


def test_lifetimes_are_as_configured(world: World) -> None:
    world.configure(ACCESS_TOKEN_MINUTES="5", REFRESH_TOKEN_DAYS="90", SESSION_DAYS="60")
    body = world.login()
    assert (body["expires_in"], body["refresh_expires_in"]) == (300, 60 * 86_400)
    assert claims(body["access_token"])["exp"] == NOW + 300
    assert claims(body["refresh_token"])["exp"] == claims(body["refresh_token"])["session_exp"] == NOW + 60 * 86_400


def test_the_first_audience_is_the_default(world: World) -> None:
    assert claims(world.login()["access_token"])["aud"] == "rolegate"
    assert claims(world.login(audience="reports")["access_token"])["aud"] == "reports"


def test_an_audience_that_is_not_configured_is_refused_before_anything_is_read(world: World) -> None:
    answer = world.post("login", {"username": "alice", "password": PASSWORD, "audience": "payroll"})
    assert (answer.status, answer.body["code"]) == (400, "invalid_request")
    assert "'audience'" in answer.body["detail"]
    assert world.wire.calls == []


@pytest.mark.parametrize(
    "change", [{"disabled": True}, {"deleted_at": NOW}, {"password_hash": "not a hash"}, {"password_hash": ""}]
)
def test_whoever_is_refused_gets_the_same_bytes(world: World, change: dict[str, Any]) -> None:
    wrong = world.post("login", {"username": "alice", "password": "wrong password"})
    assert wrong.problem == (401, "invalid_credentials", "Invalid credentials")
    unknown = world.post("login", {"username": "nobody", "password": PASSWORD})
    impossible = world.post("login", {"username": "no body", "password": PASSWORD})
    world.change_user(**change)
    changed = world.post("login", {"username": "alice", "password": PASSWORD})
    assert unknown == impossible == changed == wrong
    assert world.stored()["sessions"] == []


def test_whoever_is_refused_costs_the_same_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_user("bob", disabled=True)
    world.add_user("carol", deleted_at=NOW)
    hashed: list[str] = []

    def spy(work: Callable[[bytes, bytes], Any]) -> Callable[[bytes, bytes], Any]:
        def hash_password(password: bytes, salt: bytes) -> Any:
            hashed.append(salt.decode()[:7])
            return work(password, salt)

        return hash_password

    monkeypatch.setattr(bcrypt, "hashpw", spy(bcrypt.hashpw))
    monkeypatch.setattr(bcrypt, "checkpw", spy(bcrypt.checkpw))
    for name in ("alice", "bob", "carol", "nobody", "no body", "x" * 3_000):
        assert world.post("login", {"username": name, "password": "wrong password"}).status == 401
        assert hashed == ["$2b$04$"], name
        hashed.clear()


def test_a_refusal_is_logged_with_the_user_if_there_is_one_and_never_with_the_name_typed(
    world: World, logs: Logs
) -> None:
    world.post("login", {"username": "alice", "password": "wrong password"})
    world.post("login", {"username": "my-password-by-mistake", "password": PASSWORD})
    known, unknown = logs.events("login_refused")
    assert known["user_id"] == world.user()["user_id"]
    assert "user_id" not in unknown
    for event in (known, unknown):
        assert (event["source_ip"], event["user_agent"]) == PHONE
    for secret in ("wrong password", "my-password-by-mistake", PASSWORD):
        assert secret not in logs.text


def test_a_sign_in_is_logged_without_its_tokens(world: World, logs: Logs) -> None:
    body = world.login()
    (event,) = logs.events("logged_in")
    assert event["session_id"] == claims(body["refresh_token"])["sid"]
    assert (event["source_ip"], event["user_agent"]) == PHONE
    for token in (body["access_token"], body["refresh_token"]):
        for part in token.split("."):
            assert part not in logs.text
    assert claims(body["refresh_token"])["jti"] not in logs.text


@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "GetSecretValue"])
def test_a_store_out_of_reach_is_unavailable_and_no_wrong_password(world: World, operation: str, fault: Fault) -> None:
    world.wire.order(operation, fault, fault)
    answer = world.post("login", {"username": "alice", "password": PASSWORD})
    assert answer.problem == UNAVAILABLE
    assert answer.headers["Retry-After"] == "1"
    assert world.stored()["sessions"] == []
    assert world.login()["role"] == "user"


def test_a_session_whose_write_was_not_heard_of_is_begun_once(world: World) -> None:
    world.wire.order("PutItem", Fault.ANSWER_LOST)
    token = world.login()["refresh_token"]
    assert len(world.stored()["sessions"]) == 1
    assert world.refresh(token).status == 200


def test_without_keys_a_sign_in_is_unavailable_not_broken(bare_world: World) -> None:
    bare_world.add_user()
    answer = bare_world.post("login", {"username": "alice", "password": PASSWORD})
    assert answer.problem == UNAVAILABLE
    assert answer.headers["Retry-After"] == "30"
    assert bare_world.stored()["sessions"] == []


def test_a_user_who_changes_during_a_sign_in_has_no_session(world: World) -> None:
    world.wire.order("PutItem", lambda: world.change_user(session_epoch="another", disabled=True))
    token = world.login()["refresh_token"]
    world.change_user(disabled=False)
    assert world.refresh(token).problem == (401, "refresh_token_revoked", "Refresh token revoked")


def test_a_stack_may_have_roles_of_its_own(world: World) -> None:
    world.configure(ROLES="owner=30,viewer=10,editor=20")
    world.add_user("vera")
    tokens = world.login("vera")
    assert (tokens["role"], claims(tokens["access_token"])["scope"]) == ("viewer", "viewer")
    world.change_user("vera", role="owner")
    world.clock.tick(900)
    renewed = world.refresh(tokens["refresh_token"]).body
    assert (renewed["role"], claims(renewed["access_token"])["scope"]) == ("owner", "viewer editor owner")
