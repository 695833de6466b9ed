"""The authorizer's decision, and its form for each kind of API that asks for one."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rolegate.errors import Unauthorized
from rolegate.model import Claims
from rolegate.roles import Roles

Event = Mapping[str, Any]
_BEARER = re.compile(r"(?i:bearer) ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
_ARN = re.compile(r"(arn:[a-z0-9-]+:execute-api:[a-z0-9-]*:[0-9]*:[a-z0-9]+/[^/*?]+)/.*", re.DOTALL)


class Decision(NamedTuple):
    """Whether to let a request through, and what the API behind is told: flat strings only, as API Gateway asks."""

    allowed: bool
    context: Mapping[str, str]


def decide(claims: Claims, minimum: str, roles: Roles) -> Decision:
    """Return whether the role of a valid access token reaches `minimum`, and who it is."""
    allowed = roles.reaches(claims["role"], minimum)
    context = {
        "username": claims["username"],
        "user_id": claims["uid"],
        "role": claims["role"],
        "scope": claims["scope"],
        "session_id": claims["sid"],
        "detail": "" if allowed else f"{minimum} access required",
    }
    return Decision(allowed, context)


def bearer(event: Event) -> str:
    """Return the access token of an authorizer's event of any kind (RFC 6750, section 2.1).

    Raises `Unauthorized` unless there is exactly one `Authorization` value, and it is a bearer token.
    """
    values = (
        {event["authorizationToken"]}
        if event.get("type") == "TOKEN" and "authorizationToken" in event
        else _values(event)
    )
    token = _BEARER.fullmatch(str(values.pop())) if len(values) == 1 else None
    if token is None:
        raise Unauthorized
    return token[1]


def answer(event: Event, decision: Decision | None, http_api: str) -> dict[str, Any]:
    """Return what the asking API understands: an IAM policy, or a simple response; None is no valid token.

    The policy covers the API's whole stage, so that a cached one is right for every route, and never more than that
    stage. `http_api` (`simple` or `iam`) is the form for payload 2.0, which the event does not tell. Without a valid
    token it raises `Unauthorized`, which API Gateway answers with 401, except to HTTP APIs, which document no such
    thing and get a denial (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
    and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html).
    """
    version = event.get("version")
    if decision is None:
        if version not in ("1.0", "2.0"):
            raise Unauthorized
        decision = Decision(allowed=False, context={"detail": Unauthorized.detail})
    if version == "2.0" and http_api == "simple":
        return {"isAuthorized": decision.allowed, "context": dict(decision.context)}
    arn = _ARN.fullmatch(str(event.get("routeArn" if version == "2.0" else "methodArn")))
    if arn is None:
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


def _values(event: Event) -> set[str]:
    """Return every different value of the `Authorization` header, wherever API Gateway puts it."""
    single = {value for name, value in (event.get("headers") or {}).items() if name.lower() == "authorization"}
    several = [
        values for name, values in (event.get("multiValueHeaders") or {}).items() if name.lower() == "authorization"
    ]
    if any(len(values) != 1 for values in several):
        raise Unauthorized
    return single.union(*several)
