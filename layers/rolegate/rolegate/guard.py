"""Role checks inside a handler, for services that route in one Lambda: `@require_role("manager")`.

They ask what the authorizer put in the event, so an authorizer has to stand before the route; with `verify=True` they
check the token themselves, with the issuer in the environment variable ROLEGATE_ISSUER and the audience in
ROLEGATE_AUDIENCE. Comparing names with `scope`, they need no table of roles.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from rolegate import bootstrap, http
from rolegate.errors import Forbidden, Misconfigured, RolegateError, Unauthorized, Unavailable

type Respond = Callable[[Any, RolegateError], Any]
_CHALLENGES: Mapping[type[RolegateError], str] = {  # RFC 6750, section 3
    Unauthorized: 'Bearer realm="rolegate"',
    Forbidden: 'Bearer realm="rolegate", error="insufficient_scope"',
}


def problem(_event: object, error: RolegateError) -> dict[str, Any]:
    """Return the answer of a REST or HTTP API for a refusal, in the form of RFC 9457."""
    challenge = _CHALLENGES.get(type(error))
    return http.render(http.problem(error), {"WWW-Authenticate": challenge} if challenge else {})


def require_role[Handler: Callable[[Any, Any], Any]](
    role: str, *, verify: bool = False, respond: Respond = problem
) -> Callable[[Handler], Handler]:
    """Let only those events through to a handler whose caller's `scope` names `role`.

    Without an authorizer's context the answer is 401, without the role 403, and with `verify` 503 while the issuer's
    keys cannot be fetched. `respond` gives them the service's own form: (event, error) -> answer. Raises
    `Misconfigured` for what cannot be a role's name, and at the first event if `verify` lacks a variable.
    """
    check = _check(role, verify=verify)

    def guard(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def guarded(event: Any, context: Any) -> Any:  # noqa: ANN401 - whatever the handler takes and gives
            try:
                check(event)
            except RolegateError as error:
                return respond(event, error)
            return handler(event, context)

        return cast("Handler", guarded)

    return guard


def middleware(role: str, *, verify: bool = False) -> Callable[[Any, Callable[[Any], Any]], Any]:
    """Return the same check as a middleware of Powertools' resolvers, for one route or all of them.

    It raises Powertools' own `UnauthorizedError`, `ForbiddenError` and `ServiceError`, which the service's exception
    handlers put into its own form (https://docs.aws.amazon.com/powertools/python/latest/core/event_handler/api_gateway/).
    """
    check = _check(role, verify=verify)

    def guard(app: Any, following: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - Powertools' own types
        from aws_lambda_powertools.event_handler import exceptions  # noqa: PLC0415 - services without it need none

        try:
            check(app.current_event.raw_event)
        except Forbidden as error:
            raise exceptions.ForbiddenError(error.detail) from None
        except Unavailable as error:
            raise exceptions.ServiceError(503, error.detail) from None
        except Unauthorized as error:
            raise exceptions.UnauthorizedError(error.detail) from None
        return following(app)

    return guard


def _check(role: str, *, verify: bool) -> Callable[[Any], None]:
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", role):
        raise Misconfigured(f"'{role}' cannot be a role: its name has 1 to 64 letters a to z, digits, _ and -.")

    def check(event: Any) -> None:  # noqa: ANN401 - whatever came
        if not isinstance(event, Mapping):
            raise Unauthorized
        told = _scope(event)
        scopes = [told] if told is not None else []
        if verify:
            scopes.append(bootstrap.verifier()(event)["scope"])
        if not scopes:
            raise Unauthorized
        if not all(role in scope.split(" ") for scope in scopes):
            raise Forbidden(f"{role} access required")

    return check


def _scope(event: object) -> str | None:
    """Return the `scope` that an authorizer put in front of the handler, or None.

    Ours does so for every kind of API, and API Gateway's own JWT authorizers do among the `claims`
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-jwt-authorizer-claims.html).
    """
    match event:
        case {"requestContext": {"authorizer": {"lambda": {"scope": str(scope)}}}}:
            return scope
        case {"requestContext": {"authorizer": {"jwt": {"claims": {"scope": str(scope)}}}}}:
            return scope
        case {"requestContext": {"authorizer": {"claims": {"scope": str(scope)}}}}:  # of a REST API, or payload 1.0
            return scope
        case {"requestContext": {"authorizer": {"scope": str(scope)}}}:
            return scope
    return None
