"""API Gateway before an authorizer, as its pages describe it: who is asked, what is remembered, what a client gets.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.conftest import ROOT, Handler

ARN = "arn:aws:execute-api:eu-central-1:123456789012:{api}/{stage}/{route}"


class Form(NamedTuple):
    """A kind of API, and how it has its authorizer answer. `word` says whether `Unauthorized` means 401 to it."""

    sample: str
    word: bool
    caches: bool = True
    simple: bool = False
    token_in: str = "Authorization"


FORMS: Mapping[str, Form] = {
    "REST TOKEN": Form("rest_token", word=True),
    "REST REQUEST": Form("rest_request", word=True),
    "HTTP 1.0": Form("http_1", word=False),
    "HTTP 2.0 IAM": Form("http_2", word=False),
    "HTTP 2.0 simple": Form("http_2", word=False, simple=True),
    "WebSocket": Form("websocket", word=True, caches=False),
    "WebSocket subprotocol": Form("websocket", word=True, caches=False, token_in="Sec-WebSocket-Protocol"),
}


class Verdict(NamedTuple):
    """What becomes of a request: the status that the client gets, and what the API behind is told."""

    status: int
    context: Mapping[str, Any]


class Gateway:
    """One stage of an API whose routes name one authorizer, which it remembers for `ttl` seconds by the token.

    HTTP APIs tell the authorizer so; another `source` is what they tell in its place.
    """

    def __init__(
        self, form: str, authorizer: Handler, now: Callable[[], int], ttl: int, stage: str = "v1", source: Any = None
    ) -> None:
        self.form = FORMS[form]
        self.asked = 0
        self._authorizer, self._now, self._ttl, self._stage = authorizer, now, ttl, stage
        self._source = source
        self._remembered: dict[str, tuple[int, Any]] = {}

    def ask(self, route: str, token: str | None) -> Verdict:
        """Bring a request for a route such as `GET/reports/7`, with a token or without one."""
        if token is None:  # every authorizer names an identity source
            return Verdict(401, {})
        value = self.value(token)
        known = self._remembered.get(value)
        if known is not None and self._now() < known[0] + self._ttl:
            return self._judged(known[1], route)
        self.asked += 1
        try:
            answer = self._authorizer(self.event(route, value), None)
        except Exception as error:  # noqa: BLE001 - whatever a function dies of
            return Verdict(401 if self.form.word and str(error) == "Unauthorized" else 500, {})
        if self.form.caches:
            self._remembered[value] = self._now(), answer
        return self._judged(answer, route)

    def value(self, token: str) -> str:
        """Return the header's value that brings a token."""
        return f"Bearer {token}" if self.form.token_in == "Authorization" else f"bearer, {token}"

    def event(self, route: str, value: str) -> dict[str, Any]:
        """Return the event that asks about a request."""
        event: dict[str, Any] = json.loads((ROOT / "events" / f"authorizer_{self.form.sample}.json").read_text())
        event["routeArn" if self.form.sample == "http_2" else "methodArn"] = self._arn(route)
        if self.form.sample == "rest_token":
            return {**event, "authorizationToken": value}
        for place, held in (("headers", value), ("multiValueHeaders", [value])):
            if place in event:
                kept = {name: old for name, old in event[place].items() if name.lower() != "authorization"}
                event[place] = {**kept, self.form.token_in: held}
        if "identitySource" in event:
            event["identitySource"] = self._source or ([value] if self.form.sample == "http_2" else value)
        return event

    def _arn(self, route: str) -> str:
        return ARN.format(api="a1b2c3d4e5", stage=self._stage, route=route)

    def _judged(self, answer: Any, route: str) -> Verdict:
        """Take the authorizer's answer, new or remembered, for a route."""
        assert all(isinstance(value, str) for value in answer["context"].values())
        if self.form.simple:
            allowed = answer["isAuthorized"] is True
        else:
            effects = {
                statement["Effect"]
                for statement in answer["policyDocument"]["Statement"]
                if _matches(statement["Resource"], self._arn(route)) and statement["Action"] == "execute-api:Invoke"
            }
            allowed = effects == {"Allow"}
        return Verdict(200 if allowed else 403, answer["context"])


def _matches(pattern: str, arn: str) -> bool:
    """Tell whether a resource of an IAM policy covers an ARN."""
    wild = {"*": ".*", "?": "."}
    return re.fullmatch("".join(wild.get(sign, re.escape(sign)) for sign in pattern), arn, re.DOTALL) is not None
