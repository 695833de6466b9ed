"""The authorizer's decision, and its form for each kind of API that asks for one."""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from rolegate.errors import Unauthorized
from rolegate.model import Claims
from rolegate.roles import Roles

Event = Mapping[str, Any]
_COMPACT = r"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)"
_BEARER = re.compile(rf"(?i:bearer) {_COMPACT}")
_PROTOCOLS = re.compile(rf"(?i:bearer) *, *{_COMPACT}")
_BARE = re.compile(_COMPACT)
_ARN = re.compile(
    r"(arn:[a-z0-9-]+:execute-api:[a-z0-9-]*:[0-9]*:[A-Za-z0-9]+/([A-Za-z0-9_-]+|\$default))(/.*)?", re.DOTALL
)


class Form(Enum):
    """The kinds of API that ask, each with its own event and its own answer."""

    REST_TOKEN = auto()
    REST_REQUEST = auto()
    WEBSOCKET = auto()
    HTTP_1 = auto()
    HTTP_2 = auto()


class Decision(NamedTuple):
    """Whether to let a request through, and what the API behind is told: flat strings only, as API Gateway asks."""

    allowed: bool
    context: Mapping[str, str]


def decide(claims: Claims, minimum: str, roles: Roles) -> Decision:
    """Return whether the role of a valid access token reaches `minimum`, and who it is.

    Of its scope only those roles count that this hierarchy too has at or below its role: the issuer's may be another.
    """
    role = claims["role"]
    allowed = roles.reaches(role, minimum)
    known = roles.scope(role).split(" ") if role in roles.levels else []
    context = {
        "username": claims["username"],
        "user_id": claims["uid"],
        "role": role,
        "scope": " ".join(name for name in claims["scope"].split(" ") if name in known),
        "session_id": claims["sid"],
        "detail": "" if allowed else f"{minimum} access required",
    }
    return Decision(allowed, context)


def lowered(claims: Claims, role: str, roles: Roles) -> Claims:
    """Return a token's claims with the role that its user has now, unless that is higher: no token grows."""
    known = role in roles.levels
    if known and roles.levels[role] >= roles.levels.get(claims["role"], 0):
        return claims
    return {**claims, "role": role, "scope": roles.scope(role) if known else ""}


def form(event: Event) -> Form:
    """Tell from an authorizer's event which kind of API asks.

    Raises `Unauthorized` for an event of no kind that API Gateway documents
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html).
    """
    match event:
        case {"version": "1.0", "type": "REQUEST"}:
            return Form.HTTP_1
        case {"version": "2.0", "type": "REQUEST"}:
            return Form.HTTP_2
        case {"version": _}:
            raise Unauthorized
        case {"type": "TOKEN"}:
            return Form.REST_TOKEN
        case {"type": "REQUEST", "requestContext": {"eventType": "CONNECT"}}:
            return Form.WEBSOCKET
        case {"type": "REQUEST"}:
            return Form.REST_REQUEST
    raise Unauthorized


def bearer(event: Event, *, query: bool = False) -> str:
    """Return the access token of an authorizer's event of any kind (RFC 6750, section 2.1).

    Browsers let no page set a header of a WebSocket, so `$connect` may bring the token as a subprotocol as well,
    `bearer, <token>`, or, if `query` allows it, as the parameter `access_token` (RFC 6750, section 2.3). HTTP APIs say
    by what they will remember the answer, `identitySource`: where the token is no part of that, whoever sends the rest
    would get it. Raises `Unauthorized` unless there is exactly one token, and it is that part.
    """
    match form(event):
        case Form.REST_TOKEN:
            return _of(_BEARER, event.get("authorizationToken"))
        case Form.WEBSOCKET:
            return _one(_offers(event, query=query))
        case Form.REST_REQUEST:
            return authorization(event)
        case Form.HTTP_1 | Form.HTTP_2:
            token = authorization(event)
            if not _is_remembered_by(token, event.get("identitySource")):
                raise Unauthorized
            return token


def authorization(event: Event) -> str:
    """Return the access token of the one `Authorization` header of a request; raises `Unauthorized` otherwise."""
    return _of(_BEARER, _one(_values(event, "headers", "multiValueHeaders", "authorization")))


def answer(event: Event, decision: Decision | None, http_api: str) -> dict[str, Any]:
    """Return what the asking API understands: an IAM policy, or a simple response; None is no valid token.

    The policy covers the API's whole stage, so that a cached one is right for every route, and never more than that
    stage. `http_api` (`simple` or `iam`) is the form for payload 2.0, which the event does not tell. Without a valid
    token it raises `Unauthorized`, which API Gateway answers with 401, except to HTTP APIs, which document no such
    thing and get a denial (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
    and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html).
    """
    asks = form(event)
    if decision is None:
        if asks not in (Form.HTTP_1, Form.HTTP_2):
            raise Unauthorized
        decision = Decision(allowed=False, context={"detail": Unauthorized.detail})
    if asks is Form.HTTP_2 and http_api == "simple":
        return {"isAuthorized": decision.allowed, "context": dict(decision.context)}
    arn = _ARN.fullmatch(str(event.get("routeArn" if asks is Form.HTTP_2 else "methodArn")))
    if arn is None:  # a stage `*` too: a policy for it would hold for every stage
        raise Unauthorized
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if decision.allowed else "Deny",
        "Resource": f"{arn[1]}/*",
    }
    return {
        "principalId": decision.context.get("user_id", "nobody"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(decision.context),
    }


def _is_remembered_by(token: str, source: object) -> bool:
    """Tell whether a token is among the values of an HTTP API's identity source; what names none remembers nothing.

    Payload 2.0 lists the values, 1.0 puts commas between them.
    """
    values = source.split(",") if isinstance(source, str) else source or []
    found = [_BEARER.fullmatch(value) for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return not source or any(match is not None and match[1] == token for match in found)


def _offers(event: Event, *, query: bool) -> Iterator[str]:
    """Yield the tokens that a WebSocket's `$connect` brings, wherever it may."""
    for value in _values(event, "headers", "multiValueHeaders", "authorization"):
        yield _of(_BEARER, value)
    for value in _values(event, "headers", "multiValueHeaders", "sec-websocket-protocol"):
        if value.lower().startswith("bearer"):
            yield _of(_PROTOCOLS, value)
    if query:
        for value in _values(event, "queryStringParameters", "multiValueQueryStringParameters", "access_token"):
            yield _of(_BARE, value)


def _values(event: Event, single: str, several: str, name: str) -> Iterator[str]:
    """Yield every value of a header or parameter, wherever API Gateway puts it; its name is in any case."""
    for place in (single, several):
        members = event.get(place) or {}
        for key, value in members.items() if isinstance(members, Mapping) else ():
            if key.lower() == name:
                values = value if place == several and isinstance(value, list) else [value]
                if len(values) != 1 or not isinstance(values[0], str):
                    raise Unauthorized
                yield values[0]


def _one(values: Iterator[str]) -> str:
    """Return the one value that all are; raises `Unauthorized` otherwise."""
    different = set(values)
    if len(different) != 1:
        raise Unauthorized
    return different.pop()


def _of(pattern: re.Pattern[str], value: object) -> str:
    """Return the token in a value of this form."""
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unauthorized
    return match[1]
