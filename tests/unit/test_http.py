"""Events to requests, and outcomes to answers."""

import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rolegate import errors, http, observe
from rolegate.deadline import Deadline
from rolegate.model import Caller, Tokens

from tests.conftest import Answer, Logs, rest_event
from tests.unit.test_errors import kinds

ANSWERS = {
    "invalid_request": (400, "Bad Request", "The request is not valid."),
    "invalid_credentials": (401, "Unauthorized", "Invalid credentials"),
    "invalid_refresh_token": (401, "Unauthorized", "Invalid refresh token"),
    "refresh_token_expired": (401, "Unauthorized", "Refresh token expired"),
    "refresh_token_revoked": (401, "Unauthorized", "Refresh token revoked"),
    "refresh_token_reused": (401, "Unauthorized", "Refresh token revoked"),
    "unauthorized": (401, "Unauthorized", "Unauthorized"),
    "forbidden": (403, "Forbidden", "Forbidden"),
    "not_found": (404, "Not Found", "Not found"),
    "username_taken": (409, "Conflict", "This username is taken."),
    "payload_too_large": (413, "Content Too Large", "The body is larger than 64 KiB."),
    "unsupported_media_type": (
        415,
        "Unsupported Media Type",
        "Send the body as JSON, with the header Content-Type: application/json.",
    ),
    "too_many_attempts": (429, "Too Many Requests", "Too many attempts. Try again later."),
    "unavailable": (503, "Service Unavailable", "The service is not available right now. Try again."),
    "internal": (500, "Internal Server Error", "The service met an error it did not expect."),
}

Handle = Callable[[http.Request], http.Response]


def answer(handle: Handle, event: dict[str, Any] | None = None, origin: str = "*") -> Answer:
    handler = http.endpoint(handle, origin, observe.Log("Rolegate"), Deadline())
    given = handler(event or rest_event("/x"), SimpleNamespace(aws_request_id="request-1"))
    assert given["isBase64Encoded"] is False
    return Answer(given["statusCode"], given["headers"], given["body"])


def raising(error: Exception) -> Handle:
    def handle(_request: http.Request) -> http.Response:
        raise error

    return handle


def text(body: str | bytes, *names: str, content_type: str | None = "application/json") -> str:
    """Return what a request with this body says under the first of these names."""
    if isinstance(body, str):
        event = rest_event("/x", body, content_type=content_type)
    else:
        event = rest_event("/x", base64.b64encode(body).decode(), content_type=content_type, is_base64=True)
    return http.Request(event).text(*names or ("name",))


def test_every_outcome_has_a_row_in_the_table() -> None:
    assert {kind.code for kind in kinds()} == set(ANSWERS)
    assert set(http.STATUS) == set(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_an_outcome_is_answered_as_the_table_says(kind: type[errors.RolegateError], logs: Logs) -> None:
    given = answer(raising(kind()))
    status, title, detail = ANSWERS[kind.code]
    assert given.status == status
    assert given.body == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": kind.code,
    }
    assert given.headers["Content-Type"] == "application/problem+json"
    assert given.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in given.headers) is (kind in (errors.Unavailable, errors.TooManyAttempts))
    assert bool(logs.lines) is (kind is errors.Unavailable)


def test_unavailable_says_in_seconds_when_to_try_again() -> None:
    assert answer(raising(errors.Unavailable(retry_after=30))).headers["Retry-After"] == "30"


def test_an_outcome_that_the_table_does_not_know_is_answered_like_the_kind_it_is_of() -> None:
    class StolenToken(errors.RefreshTokenReused):
        code = "stolen_token"

    assert answer(raising(StolenToken())).problem == (401, "stolen_token", "Refresh token revoked")


def test_an_unexpected_error_is_answered_without_a_word_of_it_and_its_place_is_logged(logs: Logs) -> None:
    given = answer(raising(ValueError("the password is hunter2")))
    assert given.problem == (500, "internal", "The service met an error it did not expect.")
    (line,) = logs.lines
    assert (line["message"], line["error"], line["request_id"]) == ("failure", "ValueError", "request-1")
    assert line["where"][-1].endswith(" handle")
    assert "hunter2" not in given.text + logs.text


def test_a_misconfiguration_is_the_operators_business_and_no_client_gives_up_for_it(logs: Logs) -> None:
    given = answer(raising(errors.Misconfigured("There is no role 'root'.")))
    assert given.problem == (503, "unavailable", "The service is not available right now. Try again.")
    assert given.headers["Retry-After"] == "30"
    (line,) = logs.lines
    assert (line["error"], line["reason"]) == ("Misconfigured", "There is no role 'root'.")


@pytest.mark.parametrize("handle", [lambda _: http.json_response({}), raising(errors.Forbidden()), raising(KeyError())])
def test_every_answer_may_be_read_by_any_origin_unless_one_is_configured(handle: Handle) -> None:
    open_to_all = answer(handle).headers
    assert open_to_all["Access-Control-Allow-Origin"] == "*"
    assert open_to_all["Access-Control-Expose-Headers"] == "Retry-After"
    assert "Vary" not in open_to_all
    assert "Access-Control-Allow-Credentials" not in open_to_all
    for_one = answer(handle, origin="https://app.example.com").headers
    assert (for_one["Access-Control-Allow-Origin"], for_one["Vary"]) == ("https://app.example.com", "Origin")


def test_an_answer_of_ours_is_json_that_nobody_may_store() -> None:
    given = answer(lambda _: http.json_response({"a": 1}, status=201))
    assert (given.status, given.body) == (201, {"a": 1})
    assert (given.headers["Content-Type"], given.headers["Cache-Control"]) == ("application/json", "no-store")


def test_tokens_are_answered_as_oauth_does() -> None:
    given = answer(lambda _: http.tokens(Tokens("access", 900, "refresh", 604_800, "manager")))
    assert given.body == {
        "access_token": "access",
        "token_type": "Bearer",
        "expires_in": 900,
        "refresh_token": "refresh",
        "refresh_expires_in": 604_800,
        "role": "manager",
    }
    assert given.headers["Cache-Control"] == "no-store"


def test_a_document_is_sent_once_and_then_only_confirmed() -> None:
    def handle(request: http.Request) -> http.Response:
        return http.document('{"keys":[]}', request, 60)

    first = answer(handle)
    assert (first.status, first.text) == (200, '{"keys":[]}')
    assert (first.headers["Content-Type"], first.headers["Cache-Control"]) == ("application/json", "public, max-age=60")
    tag = first.headers["ETag"]
    for seen in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = answer(handle, {**rest_event("/x"), "headers": {"if-none-match": seen}})
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    assert answer(handle, {**rest_event("/x"), "headers": {"if-none-match": '"other"'}}).status == 200


def test_the_route_is_the_templates_and_not_the_path_it_was_reached_by() -> None:
    assert http.Request(rest_event("/hello")).resource == "/hello"


def test_the_caller_is_whom_the_gateway_saw_whatever_the_client_says_of_itself() -> None:
    event = rest_event("/x", caller=Caller("192.0.2.1", "agent"))
    event["headers"]["X-Forwarded-For"] = "203.0.113.9"
    assert http.Request(event).caller == Caller("192.0.2.1", "agent")


def test_of_an_agent_only_so_much_is_kept_and_nothing_that_could_garble_a_log() -> None:
    agent = http.Request(
        rest_event("/x", caller=Caller("192.0.2.1", "a\n\x1b[31m\u2028b" + "x" * 1000))
    ).caller.user_agent
    assert agent.startswith("a[31mbx")
    assert len(agent) == 256


@pytest.mark.parametrize("identity", [None, {}, {"sourceIp": None, "userAgent": None}])
def test_a_gateway_that_tells_nothing_of_the_caller_leaves_it_unknown(identity: dict[str, None] | None) -> None:
    assert http.Request({"requestContext": {"identity": identity}}).caller == Caller("", "")


@pytest.mark.parametrize("authorizer", [None, {}, {"principalId": "alice"}])
def test_without_an_authorizer_before_it_a_route_knows_nobody(authorizer: dict[str, str] | None) -> None:
    with pytest.raises(errors.Unauthorized):
        _ = http.Request({"requestContext": {"authorizer": authorizer}}).identity


def test_what_the_authorizer_says_is_the_identity() -> None:
    assert http.Request(rest_event("/me", authorizer={"username": "alice"})).identity["username"] == "alice"


def test_a_path_parameter_that_is_not_there_is_empty() -> None:
    assert http.Request({"pathParameters": {"document": "jwks.json"}}).parameter("document") == "jwks.json"
    assert http.Request({"pathParameters": None}).parameter("document") == ""


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_however_its_type_is_written(content_type: str) -> None:
    assert text('{"name": "alice", "unknown": [1]}', content_type=content_type) == "alice"


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_another_type_than_json_is_refused(content_type: str | None) -> None:
    with pytest.raises(errors.UnsupportedMediaType):
        text('{"name": "alice"}', content_type=content_type)


def test_a_body_in_base64_is_decoded() -> None:
    assert text('{"name": "älice"}'.encode()) == "älice"


def test_invalid_base64_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="cannot be decoded"):
        http.Request(rest_event("/x", "!!!", is_base64=True)).text("name")


def test_the_first_of_several_names_that_the_body_has_counts() -> None:
    assert text('{"token": "one"}', "refresh_token", "token") == "one"
    assert text('{"token": "one", "refresh_token": "two"}', "refresh_token", "token") == "two"
    assert text('{"token": "one", "refresh_token": null}', "refresh_token", "token") == "one"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("", "The body is missing. Send a JSON object."),
        ("name=alice", "The body is not valid JSON."),
        ('["name"]', "The body must be a JSON object."),
        ("{}", "The field 'name' is missing."),
        ('{"name": null}', "The field 'name' is missing."),
        ('{"name": 1}', "The field 'name' must be a text."),
        ('{"name": ""}', "The field 'name' must not be empty."),
        ("\ud800", "The body cannot be decoded."),
    ],
)
def test_what_is_wrong_with_a_body_is_told(body: str, detail: str) -> None:
    with pytest.raises(errors.InvalidRequest) as raised:
        text(body)
    assert raised.value.detail == detail


def test_a_field_that_need_not_be_there_is_none() -> None:
    request = http.Request(rest_event("/x", json.dumps({"name": "alice"})))
    assert (request.optional_text("audience"), request.optional_text("name")) == (None, "alice")


def test_64_kib_are_read_and_no_byte_more() -> None:
    body = json.dumps({"name": "x" * (65_536 - len('{"name": ""}'))})
    assert len(body) == 65_536
    assert text(body).startswith("xxx")
    assert text(body.encode()).startswith("xxx")
    for larger in (body + " ", body.encode() + b" "):
        with pytest.raises(errors.PayloadTooLarge):
            text(larger)
