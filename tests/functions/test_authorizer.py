"""The authorizer, over a real key document: one value of `Authorization`, one valid token, one minimum role."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from rolegate.errors import Unauthorized, Unavailable

from tests.conftest import NOW, Logs, World, base64url, claims, header, seal, serving, serving_keys, stack_in_memory
from tests.functions.test_bad_input import FORGERIES as REFRESH_FORGERIES
from tests.functions.test_bad_input import Forge

ARN = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/GET/manager"
STAGE = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*"


def rest(*values: str, name: str = "Authorization") -> dict[str, Any]:
    """Return the event of a REST API's REQUEST authorizer for a request with these values of the header."""
    headers = {name: values[-1]} if values else {}
    several = {name: list(values)} if values else {}
    return {"type": "REQUEST", "methodArn": ARN, "headers": headers, "multiValueHeaders": several}


def http_2(value: str) -> dict[str, Any]:
    return {"version": "2.0", "type": "REQUEST", "routeArn": ARN, "headers": {"authorization": value}}


class Api:
    """A REST API that asks the manager authorizer."""

    def __init__(self, world: World, token: str) -> None:
        self.world, self.token = world, token

    def allows(self, event: Mapping[str, Any]) -> bool:
        """Ask; True and False are the policy's word, and no valid token raises."""
        answer = self.world.handler("authorizer")(event, None)
        (statement,) = answer["policyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == ("execute-api:Invoke", STAGE)
        return bool(statement["Effect"] == "Allow")

    def refuses(self, event: Mapping[str, Any]) -> bool:
        try:
            self.world.handler("authorizer")(event, None)
        except Unauthorized as error:
            return str(error) == "Unauthorized"
        return False


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One stack for all, whose issuer serves its real documents."""
    with stack_in_memory() as world, serving_keys(world):
        world.add_user(role="manager")
        yield Api(world, world.login()["access_token"])


def test_a_bearer_token_is_let_through(api: Api) -> None:
    assert api.allows(rest(f"Bearer {api.token}"))
    assert api.allows({"type": "TOKEN", "methodArn": ARN, "authorizationToken": f"Bearer {api.token}"})


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
def test_the_scheme_and_the_header_may_be_in_any_case(api: Api, scheme: str, name: str) -> None:
    assert api.allows(rest(f"{scheme} {api.token}", name=name))


AUTHORIZATIONS: Mapping[str, Callable[[str], list[str]]] = {
    "missing": lambda _: [],
    "empty": lambda _: [""],
    "a scheme alone": lambda _: ["Bearer"],
    "a scheme and a space": lambda _: ["Bearer "],
    "without a scheme": lambda token: [token],
    "another scheme": lambda token: [f"Basic {token}"],
    "two spaces": lambda token: [f"Bearer  {token}"],
    "a tab": lambda token: [f"Bearer\t{token}"],
    "a space before": lambda token: [f" Bearer {token}"],
    "a space after": lambda token: [f"Bearer {token} "],
    "a line feed after": lambda token: [f"Bearer {token}\n"],
    "a comma after": lambda token: [f"Bearer {token},"],
    "two joined by a comma": lambda token: [f"Bearer {token},Bearer {token}"],
    "two joined by a comma and a space": lambda token: [f"Bearer {token}, Bearer {token}"],
    "a parameter": lambda token: [f"Bearer {token}; x=y"],
    "quoted": lambda token: [f'Bearer "{token}"'],
    "twice": lambda token: [f"Bearer {token}", "Bearer another.to.ken"],
    "twice the same": lambda token: [f"Bearer {token}", f"Bearer {token}"],
    "two parts": lambda token: [f"Bearer {token.rpartition('.')[0]}"],
    "four parts": lambda token: [f"Bearer {token}.x"],
    "padding": lambda token: [f"Bearer {token}="],
    "NUL": lambda token: [f"Bearer {token}\x00"],
    "letters beyond ASCII": lambda token: [f"Bearer é{token}"],
}


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_anything_but_one_bearer_token_is_unauthorized(api: Api, logs: Logs, authorization: str) -> None:
    values = AUTHORIZATIONS[authorization](api.token)
    assert api.refuses(rest(*values))
    if len(values) == 1:
        assert api.refuses({"type": "TOKEN", "methodArn": ARN, "authorizationToken": values[0]})
        denied = api.world.handler("authorizer")(http_2(values[0]), None)
        assert denied == {"isAuthorized": False, "context": {"detail": "Unauthorized"}}
    assert logs.text == ""


def test_two_headers_that_differ_in_case_alone_are_two_values(api: Api) -> None:
    event = rest(f"Bearer {api.token}")
    event["headers"]["authorization"] = "Bearer another.to.ken"
    assert api.refuses(event)


ACCESS_FORGERIES: dict[str, Forge] = {
    **{name: forge for name, forge in REFRESH_FORGERIES.items() if "gen" not in name},
    "expired": lambda head, body, key: seal(head, {**body, "exp": NOW}, key),
    "the typ of a refresh token": lambda head, body, key: seal({**head, "typ": "rt+jwt"}, body, key),
    "another audience": lambda head, body, key: seal(head, {**body, "aud": "reports"}, key),
    "no username": lambda head, body, key: seal(head, {**body, "username": None}, key),
    "no role": lambda head, body, key: seal(head, {**body, "role": None}, key),
    "a role that is a list": lambda head, body, key: seal(head, {**body, "role": ["admin"]}, key),
    "no scope": lambda head, body, key: seal(head, {**body, "scope": None}, key),
}
for _name in ("the typ of an access token", "no auth_time", "no session_exp"):
    del ACCESS_FORGERIES[_name]


@pytest.mark.parametrize("forgery", ACCESS_FORGERIES)
def test_a_forged_access_token_is_unauthorized(api: Api, logs: Logs, forgery: str) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = ACCESS_FORGERIES[forgery](header(api.token), claims(api.token), key)
    assert token != api.token
    assert api.refuses(rest(f"Bearer {token}"))
    assert logs.text == ""


def test_a_token_signed_with_the_public_key_as_a_secret_is_unauthorized(api: Api) -> None:
    (public, _) = api.world.ask("keys", {"headers": {}, "pathParameters": {"document": "jwks.json"}}).body["keys"]
    for secret in (json.dumps(public), public["n"]):
        head = {**header(api.token), "alg": "HS256"}
        key = {"alg": "HS256", "secret": base64url(secret.encode())}
        assert api.refuses(rest(f"Bearer {seal(head, claims(api.token), key)}"))


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.refuses(rest(f"Bearer {api.world.login()['refresh_token']}"))


@pytest.mark.parametrize("audience", [["rolegate"], ["reports", "rolegate"]])
def test_an_audience_may_be_a_list(api: Api, audience: list[str]) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = seal(header(api.token), {**claims(api.token), "aud": audience}, key)
    assert api.allows(rest(f"Bearer {token}"))


@pytest.mark.parametrize("arn", ["", "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5", "*", ARN + "?", None])
def test_a_policy_is_for_a_stage_or_not_at_all(api: Api, arn: str | None) -> None:
    event = {**rest(f"Bearer {api.token}"), "methodArn": arn}
    if arn == f"{ARN}?":
        assert api.allows(event)
    else:
        assert api.refuses(event)


@pytest.mark.parametrize(
    ("role", "minimum", "allowed"),
    [
        ("user", "user", True),
        ("user", "manager", False),
        ("manager", "manager", True),
        ("manager", "admin", False),
        ("admin", "user", True),
        ("admin", "admin", True),
        ("owner", "user", False),
    ],
)
def test_a_role_lets_its_own_level_and_every_lower_one_in(api: Api, role: str, minimum: str, *, allowed: bool) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = seal(header(api.token), {**claims(api.token), "role": role}, key)
    answer = api.world.cold("authorizer", ISSUER=api.world.issuer, MIN_ROLE=minimum)(rest(f"Bearer {token}"), None)
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == ("Allow" if allowed else "Deny")
    assert answer["context"]["detail"] == ("" if allowed else f"{minimum} access required")
    assert all(isinstance(value, str) for value in answer["context"].values())


def test_a_token_is_good_up_to_its_last_second_though_it_is_remembered(api: Api) -> None:
    token = api.world.login()["access_token"]
    began = api.world.clock.now
    try:
        api.world.clock.now = claims(token)["exp"] - 1
        assert api.allows(rest(f"Bearer {token}"))
        api.world.clock.tick(1)
        assert api.refuses(rest(f"Bearer {token}"))
    finally:
        api.world.clock.now = began


def test_without_keys_nobody_is_let_in_and_nobody_turned_away(api: Api, logs: Logs) -> None:
    with serving(lambda *_: (500, {}, b"nothing here")) as url:
        handler = api.world.cold("authorizer", ISSUER=url)
        with pytest.raises(Unavailable):
            handler(rest(f"Bearer {api.token}"), None)
    assert logs.metrics() == ["AuthorizerUnavailable"]
    assert api.token not in logs.text
