"""POST /me/password: another password for who proves the current one, in a session that goes on."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import bcrypt
import pytest

from tests.conftest import LAPTOP, OUT_OF_REACH, PASSWORD, PHONE, Answer, Fault, Logs, World, claims, rest_event

NEW = "staple battery horse correct"
UNAUTHORIZED = (401, "unauthorized", "Unauthorized")
REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")
REFUSED = (401, "invalid_credentials", "Invalid credentials")
UNAVAILABLE = (503, "unavailable", "The service is not available right now. Try again.")


@pytest.fixture
def session(world: World) -> dict[str, Any]:
    """What alice got when she signed in."""
    world.guesses = True
    world.add_user()
    world.clock.tick(10)
    signed_in = world.login(audience="reports")
    world.clock.tick(10)
    world.wire.calls.clear()
    return signed_in


def change(world: World, session: dict[str, Any], current: str = PASSWORD, new: str = NEW, **context: str) -> Answer:
    """Ask as the authorizer lets a session's access token through."""
    said = claims(session["access_token"])
    authorizer = {"username": said["username"], "user_id": said["uid"], "session_id": said["sid"], **context}
    body = json.dumps({"current_password": current, "new_password": new})
    return world.ask("change_password", rest_event("/me/password", body, authorizer=authorizer))


def test_every_other_session_ends_and_this_client_gets_a_fresh_one(world: World, session: dict[str, Any]) -> None:
    other = world.login(caller=LAPTOP)["refresh_token"]
    answer = change(world, session)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.body) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "role",
    }
    for ended in (other, session["refresh_token"]):
        assert world.refresh(ended).problem == REVOKED
    fresh = claims(answer.body["access_token"])
    assert fresh["sid"] != claims(session["access_token"])["sid"]
    assert (fresh["aud"], fresh["auth_time"]) == ("reports", world.clock.now)
    assert world.rotate(answer.body["refresh_token"])
    assert world.post("login", {"username": "alice", "password": PASSWORD}).problem == REFUSED
    assert world.post("login", {"username": "alice", "password": NEW}).status == 200


def test_what_is_stored_is_the_hash_of_the_new_password(world: World, session: dict[str, Any], logs: Logs) -> None:
    before = world.user()
    change(world, session)
    stored = world.user()
    assert bcrypt.checkpw(NEW.encode(), stored["password_hash"].encode())
    assert stored["session_epoch"] != before["session_epoch"]
    assert stored["password_changed_at"] == stored["updated_at"] == world.clock.now
    assert stored["sessions_ended_because"] == "password_changed"
    (event,) = logs.events("sessions_ended")
    assert (event["because"], event["source_ip"]) == ("password_changed", PHONE.source_ip)
    assert not {PASSWORD, NEW} & set(logs.text.split('"'))


def test_a_wrong_current_password_changes_nothing(world: World, session: dict[str, Any], logs: Logs) -> None:
    before = world.stored()
    assert change(world, session, current="wrong").problem == REFUSED
    assert world.stored() == before
    (event,) = logs.events("password_change_refused")
    assert event["user_id"] == world.user()["user_id"]


@pytest.mark.parametrize(
    ("new", "detail"),
    [
        ("short", "The password must have 8 to 256 characters."),
        ("a\tb\tc\td\te", "The password must not contain control characters."),
        ("I am Alice, am I not", "The password must not contain the username, nor what stands before its @."),
        ("Password1", "This password is among those that are tried first. Choose another."),
    ],
)
def test_a_new_password_outside_the_rules_changes_nothing_and_is_no_guess(
    world: World, session: dict[str, Any], new: str, detail: str
) -> None:
    before = world.stored()
    world.wire.calls.clear()
    assert change(world, session, new=new).problem == (400, "invalid_request", detail)
    assert world.wire.calls == []
    assert world.stored() == before


@pytest.mark.parametrize("field", ["current_password", "new_password"])
def test_both_passwords_are_asked_for(world: World, session: dict[str, Any], field: str) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW}
    del body[field]
    event = rest_event(
        "/me/password", json.dumps(body), authorizer={"username": "alice", "user_id": "", "session_id": ""}
    )
    assert world.ask("change_password", event).problem == (400, "invalid_request", f"The field '{field}' is missing.")
    assert session


def test_without_an_authorizer_nobody_is_let_in(world: World, session: dict[str, Any]) -> None:
    body = json.dumps({"current_password": PASSWORD, "new_password": NEW})
    assert world.ask("change_password", rest_event("/me/password", body)).problem == UNAUTHORIZED
    assert session


def sign_everybody_out(world: World, _token: str) -> None:
    ring = world.ring("REFRESH_KEYS_SECRET")
    world.change_ring("REFRESH_KEYS_SECRET", {**ring, "sessions_not_before": world.clock.now})


ENDS: Mapping[str, Callable[[World, str], object]] = {
    "logged out": lambda world, token: world.logout(token),
    "another epoch": lambda world, _: world.change_user(session_epoch="another"),
    "disabled": lambda world, _: world.change_user(disabled=True),
    "deleted": lambda world, _: world.change_user(deleted_at=world.clock.now),
    "past its end": lambda world, token: world.change_session(token, session_expires_at=world.clock.now),
    "vanished": lambda world, token: world.forget_session(token),
    "of an audience that is none any more": lambda world, token: world.change_session(token, audience="former"),
    "before everybody was signed out": sign_everybody_out,
    "of somebody who had the name before": lambda world, _: world.change_user(user_id="another"),
}


@pytest.mark.parametrize("how", ENDS)
def test_in_a_session_that_has_ended_no_password_is_changed(world: World, session: dict[str, Any], how: str) -> None:
    ENDS[how](world, session["refresh_token"])
    before = world.stored()
    world.restart("change_password")
    assert change(world, session).problem == UNAUTHORIZED
    assert world.stored() == before


def test_what_looked_at_no_password_was_no_guess(world: World, session: dict[str, Any]) -> None:
    world.logout(session["refresh_token"])
    for _ in range(15):
        assert change(world, session).problem == UNAUTHORIZED
    assert world.post("login", {"username": "alice", "password": PASSWORD}).status == 200


def test_nobody_changes_no_password(world: World, session: dict[str, Any]) -> None:
    assert change(world, session, username="nobody").problem == UNAUTHORIZED


def test_guesses_are_limited_as_at_sign_in_and_together_with_it(world: World, session: dict[str, Any]) -> None:
    for turn in range(10):
        if turn % 2:
            assert world.post("login", {"username": "alice", "password": "wrong"}).problem == REFUSED
        else:
            assert change(world, session, current="wrong").problem == REFUSED
    for answer in (change(world, session), world.post("login", {"username": "alice", "password": PASSWORD})):
        assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (429, "too_many_attempts", "900")
    world.clock.tick(900)
    assert change(world, session).status == 200


def test_a_right_password_gives_its_guess_back(world: World, session: dict[str, Any]) -> None:
    current, new = PASSWORD, NEW
    for _ in range(15):
        session = change(world, session, current, new).body
        current, new = new, current
    assert session["access_token"]


@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_a_store_out_of_reach_changes_nothing(
    world: World, session: dict[str, Any], fault: Fault, operation: str
) -> None:
    before = world.stored()
    world.wire.order(operation, *[fault] * 4)
    assert change(world, session).problem == UNAVAILABLE
    world.wire.heal()
    assert world.stored() == before
    assert change(world, session).status == 200


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_a_change_whose_fresh_session_cannot_be_stored_is_in_force(
    world: World, session: dict[str, Any], fault: Fault
) -> None:
    world.wire.order("PutItem", fault, fault)
    assert change(world, session).problem == UNAVAILABLE
    assert world.refresh(session["refresh_token"]).problem == REVOKED
    assert world.post("login", {"username": "alice", "password": NEW}).status == 200


def test_a_change_whose_answer_got_lost_is_done(world: World, session: dict[str, Any]) -> None:
    world.wire.order("UpdateItem", None, None, Fault.ANSWER_LOST)  # two for the guess
    assert change(world, session).status == 200
    assert world.post("login", {"username": "alice", "password": NEW}).status == 200


def test_a_password_that_was_changed_meanwhile_is_not_changed_again(world: World, session: dict[str, Any]) -> None:
    def overtaken() -> None:
        world.change_user(session_epoch="another", password_hash=bcrypt.hashpw(b"theirs", bcrypt.gensalt(4)).decode())

    world.wire.order("UpdateItem", None, None, overtaken)
    assert change(world, session).problem == UNAVAILABLE
    assert world.post("login", {"username": "alice", "password": "theirs"}).status == 200


# A hash that is renewed at sign-in


def stored_as(world: World, password_hash: str, **more: Any) -> None:
    world.change_user(password_hash=password_hash, **more)


@pytest.mark.parametrize("form", ["lower", "imported", "$2a$", "$2y$", "Django's"])
def test_a_hash_of_lower_cost_or_another_system_is_renewed_at_the_next_sign_in(
    world: World, session: dict[str, Any], form: str
) -> None:
    world.configure(BCRYPT_COST="6")
    made = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5 if form == "lower" else 7)).decode()
    stored = {"lower": made, "imported": made, "Django's": f"bcrypt${made}"}.get(form, form + made[4:])
    stored_as(world, stored, password_imported=form == "imported" or None)
    before = world.user()
    assert world.post("login", {"username": "alice", "password": "wrong"}).problem == REFUSED
    assert world.user() == before
    world.login()
    after = world.user()
    assert after["password_hash"].startswith("$2b$06$")
    assert "password_imported" not in after
    assert (after["session_epoch"], after["password_changed_at"]) == (
        before["session_epoch"],
        before["password_changed_at"],
    )
    world.login()
    assert world.user() == after
    assert world.refresh(session["refresh_token"]).status == 200


def test_a_costlier_hash_of_ours_is_left_as_it_is(world: World, session: dict[str, Any]) -> None:
    stored_as(world, bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(6)).decode())
    before = world.user()
    world.login()
    assert world.user() == before
    assert session


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.REFUSED])
def test_a_renewal_that_fails_fails_nothing_else(world: World, session: dict[str, Any], fault: Fault) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    world.configure(BCRYPT_COST="5")
    stored_as(world, stored)
    world.wire.order("UpdateItem", None, None, *[fault] * 8)  # two for the guess, then whatever comes
    world.login()
    assert world.user()["password_hash"] == stored
    assert session


def test_a_renewal_never_undoes_a_change_of_the_password(world: World, session: dict[str, Any]) -> None:
    theirs = bcrypt.hashpw(b"theirs", bcrypt.gensalt(5)).decode()
    world.configure(BCRYPT_COST="5")
    stored_as(world, bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())

    def changed() -> None:
        world.change_user(password_hash=theirs)

    world.wire.order("UpdateItem", None, None, changed)
    world.login()
    assert world.user()["password_hash"] == theirs
    assert session


@pytest.mark.parametrize("stored", ["", "*", "$2x$04$" + "a" * 53, "$2b$31$" + "a" * 53, "pbkdf2_sha256$x", "\x00"])
def test_a_stored_hash_that_nothing_can_be_checked_with_is_401_with_a_cause_in_the_log(
    world: World, session: dict[str, Any], stored: str, logs: Logs
) -> None:
    stored_as(world, stored)
    assert world.post("login", {"username": "alice", "password": PASSWORD}).problem == REFUSED
    (event,) = logs.events("login_refused")
    assert event["reason"] == "the stored hash has no form that is known"
    assert session
