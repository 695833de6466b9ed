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
_ACCOUNT, _REGION = "123456789012", "eu-central-1"
_REQUEST, _TIME, _EPOCH = "VQ0aIiKpliAEMcg=", "25/Nov/2026:08:00:00 +0000", 1_795_593_600_000  # milliseconds


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
        user = users.create(username, "", role, now)._replace(user_id=_user_id(username))
        session = sessions.start(user, audience, Caller(), self._ring.current.kid, lifetime, lifetime, now)
        issuer = tokens.Issuer(self.url, "username", lifetime, roles.parse(hierarchy))
        return issuer.access_token(user, session, self._ring.current, now)


def context(role: str = "user", *, username: str = "alice", hierarchy: str = ROLES) -> dict[str, str]:
    """Return what the authorizer tells the service behind it, in a request that it let through."""
    return {
        "username": username,
        "user_id": _user_id(username),
        "role": role,
        "scope": roles.parse(hierarchy).scope(role),
        "session_id": "a-session",
        "detail": "",
    }


def authorizer_event(
    form: str,
    token: str,
    *,
    method: str = "GET",
    path: str = "/reports",
    route: str | None = None,
    stage: str = "v1",
    api_id: str = "a1b2c3d4e5",
) -> dict[str, Any]:
    """Return the event by which an API of this form (one of `FORMS`) asks an authorizer about a request with a token.

    `route` is the path as the API names it, such as `/reports/{id}`, if that differs. The shapes are those of
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html and
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html.
    """
    arn, bearer = f"arn:aws:execute-api:{_REGION}:{_ACCOUNT}:{api_id}/{stage}", f"Bearer {token}"
    asked: dict[str, Any] = {"type": "REQUEST", "methodArn": f"{arn}/{method}{path}"}
    api = "http" if form == "http_2" else "rest"
    request = _request(api, method, path, route or path, stage, api_id, {"authorization": bearer})
    request = {name: {} if value is None else value for name, value in request.items()}
    said = request["requestContext"]
    match form:
        case "rest_token":
            return {**asked, "type": "TOKEN", "authorizationToken": bearer}
        case "rest_request":
            return {**asked, **request}
        case "http_1":
            sources = {"version": "1.0", "identitySource": bearer, "authorizationToken": bearer}
            return {**asked, **sources, **{name: request[name] for name in request if not name.startswith("multi")}}
        case "http_2":
            return {**request, "type": "REQUEST", "routeArn": asked["methodArn"], "identitySource": [bearer]}
        case "websocket":
            connect: dict[str, Any] = {"routeKey": "$connect", "eventType": "CONNECT", "messageDirection": "IN"}
            connect |= {"connectionId": "VQ0aJcsdliACJfA=", "connectedAt": _EPOCH, "extendedRequestId": _REQUEST}
            kept = ("apiId", "stage", "requestId", "requestTime", "requestTimeEpoch", "domainName", "identity")
            parts = {name: request[name] for name in request if name.lower().endswith(("headers", "stringparameters"))}
            asked |= {"methodArn": f"{arn}/$connect", "stageVariables": {}}
            return {**asked, **parts, "requestContext": {**connect, **{name: said[name] for name in kept}}}
    raise ValueError(f"There is no form '{form}'. The forms are {', '.join(FORMS)}.")


def request_event(
    api: str,
    role: str | None = "user",
    *,
    username: str = "alice",
    method: str = "GET",
    path: str = "/reports",
    route: str | None = None,
    body: str | None = None,
    hierarchy: str = ROLES,
) -> dict[str, Any]:
    """Return the event of a request as it reaches the service, through an authorizer that let a role in.

    `api` is `rest` (a REST API, or payload 1.0) or `http` (an HTTP API's payload 2.0); without a role no authorizer
    stood before the route. `route` is the path as the API names it, such as `/reports/{id}`, if that differs.
    """
    if api not in ("rest", "http"):
        raise ValueError(f"There is no API '{api}'. It is rest or http.")
    stage, headers = "v1" if api == "rest" else "$default", {"content-type": "application/json"}
    event = _request(api, method, path, route or path, stage, "a1b2c3d4e5", headers)
    if role is not None:
        told = context(role, username=username, hierarchy=hierarchy)
        flat = {"principalId": told["user_id"], "integrationLatency": 41, **told}
        event["requestContext"]["authorizer"] = {"lambda": told} if api == "http" else flat
    return {**event, "body": body, "isBase64Encoded": False}


def _request(
    api: str, method: str, path: str, route: str, stage: str, api_id: str, headers: dict[str, str]
) -> dict[str, Any]:
    """Return what events of a REST API, or of an HTTP API's payload 2.0, say of a request without a body."""
    host = f"{api_id}.execute-api.{_REGION}.amazonaws.com"
    headers = {"host": host, "user-agent": "tests", "x-forwarded-for": "192.0.2.44", **headers}
    # A greedy parameter, {name+}, is the last one and takes the rest of the path.
    pairs = zip(route.split("/"), path.split("/", route.count("/")), strict=False)
    parameters = {name.strip("{+}"): value for name, value in pairs if name.startswith("{")}
    about: dict[str, Any] = {"accountId": _ACCOUNT, "apiId": api_id, "domainName": host, "domainPrefix": api_id}
    about |= {"stage": stage, "requestId": _REQUEST}
    if api == "http":
        raw = path if stage == "$default" else f"/{stage}{path}"
        asked = {"method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.44", "userAgent": "tests"}
        about |= {"routeKey": f"{method} {route}", "http": asked, "time": _TIME, "timeEpoch": _EPOCH}
        event = {"version": "2.0", "routeKey": about["routeKey"], "rawPath": raw, "rawQueryString": ""}
        event |= {"headers": headers, "requestContext": about}
        return {**event, "pathParameters": parameters} if parameters else event
    about |= {"resourceId": "r3p0rt", "resourcePath": route, "httpMethod": method, "path": f"/{stage}{path}"}
    about |= {"protocol": "HTTP/1.1", "identity": {"sourceIp": "192.0.2.44", "userAgent": "tests"}}
    about |= {"requestTime": _TIME, "requestTimeEpoch": _EPOCH, "extendedRequestId": _REQUEST}
    event = {"resource": route, "path": path, "httpMethod": method, "headers": headers}
    several = {"multiValueHeaders": {name: [value] for name, value in headers.items()}}
    query = {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    rest = {"pathParameters": parameters or None, "stageVariables": None, "requestContext": about}
    return {**event, **several, **query, **rest}


def _user_id(username: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, username))
