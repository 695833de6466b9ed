"""`rolegate.testing` against the real authorizer: what a service tests with is what it will meet."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from rolegate import bootstrap, testing
from rolegate.errors import Misconfigured, Unauthorized

EVENTS = Path(__file__).parents[2] / "events"
SETTINGS = {
    "AUDIENCE": "rolegate",
    "ROLES": testing.ROLES,
    "MIN_ROLE": "manager",
    "EXPIRY_LEEWAY_SECONDS": "0",
    "KEY_SET_SECONDS": "300",
    "HTTP_API_RESPONSES": "iam",
    "WEBSOCKET_QUERY_TOKEN": "false",
    "REVOCATION_CHECK": "off",
}
Authorizer = Callable[[Any, object], dict[str, Any]]


@pytest.fixture(scope="module")
def issuer() -> Iterator[testing.Issuer]:
    with testing.Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def authorizer(issuer: testing.Issuer) -> Iterator[Authorizer]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**SETTINGS, "ISSUER": issuer.url}.items():
            patch.setenv(name, value)
        yield bootstrap.authorizer()


@pytest.mark.parametrize("form", testing.FORMS)
@pytest.mark.parametrize(("role", "effect"), [("user", "Deny"), ("manager", "Allow"), ("admin", "Allow")])
def test_a_token_of_any_role_is_judged_in_every_form(
    issuer: testing.Issuer, authorizer: Authorizer, form: str, role: str, effect: str
) -> None:
    event = testing.authorizer_event(form, issuer.token(role), method="DELETE", path="/reports/7", stage="prod")
    answer = authorizer(event, None)
    [statement] = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == effect
    assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/prod/*"
    if effect == "Allow":
        assert {k: answer["context"][k] for k in ("username", "role", "scope", "detail")} == {
            k: testing.context(role)[k] for k in ("username", "role", "scope", "detail")
        }
        assert answer["context"].keys() == testing.context(role).keys()


@pytest.mark.parametrize("form", testing.FORMS)
def test_an_authorizers_event_has_the_members_that_api_gateway_sends(form: str) -> None:
    sample = json.loads((EVENTS / f"authorizer_{form}.json").read_text())
    made = testing.authorizer_event(form, "a.b.c", path="/reports/7", route="/reports/{id}", api_id="z9")
    optional = {"queryStringParameters"} if form == "http_2" else set()  # which the sample has, and this request not
    assert made.keys() == sample.keys() - optional
    assert made.get("requestContext", {}).keys() <= sample.get("requestContext", {}).keys()
    assert ":123456789012:z9/v1/" in made["routeArn" if form == "http_2" else "methodArn"]
    if form in ("rest_request", "http_1", "http_2"):
        assert made["pathParameters"] == {"id": "7"}


@pytest.mark.parametrize("api", ["rest", "http"])
def test_a_request_carries_the_parameters_of_its_route(api: str) -> None:
    for path, route, parameters in (
        ("/reports/7", "/reports/{id}", {"id": "7"}),
        ("/teams/a/files/b/c", "/teams/{team}/files/{rest+}", {"team": "a", "rest": "b/c"}),
    ):
        event = testing.request_event(api, path=path, route=route, method="PUT")
        assert event["pathParameters"] == parameters
        assert event.get("routeKey", f"{event.get('httpMethod')} {event.get('resource')}") == f"PUT {route}"
    assert testing.request_event(api).get("pathParameters") is None


def test_a_user_is_the_same_in_a_token_and_in_a_context(issuer: testing.Issuer) -> None:
    said = jwt.decode(issuer.token(username="vera"), options={"verify_signature": False})
    assert said["uid"] == testing.context(username="vera")["user_id"] != testing.context(username="bob")["user_id"]


def test_a_token_that_has_expired_or_is_for_others_is_refused(issuer: testing.Issuer, authorizer: Authorizer) -> None:
    now = int(time.time())
    for token in (
        issuer.token("admin", now=now - 900),
        issuer.token("admin", audience="billing"),
        f"{issuer.token('admin')[:-4]}AAAA",
    ):
        with pytest.raises(Unauthorized):
            authorizer(testing.authorizer_event("rest_token", token), None)


def test_any_other_verifier_takes_the_tokens_too(issuer: testing.Issuer) -> None:
    with urllib.request.urlopen(f"{issuer.url}/.well-known/openid-configuration") as response:  # noqa: S310 - ours
        about = json.load(response)
    assert about["issuer"] == issuer.url
    token = issuer.token("owner", username="vera", hierarchy="viewer=1,owner=9", lifetime=60)
    key = jwt.PyJWKClient(about["jwks_uri"]).get_signing_key_from_jwt(token)
    said = jwt.decode(token, key, algorithms=["RS256"], audience="rolegate", issuer=issuer.url)
    assert (said["username"], said["role"], said["scope"]) == ("vera", "owner", "viewer owner")
    assert said["exp"] - said["iat"] == 60


def test_an_address_that_there_is_not_is_not_found(issuer: testing.Issuer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{issuer.url}/.well-known/nothing")  # noqa: S310 - ours
    missing.value.close()


def test_a_mistake_in_a_test_is_told() -> None:
    with pytest.raises(ValueError, match="There is no form 'rest'"):
        testing.authorizer_event("rest", "a.b.c")
    with pytest.raises(ValueError, match="There is no API 'http_2'"):
        testing.request_event("http_2")
    with pytest.raises(Misconfigured, match="There is no role 'owner'"):
        testing.context("owner")
