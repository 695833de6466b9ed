"""API Gateway remembers an authorizer's answer and uses it for every route: no order of calls may make that wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rolegate.roles import DEFAULT

from tests.conftest import Handler, World, claims, header, seal, serving_keys, stack_in_memory
from tests.functions.gateway import FORMS, Gateway, Verdict

LIFETIME = 900
ROUTES = {  # what each route asks for: its own authorizer, named beside it
    "GET/reports": "user",
    "GET/reports/7": "user",
    "POST/reports": "manager",
    "GET/drafts/7": "manager",
    "DELETE/reports/7": "admin",
    "$connect": "admin",
}


class Api:
    """A stage of an API with routes for three roles, each behind the authorizer of its role."""

    def __init__(self, form: str, authorizers: Mapping[str, Handler], world: World, ttl: int) -> None:
        self.ttl = ttl if FORMS[form].caches else 0
        self.gateways = {role: Gateway(form, asked, world.clock, ttl) for role, asked in authorizers.items()}

    def ask(self, route: str, token: str | None) -> Verdict:
        return self.gateways[ROUTES[route]].ask(route, token)


class Scene(NamedTuple):
    """A stack with an authorizer a role, of both forms, and a token of each role."""

    world: World
    authorizers: Mapping[str, Mapping[str, Handler]]
    tokens: Mapping[str, str]

    def api(self, form: str, ttl: int) -> Api:
        return Api(form, self.authorizers["simple" if FORMS[form].simple else "iam"], self.world, ttl)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with stack_in_memory() as world, serving_keys(world):
        world.add_user()
        access, key = world.login()["access_token"], world.ring("SIGNING_KEYS_SECRET")["current"]
        authorizers = {
            answers: {
                role: world.cold("authorizer", MIN_ROLE=role, HTTP_API_RESPONSES=answers) for role in DEFAULT.levels
            }
            for answers in ("simple", "iam")
        }
        tokens = {
            role: seal(header(access), {**claims(access), "role": role, "scope": DEFAULT.scope(role)}, key)
            for role in DEFAULT.levels
        }
        yield Scene(world, authorizers, tokens)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(ROUTES)),
        st.sampled_from(["user", "manager", "admin", "nobody", "nonsense"]),
        st.sampled_from([0, 0, 0, 1, 30, 59, 60, 300]),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ttl", [0, 60, 300])
def test_no_order_of_calls_lets_a_low_role_through_or_shuts_a_high_one_out(scene: Scene, form: str, ttl: int) -> None:
    began = scene.world.clock.now

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STEPS)
    def whatever_the_order(steps: list[tuple[str, str, int]]) -> None:
        scene.world.clock.now = began
        api = scene.api(form, ttl)
        for route, who, pause in steps:
            scene.world.clock.tick(pause)
            told = api.ask(route, scene.tokens.get(who, "a.b.c" if who == "nonsense" else None))
            _judge(told, api, route, who, scene.world.clock.now - began)

    try:
        whatever_the_order()
    finally:
        scene.world.clock.now = began


def _judge(told: Verdict, api: Api, route: str, who: str, age: int) -> None:
    """Hold an answer to what the role of whoever asks is worth, at an age of the token in seconds."""
    levels: Mapping[str, Any] = DEFAULT.levels
    if who not in levels:
        assert told.status in (401, 403)
        assert "username" not in told.context
    elif age < LIFETIME:
        assert told.status == (200 if levels[who] >= levels[ROUTES[route]] else 403)
        assert told.context["detail"] == ("" if told.status == 200 else f"{ROUTES[route]} access required")
        assert told.context["role"] == who
    elif age >= LIFETIME + api.ttl:
        assert told.status in (401, 403)
    else:  # the gateway may remember the last answer that it got in time
        assert told.status != 200 or levels[who] >= levels[ROUTES[route]]


@pytest.mark.parametrize("form", [form for form in FORMS if FORMS[form].caches])
def test_the_gateway_asks_once_for_all_routes_of_a_role(scene: Scene, form: str) -> None:
    """What is played here does remember: else the test above would show nothing."""
    api = scene.api(form, 60)
    for route in ("GET/reports", "GET/reports/7", "GET/reports"):
        assert api.ask(route, scene.tokens["manager"]).status == 200
    assert api.gateways["user"].asked == 1
    for _ in range(3):
        assert api.ask("DELETE/reports/7", scene.tokens["manager"]).status == 403
    assert api.gateways["admin"].asked == 1


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("HTTP")])
def test_nobody_is_let_in_by_an_answer_that_is_not_remembered_by_the_token(scene: Scene, form: str) -> None:
    answers = "simple" if FORMS[form].simple else "iam"
    source = ["tenant-7"] if FORMS[form].sample == "http_2" else "tenant-7"
    gateway = Gateway(form, scene.authorizers[answers]["user"], scene.world.clock, 60, source=source)
    assert gateway.ask("GET/reports", scene.tokens["admin"]).status == 403


def test_two_apis_of_one_account_share_no_answer(scene: Scene) -> None:
    """A policy of one stage says nothing of another, even if a gateway mixed them up."""
    first = Gateway("REST REQUEST", scene.authorizers["iam"]["user"], scene.world.clock, 60, "v1")
    second = Gateway("REST REQUEST", scene.authorizers["iam"]["user"], scene.world.clock, 60, "v2")
    assert first.ask("GET/reports", scene.tokens["user"]).status == 200
    second._remembered.update(first._remembered)  # noqa: SLF001 - what must never happen
    assert second.ask("GET/reports", scene.tokens["user"]).status == 403
