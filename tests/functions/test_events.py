"""Every sample event, through the function it is for."""

import json
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from rolegate.errors import Unauthorized
from rolegate.stores import items

from tests.conftest import ENVIRONMENT, ROOT, Answer, World, client, serving, serving_keys

EVENTS = {path.stem: path for path in sorted((ROOT / "events").glob("*.json"))}
ALICE = {"username": "alice", "role": "manager"}


def function_of(name: str) -> str:
    """Return the function that an event is for: the one that its name begins with."""
    return max((function for function in ENVIRONMENT if f"{name}_".startswith(f"{function}_")), key=len)


def event(name: str, **placeholders: str) -> dict[str, Any]:
    """Return a sample event, its placeholders filled in."""
    text = EVENTS[name].read_text()
    for placeholder, value in placeholders.items():
        assert f"<{placeholder.replace('_', ' ')}>" in text
        text = text.replace(f"<{placeholder.replace('_', ' ')}>", value)
    read: dict[str, Any] = json.loads(text)
    return read


def answer(world: World, name: str, **placeholders: str) -> Answer:
    return world.ask(function_of(name), event(name, **placeholders))


@pytest.fixture
def world(world: World) -> World:
    world.add_user(role="manager")
    return world


@pytest.fixture
def _issuer(world: World) -> Iterator[None]:
    with serving_keys(world):
        yield


@pytest.mark.parametrize("function", ENVIRONMENT)
def test_every_function_has_an_event(function: str) -> None:
    assert function in {function_of(name) for name in EVENTS}


def test_every_event_is_tried() -> None:
    assert set(EVENTS) == {*ANSWERED, *AUTHORIZED, *ROTATING}


def registered(world: World) -> None:
    given = answer(world, "register")
    assert given.status == 201
    assert given.body == {"user_id": world.user("dave")["user_id"], "username": "dave", "role": "user"}


def signed_in(world: World) -> None:
    given = answer(world, "login")
    assert given.status == 200
    assert given.body["role"] == "manager"
    assert (
        world.session(given.body["refresh_token"])["source_ip"]
        == event("login")["requestContext"]["identity"]["sourceIp"]
    )


def refreshed(world: World) -> None:
    given = answer(world, "refresh", refresh_token=world.login()["refresh_token"])
    assert given.status == 200
    assert world.session(given.body["refresh_token"])["generation"] == 1
    assert answer(world, "refresh").problem == (401, "invalid_refresh_token", "Invalid refresh token")


def logged_out(world: World) -> None:
    given = answer(world, "logout", refresh_token=world.login()["refresh_token"])
    assert (given.status, given.body) == (200, {"message": "Logged out successfully"})
    assert answer(world, "logout").problem == (401, "invalid_refresh_token", "Invalid refresh token")


def told_of_oneself(world: World) -> None:
    world.change_user("alice", user_id=event("account")["requestContext"]["authorizer"]["user_id"])
    given = answer(world, "account")
    stored = world.user()
    assert given.status == 200
    assert given.body == {
        "user_id": stored["user_id"],
        "username": "alice",
        "role": "manager",
        "session_id": event("account")["requestContext"]["authorizer"]["session_id"],
        "created_at": stored["created_at"],
    }


def given_another_password(world: World) -> None:
    who = event("change_password")["requestContext"]["authorizer"]
    world.change_user(user_id=who["user_id"])
    token = world.login()["refresh_token"]
    stored = world.session(token)
    client("dynamodb").put_item(TableName="sessions", Item=items.item({**stored, "session_id": who["session_id"]}))
    assert answer(world, "change_password").status == 200
    assert world.refresh(token).status == 401
    assert answer(world, "change_password").problem == (401, "unauthorized", "Unauthorized")


def greeted(name: str, message: str) -> Callable[[World], None]:
    def check(world: World) -> None:
        given = answer(world, name)
        assert (given.status, given.body) == (200, {"message": message})

    return check


def published(world: World) -> None:
    given = answer(world, "keys_jwks")
    assert given.status == 200
    assert given.text == client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"]
    assert [set(key) for key in given.body["keys"]] == [{"kty", "n", "e", "use", "alg", "kid"}] * 2


def described(name: str) -> Callable[[World], None]:
    def check(world: World) -> None:
        given = answer(world, name)
        assert given.status == 200
        assert (given.body["issuer"], given.body["jwks_uri"]) == (
            world.issuer,
            f"{world.issuer}/.well-known/jwks.json",
        )

    return check


ANSWERED: Mapping[str, Callable[[World], None]] = {
    "account": told_of_oneself,
    "change_password": given_another_password,
    "hello": greeted("hello", "Hello alice!"),
    "hello_admin": greeted("hello_admin", "Hello carol! You have admin access."),
    "hello_manager": greeted("hello_manager", "Hello bob! You have manager access."),
    "keys_jwks": published,
    "keys_oauth_authorization_server": described("keys_oauth_authorization_server"),
    "keys_openid_configuration": described("keys_openid_configuration"),
    "login": signed_in,
    "logout": logged_out,
    "refresh": refreshed,
    "register": registered,
}
AUTHORIZED = (
    "authorizer_http_1",
    "authorizer_http_2",
    "authorizer_rest_request",
    "authorizer_rest_token",
    "authorizer_websocket",
)
ROTATING = tuple(name for name in EVENTS if name.startswith("rotate_keys_"))


@pytest.mark.parametrize("name", ANSWERED)
def test_an_event_is_answered(world: World, name: str) -> None:
    ANSWERED[name](world)


@pytest.mark.parametrize("form", ["simple", "iam"])
@pytest.mark.parametrize("name", AUTHORIZED)
@pytest.mark.usefixtures("_issuer")
def test_an_authorizers_event_with_a_real_token_is_let_through(world: World, name: str, form: str) -> None:
    world.configure(HTTP_API_RESPONSES=form)
    given = world.handler("authorizer")(event(name, access_token=world.login()["access_token"]), None)
    said = {**given["context"]}
    assert (said.pop("username"), said.pop("role"), said.pop("scope")) == ("alice", "manager", "user manager")
    assert said.pop("user_id") == world.user()["user_id"]
    assert said.pop("session_id") == world.stored()["sessions"][0]["session_id"]["S"]
    assert said == {"detail": ""}
    if name == "authorizer_http_2" and form == "simple":
        assert given["isAuthorized"] is True
    else:
        (statement,) = given["policyDocument"]["Statement"]
        assert statement["Effect"] == "Allow"
        assert statement["Resource"].count("/") == 2


@pytest.mark.parametrize("name", AUTHORIZED)
@pytest.mark.usefixtures("_issuer")
def test_an_authorizers_event_with_too_low_a_role_is_denied_with_the_reason(world: World, name: str) -> None:
    world.configure(MIN_ROLE="admin", HTTP_API_RESPONSES="iam")
    given = world.handler("authorizer")(event(name, access_token=world.login()["access_token"]), None)
    assert given["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert given["context"]["detail"] == "admin access required"


@pytest.mark.parametrize("name", AUTHORIZED)
@pytest.mark.usefixtures("_issuer")
def test_an_authorizers_event_as_it_stands_is_denied(world: World, name: str) -> None:
    handler = world.handler("authorizer")
    if name == "authorizer_http_2":
        assert handler(event(name), None) == {"isAuthorized": False, "context": {"detail": "Unauthorized"}}
    elif name == "authorizer_http_1":
        assert handler(event(name), None)["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    else:
        with pytest.raises(Unauthorized, match=r"^Unauthorized$"):
            handler(event(name), None)


@pytest.mark.parametrize("name", ROTATING)
def test_an_event_of_the_rings_is_answered(bare_world: World, name: str) -> None:
    if name in ("rotate_keys_show", "rotate_keys_sign_out_everyone"):
        bare_world.handler("rotate_keys")({}, None)
    answers: list[dict[str, Any]] = []

    def take(_request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        answers.append(json.loads(body))
        return 200, {}, b""

    with serving(take) as url:
        given = event(name)
        if "ResponseURL" in given:
            given["ResponseURL"] = url
        report = bare_world.handler("rotate_keys")(given, None)
    assert [one["Status"] for one in answers] == (["SUCCESS"] if "ResponseURL" in given else [])
    assert (report is None) is ("ResponseURL" in given)
    made = bare_world.ring("SIGNING_KEYS_SECRET") != {}
    assert made is (name != "rotate_keys_delete")
