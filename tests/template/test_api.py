"""The REST API with Rolegate's routes: who may call what, and how the gateway itself answers."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from rolegate import http
from samtranslator.model import apigateway  # type: ignore[import-untyped] # it ships no types

if TYPE_CHECKING:
    from tests.template.conftest import Stack, Transform

ROUTES = {  # method and path: function, authorizer
    "POST /register": ("Register", None),
    "POST /login": ("Login", None),
    "POST /refresh": ("Refresh", None),
    "POST /logout": ("Logout", None),
    "GET /me": ("Account", "User"),
    "POST /me/password": ("ChangePassword", "User"),
}
SAMPLES = {
    "GET /hello": ("Hello", "User"),
    "GET /manager": ("Hello", "Manager"),
    "GET /admin": ("Hello", "Admin"),
}
REFUSALS = {  # gateway response: status, code
    "UNAUTHORIZED": (401, "unauthorized"),
    "ACCESS_DENIED": (403, "forbidden"),
    "INVALID_API_KEY": (403, "forbidden"),
    "WAF_FILTERED": (403, "forbidden"),
    "AUTHORIZER_FAILURE": (503, "unavailable"),
    "INTEGRATION_FAILURE": (503, "unavailable"),
    "INTEGRATION_TIMEOUT": (503, "unavailable"),
    "AUTHORIZER_CONFIGURATION_ERROR": (503, "unavailable"),
    "API_CONFIGURATION_ERROR": (500, "internal"),
    "DEFAULT_5XX": (500, "internal"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "RESOURCE_NOT_FOUND": (404, "not_found"),
    "INVALID_SIGNATURE": (404, "not_found"),
    "EXPIRED_TOKEN": (404, "not_found"),
    "DEFAULT_4XX": (404, "not_found"),
    "THROTTLED": (429, "too_many_attempts"),
    "QUOTA_EXCEEDED": (429, "too_many_attempts"),
    "REQUEST_TOO_LARGE": (413, "payload_too_large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "BAD_REQUEST_BODY": (400, "invalid_request"),
    "BAD_REQUEST_PARAMETERS": (400, "invalid_request"),
}
HEADER = "gatewayresponse.header."


def routes(stack: Stack) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    for path, methods in stack.body()["paths"].items():
        for method, operation in methods.items():
            if method != "options":
                [function] = re.findall(r"<(\w+)Function\.Arn>", operation["x-amazon-apigateway-integration"]["uri"])
                authorizers = [name for choice in operation.get("security", []) for name in choice]
                found[f"{method.upper()} {path}"] = (function, *(authorizers or [None]))
    return found


def refusals(stack: Stack) -> dict[str, dict[str, Any]]:
    responses: dict[str, dict[str, Any]] = stack.body()["x-amazon-apigateway-gateway-responses"]
    return responses


def rendered(response: dict[str, Any], detail: str = "access required", message: str = "bad") -> dict[str, Any]:
    """Fill a template as the gateway does: it puts values in as they are, and quotes only the message string."""
    assert response["responseTemplates"].keys() == {"application/json"}
    text = response["responseTemplates"]["application/json"]
    text = text.replace("$context.authorizer.detail", detail)
    text = text.replace("$context.error.messageString", json.dumps(message))
    assert "$" not in text
    problem: dict[str, Any] = json.loads(text)
    return problem


def test_there_are_these_routes_and_no_others(stack: Stack) -> None:
    assert routes(stack) == ROUTES


def test_sample_routes_exist_only_when_asked_for(transform: Transform) -> None:
    assert routes(transform(SampleRoutes="true")) == ROUTES | SAMPLES


def test_without_sample_routes_nothing_of_them_is_left(stack: Stack) -> None:
    assert not [name for name in stack.resources if name.startswith("Hello")]
    assert not {"/hello", "/manager", "/admin"} & stack.body()["paths"].keys()


def test_every_route_answers_a_preflight_without_an_authorizer(everything: Stack) -> None:
    for path, methods in everything.body()["paths"].items():
        assert "security" not in methods["options"], path
        assert methods["options"]["x-amazon-apigateway-integration"]["type"] == "mock"
    assert "security" not in everything.body()


def test_a_preflight_allows_what_clients_send(transform: Transform) -> None:
    stack = transform(AllowedOrigin="https://app.example.com")
    for methods in stack.body()["paths"].values():
        answer = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
        assert answer["responseParameters"] == {
            "method.response.header.Access-Control-Allow-Origin": "'https://app.example.com'",
            "method.response.header.Access-Control-Allow-Methods": "'GET,POST,OPTIONS'",
            "method.response.header.Access-Control-Allow-Headers": "'content-type,authorization'",
            "method.response.header.Access-Control-Max-Age": "'600'",
        }


def test_the_description_is_of_one_kind_of_openapi(everything: Stack) -> None:
    """SAM leaves Swagger 2.0's words in the conditional routes of an OpenAPI 3 description."""
    body = everything.body()
    assert body["swagger"] == "2.0"
    assert not body.keys() & {"openapi", "components"}
    for methods in body["paths"].values():
        headers = methods["options"]["responses"]["200"]["headers"]
        assert all(header.keys() == {"type"} for header in headers.values())


def test_handlers_validate_and_the_gateway_does_not(everything: Stack) -> None:
    assert "request-validator" not in json.dumps(everything.body())


def test_an_authorizer_sees_the_request_and_is_asked_again_after_the_set_time(transform: Transform) -> None:
    for seconds in ("60", "0"):
        schemes = transform(AuthorizerCacheSeconds=seconds).body()["securityDefinitions"]
        assert schemes.keys() == {"User", "Manager", "Admin"}
        for name, scheme in schemes.items():
            authorizer = scheme["x-amazon-apigateway-authorizer"]
            uri = authorizer.pop("authorizerUri")
            assert f"<{name}AuthorizerFunction.Arn>/invocations" in uri
            assert authorizer == {
                "type": "request",
                "identitySource": "method.request.header.Authorization",
                # Else what a strict one read would be believed by the gateway.
                "authorizerResultTtlInSeconds": 0 if name == "Admin" else seconds,
            }


@pytest.mark.parametrize("mode", ["off", "cached", "strict"])
@pytest.mark.parametrize("name", ["User", "Manager", "Admin"])
def test_the_gateway_remembers_no_answer_of_a_strict_authorizer(transform: Transform, name: str, mode: str) -> None:
    scheme = transform(**{f"{name}RevocationCheck": mode}).body()["securityDefinitions"][name]
    ttl = scheme["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"]
    assert ttl == (0 if mode == "strict" else "60")


def test_one_permission_lets_every_api_of_the_account_call_an_authorizer(abroad: Stack) -> None:
    permissions = abroad.of_type("AWS::Lambda::Permission")
    for role in ("User", "Manager", "Admin"):
        found = [p for p in permissions.values() if f"{role}Authorizer" in p["FunctionName"]]
        source = f"arn:{abroad.partition}:execute-api:{abroad.region}:{abroad.account}:*/authorizers/*"
        assert found == [
            {
                "FunctionName": f"<{role}AuthorizerFunction.Arn>",
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": source,
            }
        ]


def test_every_other_permission_is_for_one_thing_of_the_stack(everything: Stack) -> None:
    permissions = {n: p for n, p in everything.of_type("AWS::Lambda::Permission").items() if "Authorizer" not in n}
    assert len(permissions) == len(ROUTES | SAMPLES) + len(["the key documents", "the schedule"])
    ours = r":<Api>/\*/[A-Z]+(/\w+)+$|:<KeysApi>/\*$|^<RotateKeysFunctionDaily\.Arn>$"
    for name, permission in permissions.items():
        assert permission["Principal"] in {"apigateway.amazonaws.com", "events.amazonaws.com"}, name
        assert re.search(ours, permission["SourceArn"]), name


def test_other_stacks_find_the_authorizers(stack: Stack) -> None:
    for role in ("user", "manager", "admin"):
        function = f"<{role.title()}AuthorizerFunction.Arn>"
        parameter = stack.resources[f"{role.title()}AuthorizerParameter"]["Properties"]
        assert (parameter["Name"], parameter["Value"]) == (f"/auth-prod/authorizers/{role}", function)


def test_the_gateway_answers_everything_that_it_refuses_itself(stack: Stack) -> None:
    assert refusals(stack).keys() == REFUSALS.keys()


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_of_the_gateway_is_a_problem_like_any_other(stack: Stack, kind: str) -> None:
    status, code = REFUSALS[kind]
    response = refusals(stack)[kind]
    problem = rendered(response)
    assert response["statusCode"] == str(status)
    assert list(problem) == ["type", "title", "status", "detail", "code"]
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_of_the_gateway_has_the_headers_of_any_other(transform: Transform, kind: str) -> None:
    stack = transform(AllowedOrigin="https://app.example.com")
    headers = {
        "Access-Control-Allow-Origin": "'https://app.example.com'",
        "Access-Control-Expose-Headers": "'Retry-After'",
        "Cache-Control": "'no-store'",
        "Content-Type": "'application/problem+json'",
        "Vary": "'Origin'",
    }
    if REFUSALS[kind][0] in {429, 503}:
        headers["Retry-After"] = "'1'"
    if kind == "UNAUTHORIZED":
        headers["WWW-Authenticate"] = "'Bearer realm=\"rolegate\"'"
    if kind == "ACCESS_DENIED":
        headers["WWW-Authenticate"] = '\'Bearer realm="rolegate", error="insufficient_scope"\''
    assert refusals(stack)[kind]["responseParameters"] == {HEADER + name: value for name, value in headers.items()}


def test_the_gateway_and_the_handlers_say_the_same_of_the_same(stack: Stack) -> None:
    said = {error.code: (*answer, error.detail) for error, answer in http.STATUS.items()}
    for kind, response in refusals(stack).items():
        problem = rendered(response, detail="Forbidden", message="The request is not valid.")
        if problem["code"] != "too_many_attempts":  # where handlers say of what
            assert (problem["status"], problem["title"], problem["detail"]) == said[problem["code"]], kind


def test_a_role_that_is_too_low_is_told_which_it_takes(stack: Stack) -> None:
    problem = rendered(refusals(stack)["ACCESS_DENIED"], detail="admin access required")
    assert problem["detail"] == "admin access required"


@pytest.mark.parametrize("kind", ["BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS"])
def test_a_bad_request_is_told_the_gateways_own_words(stack: Stack, kind: str) -> None:
    assert rendered(refusals(stack)[kind], message='A "quoted" word')["detail"] == 'A "quoted" word'


def test_there_is_one_stage_and_it_is_throttled(transform: Transform) -> None:
    stack = transform(ThrottlingRate="7", ThrottlingBurst="9")
    [stage] = stack.of_type("AWS::ApiGateway::Stage").values()
    assert stage["StageName"] == "v1"
    assert stage["MethodSettings"] == [
        {"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9"}
    ]
    [deployment] = stack.of_type("AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment


def test_the_api_is_regional_and_reachable(stack: Stack) -> None:
    [api] = stack.of_type("AWS::ApiGateway::RestApi").values()
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert not api.get("DisableExecuteApiEndpoint")


@pytest.mark.parametrize("change", [{"AllowedOrigin": "https://app.example.com"}, {"SampleRoutes": "true"}, {}])
def test_every_change_reaches_the_stage(
    transform_anew: Transform, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    def deployments(now: int, **parameters: str) -> set[str]:
        monkeypatch.setattr(apigateway.time, "time", lambda: now)
        return set(transform_anew(**parameters).of_type("AWS::ApiGateway::Deployment"))

    assert not deployments(1_800_000_000) & deployments(1_800_000_060, **change)


def test_the_apis_log_accesses_only_when_asked_to(stack: Stack) -> None:
    text = json.dumps(stack.resources)
    assert "AccessLog" not in text
    assert "LoggingLevel" not in text


def test_access_logs_are_json_and_hold_neither_tokens_nor_bodies(everything: Stack) -> None:
    [rest] = everything.of_type("AWS::ApiGateway::Stage").values()
    [keys] = everything.of_type("AWS::ApiGatewayV2::Stage").values()
    for settings, group in ((rest["AccessLogSetting"], "ApiAccessLogs"), (keys["AccessLogSettings"], "KeysAccessLogs")):
        assert settings["DestinationArn"] == f"<{group}.Arn>"
        assert everything.resources[group]["Properties"] == {"RetentionInDays": "30"}
        fields = json.loads(settings["Format"])
        assert all(re.fullmatch(r"(\$context\.(?!authorizer|path$)[\w.]+ ?)+", value) for value in fields.values())


def test_no_account_wide_role_is_set(everything: Stack) -> None:
    assert not everything.of_type("AWS::ApiGateway::Account")


def test_there_is_no_web_acl_unless_asked_for(everything: Stack) -> None:
    assert not everything.of_type("AWS::WAFv2::WebACL")
    assert not everything.of_type("AWS::WAFv2::WebACLAssociation")


def test_a_web_acl_refuses_who_floods_the_credential_routes(transform: Transform) -> None:
    stack = transform(WebAclLimit="300")
    [acl] = stack.of_type("AWS::WAFv2::WebACL").values()
    [rule] = acl["Rules"]
    assert (acl["Scope"], acl["DefaultAction"]) == ("REGIONAL", {"Allow": {}})
    assert rule["Action"] == {"Block": {}}  # answered by the gateway response WAF_FILTERED
    rate = rule["Statement"]["RateBasedStatement"]
    assert (rate["Limit"], rate["EvaluationWindowSec"], rate["AggregateKeyType"]) == ("300", 300, "IP")
    method, route = rate["ScopeDownStatement"]["AndStatement"]["Statements"]
    assert method["ByteMatchStatement"]["SearchString"] == "POST"  # a preflight is no guess
    routes = re.compile(route["RegexMatchStatement"]["RegexString"])
    for path in ("/v1/login", "/login", "/v1/register", "/v1/refresh", "/v1/me/password", "/v1/login/"):
        assert routes.search(path)
    for path in ("/v1/me", "/v1/logout", "/v1/hello", "/v1/login/more", "/v1/mylogin"):
        assert not routes.search(path)
    [link] = stack.of_type("AWS::WAFv2::WebACLAssociation").values()
    assert link["WebACLArn"] == "<WebAcl.Arn>"
    assert re.fullmatch(r"arn:aws:apigateway:us-east-1::/restapis/<Api>/stages/<Api\w*Stage>", link["ResourceArn"])
