"""From API Gateway's events to requests, and from results and errors to answers (RFC 9110, RFC 9457)."""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from rolegate import errors, observe, strictjson
from rolegate.deadline import Deadline
from rolegate.edge import Edge
from rolegate.model import Caller, Tokens

Event = Mapping[str, Any]
LARGEST_BODY = 65_536  # bytes

STATUS: Mapping[type[errors.RolegateError], tuple[int, str]] = {
    errors.InvalidRequest: (400, "Bad Request"),
    errors.InvalidCredentials: (401, "Unauthorized"),
    errors.InvalidRefreshToken: (401, "Unauthorized"),
    errors.RefreshTokenExpired: (401, "Unauthorized"),
    errors.RefreshTokenRevoked: (401, "Unauthorized"),
    errors.RefreshTokenReused: (401, "Unauthorized"),
    errors.Unauthorized: (401, "Unauthorized"),
    errors.Forbidden: (403, "Forbidden"),
    errors.NotFound: (404, "Not Found"),
    errors.UsernameTaken: (409, "Conflict"),
    errors.PayloadTooLarge: (413, "Content Too Large"),
    errors.UnsupportedMediaType: (415, "Unsupported Media Type"),
    errors.TooManyAttempts: (429, "Too Many Requests"),
    errors.Unavailable: (503, "Service Unavailable"),
    errors.RolegateError: (500, "Internal Server Error"),
}


class Response(NamedTuple):
    """An answer before it takes API Gateway's form."""

    status: int
    body: Mapping[str, Any] | str | None
    headers: Mapping[str, str] = {}


class Request:
    """What a handler may ask of an event of a REST API, or of an HTTP API's payload 2.0."""

    def __init__(self, event: Event, edge: Edge | None = None) -> None:
        self.event = event
        self._edge = edge

    @property
    def resource(self) -> str:
        """The route as the template names it; the path itself changes with base-path mappings."""
        return str(self.event["resource"])

    @property
    def caller(self) -> Caller:
        """The address that the gateway saw, or one's own CDN, and the agent cut to what is worth keeping."""
        identity = self.event["requestContext"].get("identity") or {}
        seen = str(identity.get("sourceIp") or "")
        if self._edge is not None:
            seen = self._edge.address(self.header) or seen
        return Caller(seen, _printable(str(identity.get("userAgent") or ""))[:256])

    @property
    def identity(self) -> Mapping[str, str]:
        """What the authorizer says of the caller; raises `Unauthorized` where no authorizer stood before."""
        context = self.event["requestContext"].get("authorizer") or {}
        if "username" not in context:
            raise errors.Unauthorized
        return dict(context)

    def parameter(self, name: str) -> str:
        """Return a path parameter."""
        return str((self.event.get("pathParameters") or {}).get(name, ""))

    def header(self, name: str) -> str | None:
        """Return a header's value, its name in any case."""
        headers = self.event.get("headers") or {}
        return next((value for key, value in headers.items() if key.lower() == name), None)

    def text(self, *names: str) -> str:
        """Return the text under the first of `names` that the body has; raises `InvalidRequest` if there is none."""
        found = self.optional_text(*names)
        if found is None:
            raise errors.InvalidRequest(f"The field '{names[0]}' is missing.")
        return found

    def optional_text(self, *names: str) -> str | None:
        """Return the text under the first of `names` that the body has, or None.

        `null` counts as nothing. Raises `InvalidRequest`, `PayloadTooLarge` or `UnsupportedMediaType` for a body that
        is not a JSON object, or a field that is not a text with something in it.
        """
        name = next((name for name in names if self._members.get(name) is not None), None)
        if name is None:
            return None
        value = self._members[name]
        if not isinstance(value, str):
            raise errors.InvalidRequest(f"The field '{name}' must be a text.")
        if not value:
            raise errors.InvalidRequest(f"The field '{name}' must not be empty.")
        return value

    @cached_property
    def _members(self) -> Mapping[str, Any]:
        raw = self._body()
        media_type = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise errors.UnsupportedMediaType
        try:
            members = strictjson.loads(raw)
        except ValueError:
            raise errors.InvalidRequest("The body is not valid JSON.") from None
        if not isinstance(members, dict):
            raise errors.InvalidRequest("The body must be a JSON object.")
        return members

    def _body(self) -> bytes:
        try:
            raw = (self.event.get("body") or "").encode()
            if self.event.get("isBase64Encoded"):
                raw = base64.b64decode(raw, validate=True)
        except ValueError:
            raise errors.InvalidRequest("The body cannot be decoded.") from None
        if not raw:
            raise errors.InvalidRequest("The body is missing. Send a JSON object.")
        if len(raw) > LARGEST_BODY:
            raise errors.PayloadTooLarge
        return raw


Handler = Callable[[Event, object], dict[str, Any]]


def endpoint(
    handle: Callable[[Request], Response],
    allowed_origin: str,
    log: observe.Log,
    deadline: Deadline,
    edge: Edge | None = None,
) -> Handler:
    """Return the Lambda handler of an API's route: one request in, one answer out, whatever happens between."""
    cors = {"Access-Control-Allow-Origin": allowed_origin, "Access-Control-Expose-Headers": "Retry-After"}
    if allowed_origin != "*":
        cors["Vary"] = "Origin"

    def handler(event: Event, context: object) -> dict[str, Any]:
        log.request_id = getattr(context, "aws_request_id", None)
        deadline.begin(context)
        try:
            response = handle(Request(event, edge))
        except errors.RolegateError as error:
            if isinstance(error, errors.Unavailable):
                log.failure(error)
            response = problem(error)
        except errors.Misconfigured as error:  # the stack's fault, whatever was sent: no client should give up for it
            log.failure(error)
            response = problem(errors.Unavailable(retry_after=errors.MENDING))
        except Exception as error:  # noqa: BLE001 - the last door: a client gets an answer, an operator the place
            log.failure(error)
            response = problem(errors.RolegateError())
        return render(response, cors)

    return handler


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return an answer that nobody may store: everything of ours concerns somebody's tokens or account."""
    return Response(status, body, {"Cache-Control": "no-store"})


def tokens(issued: Tokens) -> Response:
    """Return what a sign-in or a refresh gives (RFC 6749, section 5.1)."""
    answer = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
        "refresh_expires_in": issued.refresh_expires_in,
        "role": issued.role,
    }
    return json_response(answer)


def document(text: str, request: Request, max_age: int) -> Response:
    """Return a public document with its ETag; 304 to whoever has it already (RFC 9110, section 13.1.2)."""
    import hashlib  # noqa: PLC0415 - only the keys function needs it

    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"Cache-Control": f"public, max-age={max_age}", "ETag": etag, "Content-Type": "application/json"}
    seen = [tag.strip().removeprefix("W/") for tag in (request.header("if-none-match") or "").split(",")]
    return Response(304, None, headers) if etag in seen or "*" in seen else Response(200, text, headers)


def problem(error: errors.RolegateError) -> Response:
    """Return an error in the form of RFC 9457."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    status, title = STATUS[kind]
    body = {"type": "about:blank", "title": title, "status": status, "detail": error.detail, "code": error.code}
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    if isinstance(error, errors.Unavailable | errors.TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    return Response(status, body, headers)


def render(response: Response, more: Mapping[str, str]) -> dict[str, Any]:
    """Return an answer in the form that REST and HTTP APIs take of a function, with `more` headers."""
    body = (
        response.body
        if isinstance(response.body, str)
        else json.dumps(response.body)
        if response.body is not None
        else ""
    )
    return {
        "statusCode": response.status,
        "headers": {"Content-Type": "application/json", **more, **response.headers},
        "body": body,
        "isBase64Encoded": False,
    }


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
