"""`rolegate.guard` over what authorizers put in events, and over tokens of a fake issuer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, UnauthorizedError
from rolegate import guard, testing
from rolegate.errors import Misconfigured, RolegateError

from tests.conftest import serving

ROLES = ("user", "manager", "admin")


def answer(event: Any, role: str = "manager", **options: Any) -> dict[str, Any]:
    """Give an event to a guarded handler that says who asked for what."""

    @guard.require_role(role, **options)
    def reports(_event: Any, context: Any) -> dict[str, Any]:
        return {"statusCode": 200, "body": f"{context}"}

    result: dict[str, Any] = reports(event, "the context")
    return result


def refusal(answered: dict[str, Any]) -> tuple[int, str, str]:
    """Return the status, code and detail of an answer, and see that it has the service's form."""
    body = json.loads(answered["body"])
    assert answered["headers"]["Content-Type"] == "application/problem+json"
    assert answered["headers"]["Cache-Control"] == "no-store"
    assert (body["type"], body["status"], answered["isBase64Encoded"]) == ("about:blank", answered["statusCode"], False)
    return answered["statusCode"], body["code"], body["detail"]


@pytest.mark.parametrize("api", ["rest", "http"])
@pytest.mark.parametrize("needed", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_passes_where_it_or_a_lower_one_is_asked_for(api: str, role: str, needed: str) -> None:
    answered = answer(testing.request_event(api, role), needed)
    if ROLES.index(role) >= ROLES.index(needed):
        assert answered == {"statusCode": 200, "body": "the context"}
    else:
        assert refusal(answered) == (403, "forbidden", f"{needed} access required")
        assert answered["headers"]["WWW-Authenticate"] == 'Bearer realm="rolegate", error="insufficient_scope"'


@pytest.mark.parametrize("place", ["payload 2.0", "payload 1.0 and REST"])
@pytest.mark.parametrize(("scope", "status"), [("user manager", 200), ("user", 403), (None, 401), (["manager"], 401)])
def test_the_claims_of_api_gateways_own_jwt_authorizers_count(place: str, scope: Any, status: int) -> None:
    jwt = {"claims": {"scope": scope, "iss": "https://auth.example.com"}, "scopes": None}
    authorizer = {"jwt": jwt} if place == "payload 2.0" else jwt
    assert answer({"requestContext": {"authorizer": authorizer}})["statusCode"] == status


NOBODY: dict[str, Any] = {
    "nothing": {},
    "null": None,
    "a list": [],
    "a text": "manager",
    "no context": {"requestContext": {}},
    "a context that is null": {"requestContext": None},
    "no authorizer": {"requestContext": {"authorizer": None}},
    "an authorizer that is a text": {"requestContext": {"authorizer": "manager"}},
    "an authorizer that is a list": {"requestContext": {"authorizer": ["manager"]}},
    "no scope": {"requestContext": {"authorizer": {"role": "admin"}}},
    "a scope that is null": {"requestContext": {"authorizer": {"scope": None}}},
    "a scope that is a list": {"requestContext": {"authorizer": {"scope": ["manager"]}}},
    "no scope of an HTTP API": {"requestContext": {"authorizer": {"lambda": {"role": "admin"}}}},
    "null of an HTTP API": {"requestContext": {"authorizer": {"lambda": None}}},
    "claims that are null": {"requestContext": {"authorizer": {"claims": None, "scopes": ["manager"]}}},
    "a signature of AWS": {"requestContext": {"authorizer": {"iam": {"userId": "somebody"}}}},
    "a scope beside the context": {"scope": "manager", "headers": {"scope": "manager"}},
}


@pytest.mark.parametrize("event", NOBODY.values(), ids=NOBODY)
def test_an_event_without_an_authorizers_context_is_unauthorized(event: Any) -> None:
    answered = answer(event)
    assert refusal(answered) == (401, "unauthorized", "Unauthorized")
    assert answered["headers"]["WWW-Authenticate"] == 'Bearer realm="rolegate"'


@pytest.mark.parametrize(
    "scope", ["", "user", "managers", "project-manager", "user,manager", "Manager", "user\tmanager"]
)
def test_a_name_that_only_resembles_the_role_is_not_it(scope: str) -> None:
    assert answer({"requestContext": {"authorizer": {"scope": scope}}})["statusCode"] == 403


@pytest.mark.parametrize("role", ["", "Manager", "user manager", "manager\n", "x" * 65])
def test_what_cannot_be_a_role_is_refused_before_any_event(role: str) -> None:
    with pytest.raises(Misconfigured, match="cannot be a role"):
        guard.require_role(role)


def test_a_service_may_answer_in_a_form_of_its_own() -> None:
    def respond(event: Any, error: RolegateError) -> dict[str, str]:
        return {"path": event["path"], "error": error.code}

    told = answer(testing.request_event("rest", "user"), respond=respond)
    assert told == {"path": "/reports", "error": "forbidden"}


def test_a_guarded_handler_keeps_its_name_and_its_errors() -> None:
    @guard.require_role("user")
    def reports(_event: Any, _context: Any) -> None:
        """Return every report."""
        raise LookupError("no such report")

    assert (reports.__name__, reports.__doc__) == ("reports", "Return every report.")
    with pytest.raises(LookupError):
        reports(testing.request_event("rest", "user"), None)


# --- verify=True: the token itself


@pytest.fixture(scope="module")
def issuer() -> Iterator[testing.Issuer]:
    with testing.Issuer() as issuer:
        yield issuer


@pytest.fixture
def _environment(issuer: testing.Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLEGATE_ISSUER", issuer.url)
    monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")


def with_token(token: str, api: str = "rest", role: str | None = None, name: str = "Authorization") -> dict[str, Any]:
    event = testing.request_event(api, role)
    return {**event, "headers": {**event["headers"], name: f"Bearer {token}"}}


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("api", ["rest", "http"])
@pytest.mark.parametrize("role", ROLES)
def test_a_token_is_verified_where_no_authorizer_stands(issuer: testing.Issuer, api: str, role: str) -> None:
    answered = answer(with_token(issuer.token(role), api, name="authorization"), verify=True)
    assert answered["statusCode"] == (403 if role == "user" else 200)


@pytest.mark.usefixtures("_environment")
def test_with_an_authorizer_before_it_both_must_know_the_role(issuer: testing.Issuer) -> None:
    for told, token, status in (
        ("manager", "manager", 200),
        ("user", "manager", 403),  # the authorizer knew of a lowered role
        ("manager", "user", 403),
    ):
        event = with_token(issuer.token(token), role=told)
        assert answer(event, verify=True)["statusCode"] == status


@pytest.mark.usefixtures("_environment")
def test_anything_but_one_valid_token_is_unauthorized_whatever_the_context_says(issuer: testing.Issuer) -> None:
    good = issuer.token("admin")
    head, body, seal = good.split(".")
    bad = [
        testing.request_event("rest", "admin"),
        with_token(f"{head}.{body}.{'B' if seal[0] == 'A' else 'A'}{seal[1:]}", role="admin"),
        with_token(issuer.token("admin", now=1_700_000_000), role="admin"),
        with_token(issuer.token("admin", audience="billing"), role="admin"),
        {**with_token(good), "multiValueHeaders": {"Authorization": [f"Bearer {good}", f"Bearer {good}"]}},
    ]
    for event in bad:
        assert refusal(answer(event, verify=True)) == (401, "unauthorized", "Unauthorized")


def test_without_the_issuers_keys_the_answer_is_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda *_: (503, {}, b"")) as url, testing.Issuer() as issuer:
        monkeypatch.setenv("ROLEGATE_ISSUER", url)
        monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")
        answered = answer(with_token(issuer.token("manager")), verify=True)
    assert refusal(answered)[:2] == (503, "unavailable")
    assert answered["headers"]["Retry-After"] == "1"
    assert "WWW-Authenticate" not in answered["headers"]


@pytest.mark.parametrize("missing", ["ROLEGATE_ISSUER", "ROLEGATE_AUDIENCE"])
def test_a_missing_variable_fails_the_first_event_loudly(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setenv("ROLEGATE_ISSUER", "https://auth.example.com")
    monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")
    monkeypatch.delenv(missing)
    with pytest.raises(Misconfigured, match=f"{missing} is missing"):
        answer(testing.request_event("rest", "admin"), verify=True)
    assert answer(testing.request_event("rest", "admin"))["statusCode"] == 200


def test_all_guards_of_a_function_fetch_the_keys_once(issuer: testing.Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def documents(request: Any, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.path)
        return 200, {}, issuer.document("jwks.json")

    with serving(documents) as url:
        monkeypatch.setenv("ROLEGATE_ISSUER", url)
        monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")
        for role in ROLES:
            for _ in range(2):  # the key is known, and the token is another issuer's
                assert answer(with_token(issuer.token("admin")), role, verify=True)["statusCode"] == 401
    assert asked == ["/.well-known/jwks.json"]


def test_a_guard_follows_its_tests_from_issuer_to_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded: Any = guard.require_role("user", verify=True)(lambda _event, _context: {"statusCode": 200})
    monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")
    for _ in range(2):
        with testing.Issuer() as issuer:
            monkeypatch.setenv("ROLEGATE_ISSUER", issuer.url)
            assert guarded(with_token(issuer.token()), None)["statusCode"] == 200


# --- Powertools' resolvers


@pytest.mark.parametrize(("api", "resolver"), [("rest", APIGatewayRestResolver), ("http", APIGatewayHttpResolver)])
def test_a_powertools_route_answers_401_and_403_in_the_services_own_form(api: str, resolver: Any) -> None:
    app = resolver()
    app.get("/reports", middlewares=[guard.middleware("manager")])(lambda: {"reports": "all"})
    for role, status in (("manager", 200), ("admin", 200), ("user", 403), (None, 401)):
        answered = app.resolve(testing.request_event(api, role), None)
        assert answered["statusCode"] == status
        if status != 200:
            detail = "Unauthorized" if status == 401 else "manager access required"
            assert json.loads(answered["body"]) == {"statusCode": status, "message": detail}


@pytest.mark.parametrize(("api", "resolver"), [("rest", APIGatewayRestResolver), ("http", APIGatewayHttpResolver)])
def test_a_services_own_exception_handlers_answer_for_a_powertools_route(api: str, resolver: Any) -> None:
    app = resolver()
    app.exception_handler(UnauthorizedError)(lambda error: Response(401, "text/plain", f"who? {error.msg}"))
    app.exception_handler(ForbiddenError)(lambda error: Response(403, "text/plain", f"no: {error.msg}"))
    app.get("/reports/<year>", middlewares=[guard.middleware("manager")])(lambda year: {"year": year})
    for role, body in (
        (None, "who? Unauthorized"),
        ("user", "no: manager access required"),
        ("manager", '{"year":"7"}'),
    ):
        assert app.resolve(testing.request_event(api, role, path="/reports/7"), None)["body"] == body


def test_a_powertools_route_is_unavailable_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    app: Any = APIGatewayRestResolver()
    app.use(middlewares=[guard.middleware("manager", verify=True)])
    app.get("/reports")(lambda: {"reports": "all"})
    with serving(lambda *_: (503, {}, b"")) as url, testing.Issuer() as issuer:
        monkeypatch.setenv("ROLEGATE_ISSUER", url)
        monkeypatch.setenv("ROLEGATE_AUDIENCE", "rolegate")
        assert app.resolve(with_token(issuer.token("manager")), None)["statusCode"] == 503
