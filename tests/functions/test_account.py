"""GET /me, and the sample routes: what stands behind an authorizer."""

from typing import Any

import pytest

from tests.conftest import NOW, OUT_OF_REACH, Answer, Fault, World, rest_event

UNAUTHORIZED = (401, "unauthorized", "Unauthorized")
CONTEXT = {"username": "alice", "user_id": "user-1", "role": "user", "scope": "user", "session_id": "session-1"}


def me(world: World) -> Answer:
    """Ask as the user who is stored as alice."""
    return world.ask("account", rest_event("/me", authorizer={**CONTEXT, "user_id": world.user()["user_id"]}))


def test_a_user_is_told_what_is_stored_now(world: World) -> None:
    world.add_user(role="manager")
    answer = me(world)
    assert answer.status == 200
    assert answer.body == {
        "user_id": world.user()["user_id"],
        "username": "alice",
        "role": "manager",
        "session_id": "session-1",
        "created_at": NOW,
    }
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("change", [{"disabled": True}, {"deleted_at": NOW}])
def test_a_user_who_may_not_sign_in_any_more_is_nobody(world: World, change: dict[str, Any]) -> None:
    world.add_user(**change)
    assert me(world).problem == UNAUTHORIZED


def test_another_user_who_got_the_name_later_is_not_the_one_who_asks(world: World) -> None:
    world.add_user()
    assert world.ask("account", rest_event("/me", authorizer=CONTEXT)).problem == UNAUTHORIZED


def test_a_user_who_is_gone_is_nobody(world: World) -> None:
    assert world.ask("account", rest_event("/me", authorizer=CONTEXT)).problem == UNAUTHORIZED


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_a_store_out_of_reach_is_unavailable_and_no_missing_user(world: World, fault: Fault) -> None:
    world.add_user()
    context = {**CONTEXT, "user_id": world.user()["user_id"]}
    world.wire.order("GetItem", fault, fault)
    answer = world.ask("account", rest_event("/me", authorizer=context))
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")


@pytest.mark.parametrize(("function", "resource"), [("account", "/me"), ("hello", "/hello"), ("hello", "/admin")])
@pytest.mark.parametrize("context", [None, {}])
def test_without_an_authorizer_nobody_is_let_in(
    world: World, function: str, resource: str, context: dict[str, str] | None
) -> None:
    assert world.ask(function, rest_event(resource, authorizer=context)).problem == UNAUTHORIZED


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("/hello", "Hello alice!"),
        ("/manager", "Hello alice! You have manager access."),
        ("/admin", "Hello alice! You have admin access."),
    ],
)
def test_a_sample_route_greets(world: World, resource: str, message: str) -> None:
    answer = world.ask("hello", rest_event(resource, authorizer=CONTEXT))
    assert (answer.status, answer.body) == (200, {"message": message})
