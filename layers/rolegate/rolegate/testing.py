"""For the tests of services behind Rolegate: a fake issuer with real tokens, and the events that API Gateway sends.

Not in the layer: install the package where the tests run.
"""

import http.server
import threading
import time
import uuid
from typing import Any, Self

from rolegate import discovery, keyring, roles, sessions, tokens, users
from rolegate.errors import NotFound
from rolegate.model import Caller

ROLES = "user=1,manager=2,admin=3"
FORMS = ("rest_token", "rest_request", "http_1", "http_2", "websocket")
_ACCOUNT, _REGION, _API = "123456789012", "eu-central-1", "a1b2c3d4e5"


class Issuer:
    """An issuer on this machine, with a key of its own, for as long as the `with` block lasts.

    `url` is what an authorizer or a guard with `verify=True` takes for its issuer (ISSUER, ROLEGATE_ISSUER).
    """

    def __init__(self) -> None:
        self._ring = keyring.kept(None, keyring.Rule("RS256", 1, 1, keyring.generate), int(time.time()))
        issuer = self

        class Documents(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = issuer.document(self.path.removeprefix("/.well-known/"))
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Documents)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def document(self, name: str) -> bytes:
        """Return a document of the issuer by its name under /.well-known/; nothing for one that there is not."""
        try:
            return discovery.document(name, self.url, keyring.jwks(self._ring)).encode()
        except NotFound:
            return b""

    def token(
        self,
        role: str = "user",
        *,
        username: str = "alice",
        audience: str = "rolegate",
        hierarchy: str = ROLES,
        lifetime: int = 900,
        now: int | None = None,
    ) -> str:
        """Return an access token as Rolegate issues them, by the same code; an old `now` makes an expired one.

        `lifetime` is in seconds, `now` in seconds since 1970. Raises `Misconfigured` for a role that is not in the
        hierarchy.
        """
        now = int(time.time()) if now is None else now
        user = users.create(username, "", role, now)
        session = sessions.start(user, audience, Caller(), self._ring.current.kid, lifetime, lifetime, now)
        issuer = tokens.Issuer(self.url, "username", lifetime, roles.parse(hierarchy))
        return issuer.access_token(user, session, self._ring.current, now)


def context(role: str = "user", *, username: str = "alice", hierarchy: str = ROLES) -> dict[str, str]:
    """Return what the authorizer tells the service behind it, in a request that it let through."""
    return {
        "username": username,
        "user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, username)),
        "role": role,
        "scope": roles.parse(hierarchy).scope(role),
        "session_id": "a-session",
        "detail": "",
    }


def authorizer_event(
    form: str, token: str, *, method: str = "GET", path: str = "/reports", stage: str = "v1"
) -> dict[str, Any]:
    """Return the event by which an API of this form (one of `FORMS`) asks an authorizer about a request with a token.

    The shapes are those of
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html.
    """
    arn = f"arn:aws:execute-api:{_REGION}:{_ACCOUNT}:{_API}/{stage}"
    bearer, route = f"Bearer {token}", f"{arn}/{method}{path}"
    headers = {"Host": f"{_API}.execute-api.{_REGION}.amazonaws.com", "Authorization": bearer}
    several = {name: [value] for name, value in headers.items()}
    parts = {"resource": path, "path": path, "httpMethod": method, "queryStringParameters": {}, "pathParameters": {}}
    match form:
        case "rest_token":
            return {"type": "TOKEN", "methodArn": route, "authorizationToken": bearer}
        case "rest_request":
            return {
                "type": "REQUEST",
                "methodArn": route,
                **parts,
                "headers": headers,
                "multiValueHeaders": several,
                "requestContext": _request_context("rest", method, path, stage),
            }
        case "http_1":
            named = {"identitySource": bearer, "authorizationToken": bearer, **parts, "headers": headers}
            asked = {"version": "1.0", "type": "REQUEST", "methodArn": route, **named}
            return {**asked, "requestContext": _request_context("rest", method, path, stage)}
        case "http_2":
            return {
                "version": "2.0",
                "type": "REQUEST",
                "routeArn": route,
                "identitySource": [bearer],
                "routeKey": f"{method} {path}",
                "rawPath": path if stage == "$default" else f"/{stage}{path}",
                "headers": {name.lower(): value for name, value in headers.items()},
                "requestContext": _request_context("http", method, path, stage),
            }
        case "websocket":
            connect = {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "a-connection=", "stage": stage}
            asked = {"type": "REQUEST", "methodArn": f"{arn}/$connect", "headers": headers}
            return {**asked, "multiValueHeaders": several, "requestContext": {**connect, "apiId": _API}}
    raise ValueError(f"There is no form '{form}'. The forms are {', '.join(FORMS)}.")


def request_event(
    api: str,
    role: str | None = "user",
    *,
    username: str = "alice",
    method: str = "GET",
    path: str = "/reports",
    body: str | None = None,
    hierarchy: str = ROLES,
) -> dict[str, Any]:
    """Return the event of a request as it reaches the service, through an authorizer that let a role in.

    `api` is `rest` (a REST API, or payload 1.0) or `http` (an HTTP API's payload 2.0); without a role no authorizer
    stood before the route.
    """
    if api not in ("rest", "http"):
        raise ValueError(f"There is no API '{api}'. It is rest or http.")
    told = context(role, username=username, hierarchy=hierarchy) if role is not None else None
    request = _request_context(api, method, path, "v1" if api == "rest" else "$default")
    if told is not None:
        request["authorizer"] = {"lambda": told} if api == "http" else {"principalId": told["user_id"], **told}
    common = {"headers": {"content-type": "application/json"}, "body": body, "isBase64Encoded": False}
    if api == "http":
        route = {"version": "2.0", "routeKey": f"{method} {path}", "rawPath": path, "rawQueryString": ""}
        return {**route, **common, "requestContext": request}
    route = {"resource": path, "path": path, "httpMethod": method}
    rest: dict[str, Any] = {"multiValueHeaders": {}, "pathParameters": {}, "queryStringParameters": None}
    return {**route, **common, **rest, "requestContext": request}


def _request_context(api: str, method: str, path: str, stage: str) -> dict[str, Any]:
    shared = {"accountId": _ACCOUNT, "apiId": _API, "stage": stage, "requestId": "a-request"}
    if api == "http":
        asked = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.44", "userAgent": "tests"}
        return {**shared, "routeKey": f"{method} {path}", "http": asked}
    identity = {"sourceIp": "192.0.2.44", "userAgent": "tests"}
    return {**shared, "httpMethod": method, "resourcePath": path, "path": f"/{stage}{path}", "identity": identity}
