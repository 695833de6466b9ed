"""Every kind of API x every role x everything that may be wrong with a token -> decision, status and context."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from rolegate.errors import Unauthorized
from rolegate.roles import DEFAULT

from tests.conftest import NOW, Handler, World, claims, header, seal, serving_keys, stack_in_memory
from tests.functions.gateway import FORMS, Gateway, Verdict

ROLES = ("user", "manager", "admin", "owner")  # the last is of no hierarchy that the authorizer knows
MINIMUMS = ("user", "manager", "admin")


class Scene(NamedTuple):
    """A stack, its authorizers by their minimum role and form, and what every role's token is made of."""

    world: World
    authorizers: Mapping[tuple[str, str], Handler]
    refresh_token: str
    head: Mapping[str, Any]
    body: Mapping[str, Any]
    key: Mapping[str, Any]

    def token(self, role: str) -> str:
        """Return a good token of a role."""
        scope = DEFAULT.scope(role) if role in DEFAULT.levels else role
        return seal(self.head, {**self.body, "role": role, "scope": scope}, self.key)

    def gateway(self, form: str, minimum: str, ttl: int = 0) -> Gateway:
        authorizer = self.authorizers[minimum, "simple" if FORMS[form].simple else "iam"]
        return Gateway(form, authorizer, self.world.clock, ttl)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with stack_in_memory() as world, serving_keys(world):
        world.add_user()
        tokens = world.login()
        authorizers = {
            (minimum, answers): world.cold("authorizer", MIN_ROLE=minimum, HTTP_API_RESPONSES=answers)
            for minimum in MINIMUMS
            for answers in ("simple", "iam")
        }
        access, key = tokens["access_token"], world.ring("SIGNING_KEYS_SECRET")["current"]
        yield Scene(world, authorizers, tokens["refresh_token"], header(access), claims(access), key)


Break = Callable[[Scene, str], str | None]


def changed(**members: Any) -> Break:
    """Give a token with other claims, truly signed."""
    return lambda scene, token: seal(header(token), {**claims(token), **members}, scene.key)


def headed(**members: Any) -> Break:
    """Give a token with another header, truly signed."""
    return lambda scene, token: seal({**header(token), **members}, claims(token), scene.key)


def altered(_scene: Scene, token: str) -> str:
    head, body, seal_ = token.split(".")
    return f"{head}.{body}.{'B' if seal_[0] == 'A' else 'A'}{seal_[1:]}"


DEFECTS: Mapping[str, Break] = {
    "missing": lambda _scene, _token: None,
    "empty": lambda _scene, _token: "",
    "no token": lambda _scene, _token: "a.b.c",
    "altered": altered,
    "unsigned": lambda _scene, token: f"{token.rpartition('.')[0]}.",
    "a refresh token": lambda scene, _token: scene.refresh_token,
    "expired": changed(exp=NOW),
    "from the future": changed(iat=NOW + 31),
    "of another issuer": changed(iss="https://auth.example.org"),
    "for another audience": changed(aud="reports"),
    "without a role": changed(role=None),
    "without a scope": changed(scope=None),
    "with a list for a role": changed(role=["admin"]),
    "of another type": headed(typ="JWT"),
    "of an unknown key": headed(kid="nobody's"),
    "of another algorithm": headed(alg="HS256"),
    "of no algorithm": headed(alg="none"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("minimum", MINIMUMS)
@pytest.mark.parametrize("role", ROLES)
def test_a_good_token_is_judged_by_its_role(scene: Scene, form: str, minimum: str, role: str) -> None:
    levels = DEFAULT.levels
    allowed = role in levels and levels[role] >= levels[minimum]
    assert scene.gateway(form, minimum).ask("GET/reports/7", scene.token(role)) == Verdict(
        200 if allowed else 403,
        {
            "username": "alice",
            "user_id": scene.body["uid"],
            "role": role,
            "scope": DEFAULT.scope(role) if role in levels else "",
            "session_id": scene.body["sid"],
            "detail": "" if allowed else f"{minimum} access required",
        },
    )


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_defect_is_refused_whatever_the_role(scene: Scene, form: str, defect: str) -> None:
    for role in ROLES:
        token = DEFECTS[defect](scene, scene.token(role))
        for minimum in MINIMUMS:
            verdict = scene.gateway(form, minimum).ask("GET/reports/7", token)
            if token is None or FORMS[form].word:
                assert verdict == Verdict(401, {}), role
            else:  # an HTTP API knows no word for 401 but its own
                assert verdict == Verdict(403, {"detail": "Unauthorized"}), role


STAGES = ("v1", "$default", "null", "test-invoke-stage", "a-b_c")
ROUTES = ("GET/", "GET/reports/7", "POST/a/b/c/d", "$connect", "GET/reports/a b", "ANY/*", "DELETE/x:y", "GET//")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_and_every_path_is_understood(scene: Scene, form: str, stage: str) -> None:
    authorizer = scene.authorizers["user", "simple" if FORMS[form].simple else "iam"]
    gateway = Gateway(form, authorizer, scene.world.clock, 0, stage)
    for route in ROUTES:
        assert gateway.ask(route, scene.token("user")).status == 200


@pytest.mark.parametrize("form", [form for form in FORMS if not FORMS[form].simple])
def test_a_policy_is_for_its_own_api_and_stage_alone(scene: Scene, form: str) -> None:
    answer = scene.authorizers["user", "iam"](asked(scene, form), None)
    [statement] = answer["policyDocument"]["Statement"]
    assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*"


def asked(scene: Scene, form: str, stage: str = "v1") -> dict[str, Any]:
    """Return the event that asks about an admin's request."""
    gateway = Gateway(form, scene.authorizers["user", "iam"], scene.world.clock, 0, stage)
    return gateway.event("GET/x", gateway.value(scene.token("admin")))


@pytest.mark.parametrize("form", FORMS)
def test_a_stage_that_stands_for_all_is_let_through_nowhere(scene: Scene, form: str) -> None:
    assert not allowed(scene, asked(scene, form, "*"))
    assert allowed(scene, asked(scene, form))


UNKNOWN = {
    "nothing": {},
    "no object": [],
    "a message of a WebSocket": {"requestContext": {"eventType": "MESSAGE", "routeKey": "send"}},
    "a request to a function": {"version": "2.0", "routeKey": "$default", "headers": {}},
    "another payload version": {"version": "3.0", "type": "REQUEST", "routeArn": "arn:x", "headers": {}},
    "a version that is a number": {"version": 2.0, "type": "REQUEST", "routeArn": "arn:x", "headers": {}},
    "another type": {"type": "COGNITO", "methodArn": "arn:x", "headers": {}},
    "a type in lower case": {"type": "token", "methodArn": "arn:x", "authorizationToken": "Bearer a.b.c"},
}


@pytest.mark.parametrize("event", UNKNOWN.values(), ids=UNKNOWN)
def test_an_event_of_no_known_kind_is_denied_whatever_token_it_holds(scene: Scene, event: Any) -> None:
    if isinstance(event, dict):
        good = f"Bearer {scene.token('admin')}"
        event = {**event, "headers": {"authorization": good}, "authorizationToken": good}
    with pytest.raises(Unauthorized):
        scene.authorizers["user", "simple"](event, None)


ODD: Mapping[str, dict[str, Any]] = {
    "headers that are a list": {"headers": ["Authorization"]},
    "headers that are a text": {"headers": "Authorization: Bearer a.b.c"},
    "a header that is a list": {"headers": {"authorization": ["Bearer a.b.c"]}},
    "a header that is null": {"headers": {"authorization": None}},
    "many values in no list": {"multiValueHeaders": {"authorization": {"0": "Bearer a.b.c"}}},
    "no value in the list": {"multiValueHeaders": {"authorization": []}},
    "a list in the list": {"multiValueHeaders": {"authorization": [["Bearer a.b.c"]]}},
    "headers that are null": {"headers": None, "multiValueHeaders": None},
}


@pytest.mark.parametrize("places", ODD.values(), ids=ODD)
@pytest.mark.parametrize("form", ["REST REQUEST", "HTTP 1.0", "HTTP 2.0 IAM", "WebSocket"])
def test_headers_of_an_odd_shape_are_refused_and_break_nothing(scene: Scene, form: str, places: dict[str, Any]) -> None:
    event = {**scene.gateway(form, "user").event("GET/x", ""), "headers": {}, "multiValueHeaders": {}, **places}
    assert not allowed(scene, event)


@pytest.mark.parametrize("form", ["REST REQUEST", "HTTP 1.0", "HTTP 2.0 IAM", "WebSocket"])
def test_one_value_in_both_places_is_one_and_two_different_are_none(scene: Scene, form: str) -> None:
    gateway = scene.gateway(form, "user")
    good, other = (f"Bearer {scene.token(role)}" for role in ("user", "admin"))
    event = {**gateway.event("GET/x", good), "headers": None, "multiValueHeaders": {"AUTHORIZATION": [good]}}
    assert allowed(scene, event)
    assert allowed(scene, {**event, "headers": {"authorization": good}})
    assert not allowed(scene, {**event, "headers": {"authorization": other}})


# --- WebSocket: a page can set no header


def socket(scene: Scene, **members: Any) -> dict[str, Any]:
    event = scene.gateway("WebSocket", "user").event("$connect", "")
    return {**event, "headers": {}, "multiValueHeaders": {}, **members}


@pytest.mark.parametrize("separator", [", ", ",", " , "])
@pytest.mark.parametrize("scheme", ["bearer", "Bearer"])
def test_a_subprotocol_may_bring_the_token(scene: Scene, scheme: str, separator: str) -> None:
    value = f"{scheme}{separator}{scene.token('user')}"
    for place in (
        {"headers": {"sec-websocket-protocol": value}},
        {"multiValueHeaders": {"Sec-WebSocket-Protocol": [value]}},
    ):
        assert allowed(scene, socket(scene, **place))


def allowed(scene: Scene, event: Mapping[str, Any], **settings: str) -> bool:
    authorizer = (
        scene.world.cold("authorizer", MIN_ROLE="user", **settings) if settings else scene.authorizers["user", "iam"]
    )
    try:
        answer = authorizer(event, None)
    except Unauthorized:
        return False
    return bool(answer["policyDocument"]["Statement"][0]["Effect"] == "Allow")


SUBPROTOCOLS = {
    "the token alone": "{0}",
    "the scheme alone": "bearer",
    "a scheme and nothing": "bearer, ",
    "no comma": "bearer {0}",
    "the token first": "{0}, bearer",
    "two tokens": "bearer, {0}, {1}",
    "one more protocol": "bearer, {0}, graphql-ws",
    "another scheme": "basic, {0}",
}


@pytest.mark.parametrize("value", SUBPROTOCOLS.values(), ids=SUBPROTOCOLS)
def test_any_other_subprotocols_bring_none(scene: Scene, value: str) -> None:
    said = value.format(scene.token("user"), scene.token("admin"))
    assert not allowed(scene, socket(scene, headers={"Sec-WebSocket-Protocol": said}))


def test_subprotocols_of_the_apis_own_stand_beside_a_header(scene: Scene) -> None:
    headers = {"Sec-WebSocket-Protocol": "graphql-ws", "Authorization": f"Bearer {scene.token('user')}"}
    assert allowed(scene, socket(scene, headers=headers))


def test_a_header_and_a_subprotocol_must_bring_the_same_token(scene: Scene) -> None:
    token, other = scene.token("user"), scene.token("admin")
    for second, expected in ((token, True), (other, False)):
        headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": f"bearer, {second}"}
        assert allowed(scene, socket(scene, headers=headers)) is expected


def test_a_query_brings_a_token_only_where_it_may(scene: Scene) -> None:
    query = {"access_token": scene.token("user")}
    several_of = {name: [value] for name, value in query.items()}
    event = socket(scene, queryStringParameters=query, multiValueQueryStringParameters=several_of)
    assert not allowed(scene, event)
    assert allowed(scene, event, WEBSOCKET_QUERY_TOKEN="true")
    twice = {"access_token": [query["access_token"], scene.token("admin")]}
    assert not allowed(scene, {**event, "multiValueQueryStringParameters": twice}, WEBSOCKET_QUERY_TOKEN="true")
    rest = scene.gateway("REST REQUEST", "user").event("GET/x", "")
    rest |= {"headers": {}, "multiValueHeaders": {}, "queryStringParameters": query}
    assert not allowed(scene, rest, WEBSOCKET_QUERY_TOKEN="true")


# --- the hierarchy is configuration


@pytest.mark.parametrize("minimum", ["viewer", "editor", "owner"])
def test_the_roles_of_ones_own_hold_at_the_gateway(scene: Scene, minimum: str) -> None:
    levels = {"viewer": 10, "editor": 20, "owner": 30}
    authorizer = scene.world.cold("authorizer", MIN_ROLE=minimum, ROLES="owner=30,viewer=10,editor=20")
    gateway = Gateway("REST REQUEST", authorizer, scene.world.clock, 0)
    for role, level in levels.items():
        token = seal(scene.head, {**scene.body, "role": role, "scope": role}, scene.key)
        verdict = gateway.ask("GET/x", token)
        assert verdict.status == (200 if level >= levels[minimum] else 403)
        assert verdict.context["detail"] == ("" if verdict.status == 200 else f"{minimum} access required")
    for role in MINIMUMS:  # which this hierarchy does not know
        assert gateway.ask("GET/x", scene.token(role)).status == 403
