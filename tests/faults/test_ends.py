"""What ends a session, at every moment of a refresh or sign-in: no refresh token is usable once it is acknowledged."""

from typing import Any

import pytest
from rolegate import endings
from rolegate.model import Because

from tests.conftest import PASSWORD, Logs, World, claims
from tests.faults.conftest import AUDIT, ENDS, changing_the_password, ending, users_of

REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")


def assert_dead(world: World, live: str, *others: str) -> None:
    """No token is of use, now or ever. The live one is tried first: an older one would end the session by itself."""
    for after in (0, 33, 86_400):
        world.clock.tick(after)
        for token in (live, *others):
            assert world.refresh(token).problem == REVOKED


@pytest.mark.parametrize("because", ENDS)
@pytest.mark.parametrize("moment", ["before the user is read", "before the session is written"])
@pytest.mark.parametrize("asks", ["a rotation", "the same again", "a late retry"])
def test_an_end_in_the_middle_of_a_refresh_leaves_no_usable_token(
    world: World, because: Because, moment: str, asks: str
) -> None:
    world.add_user()
    spent = world.login()["refresh_token"]
    previous = world.rotate(spent)
    live = world.rotate(previous)
    world.clock.tick({"a rotation": 900, "the same again": 10, "a late retry": 900}[asks])
    end = ending(world, because, spent, live)
    acknowledged: list[Any] = []
    operation = "GetItem" if moment == "before the user is read" else "UpdateItem"
    world.wire.order(operation, lambda: acknowledged.append(end()))
    answer = world.refresh(live if asks == "a rotation" else previous)
    assert len(acknowledged) == 1
    assert because is not Because.LOGOUT or acknowledged[0]["statusCode"] == 200
    tokens = [live, previous, spent]
    if answer.status == 200:
        # Only where all of a user ended after the user was read: the access token lives to its end, this one is dead.
        assert because not in (Because.LOGOUT, Because.ADMIN, Because.REUSED)
        assert operation == "UpdateItem"
        tokens.insert(0, answer.body["refresh_token"])
    assert_dead(world, *tokens)


@pytest.mark.parametrize("because", ENDS)
def test_an_end_between_two_refreshes_leaves_no_usable_token(world: World, because: Because) -> None:
    world.add_user()
    spent = world.login()["refresh_token"]
    live = world.rotate(world.rotate(spent))
    ending(world, because, spent, live)()
    assert_dead(world, live, spent)


@pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
def test_a_sign_in_that_a_password_change_overtakes_is_dead_at_its_first_refresh(world: World, operation: str) -> None:
    world.add_user()
    world.wire.order(operation, changing_the_password(world, "alice"))
    answer = world.post("login", {"username": "alice", "password": PASSWORD})
    if operation == "GetItem":
        assert answer.problem == (401, "invalid_credentials", "Invalid credentials")
    else:
        assert world.refresh(answer.body["refresh_token"]).problem == REVOKED


def test_a_refresh_that_races_itself_after_theft_answers_the_owner_no_more(world: World) -> None:
    world.add_user()
    spent = world.login()["refresh_token"]
    live = world.rotate(world.rotate(spent))
    world.clock.tick(900)
    world.wire.order("UpdateItem", None, lambda: world.refresh(live))  # between the verdict and the revocation
    assert world.refresh(spent).problem[1] == "refresh_token_reused"
    assert_dead(world, live, spent)


def test_enabling_brings_no_session_back(world: World) -> None:
    world.add_user()
    first = world.login()["refresh_token"]
    endings.disable("alice", users_of(world), AUDIT, world.clock.now)
    endings.enable("alice", users_of(world), AUDIT, world.clock.now)
    assert_dead(world, first)
    assert world.refresh(world.login()["refresh_token"]).status == 200


def test_a_deleted_user_whose_name_somebody_else_wants_stays_deleted(world: World) -> None:
    world.add_user()
    first = world.login()["refresh_token"]
    endings.delete("alice", users_of(world), AUDIT, world.clock.now)
    taken = world.post("register", {"username": "Alice", "password": PASSWORD})
    assert taken.problem == (409, "username_taken", "This username is taken.")
    assert_dead(world, first)


def test_a_logout_with_a_predecessor_ends_the_session_too(world: World, logs: Logs) -> None:
    world.add_user()
    previous = world.login()["refresh_token"]
    live = world.rotate(previous)
    assert world.logout(previous).status == 200
    assert_dead(world, live, previous)
    (event,) = logs.events("session_ended")
    assert (event["because"], event["session_id"]) == ("logout", claims(live)["sid"])
