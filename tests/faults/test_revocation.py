"""How long an access token outlives what ended its session, behind every kind of gateway, by a clock of ours."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from rolegate.errors import Misconfigured, Unauthorized, Unavailable
from rolegate.model import Because

from tests.conftest import OUT_OF_REACH, PASSWORD, Fault, Logs, World, claims, serving_keys, session_key
from tests.faults.conftest import ENDS, ending
from tests.functions.gateway import FORMS, Gateway

NUMBERS = count()
LIFETIME, N = 900, 60  # seconds: of an access token, and RevocationCheckSeconds
End = Callable[[World, str, str, str], None]  # of a user's session, given its name, a spent refresh token and the live


def lower_the_role(world: World, name: str, _spent: str, _live: str) -> None:
    world.change_user(name, role="user")


def forget_the_role(world: World, name: str, _spent: str, _live: str) -> None:
    world.change_user(name, role="owner")


def let_the_session_vanish(world: World, _name: str, _spent: str, live: str) -> None:
    world.forget_session(live)


def by(because: Because) -> End:
    def end(world: World, _name: str, spent: str, live: str) -> None:
        ending(world, because, spent, live)()

    return end


EVENTS: dict[str, End] = {
    **{because.value: by(because) for because in ENDS},
    "the session's item is gone": let_the_session_vanish,
    "the role was lowered": lower_the_role,
    "the role is of no hierarchy": forget_the_role,
}


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    with serving_keys(shared_world):
        yield shared_world


@pytest.fixture
def manager(world: World) -> tuple[str, str, str, str]:
    """Return a manager's name, access token, spent and live refresh token."""
    name = f"m{next(NUMBERS)}"
    world.add_user(name, role="manager")
    spent = world.login(name)["refresh_token"]
    live = world.rotate(spent)
    world.clock.tick(LIFETIME)
    renewed = world.refresh(live).body
    world.clock.tick(3)  # so that the token is older than what is read, whatever the clocks say
    return name, renewed["access_token"], spent, renewed["refresh_token"]


def authorizer(world: World, mode: str, form: str = "REST REQUEST", minimum: str = "manager") -> Callable[..., object]:
    answers = "simple" if FORMS[form].simple else "iam"
    return world.cold("authorizer", REVOCATION_CHECK=mode, HTTP_API_RESPONSES=answers, MIN_ROLE=minimum)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(("mode", "ttl"), [("cached", 60), ("cached", 0), ("strict", 0), ("strict", 60)])
def test_an_end_is_felt_within_the_gateways_memory_and_the_checks(
    world: World, manager: tuple[str, str, str, str], mode: str, ttl: int, event: str
) -> None:
    name, token, spent, live = manager
    asked = authorizer(world, mode)
    first, last = (Gateway("REST REQUEST", asked, world.clock, ttl) for _ in range(2))
    assert first.ask("GET/x", token).status == 200
    EVENTS[event](world, name, spent, live)
    believed = N if mode == "cached" else 0
    if believed:  # another API asks in the last second in which the environment believes what it read
        world.clock.tick(believed - 1)
        assert last.ask("GET/x", token).status == 200
        if ttl:
            world.clock.tick(ttl - 1)
            assert last.ask("GET/x", token).status == 200
        world.clock.tick(1)
    elif ttl:
        world.clock.tick(ttl - 1)
        assert first.ask("GET/x", token).status == 200
        world.clock.tick(1)
    for gateway in (first, last):
        verdict = gateway.ask("GET/x", token)
        if "role" in event:
            assert (verdict.status, verdict.context["detail"]) == (403, "manager access required")
            assert "manager" not in verdict.context["scope"].split()
        else:
            assert verdict == (401, {})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["cached", "strict"])
def test_every_form_learns_of_a_log_out(world: World, manager: tuple[str, str, str, str], form: str, mode: str) -> None:
    _, token, _, live = manager
    gateway = Gateway(form, authorizer(world, mode, form), world.clock, 0)
    assert gateway.ask("GET/x", token).status == 200
    assert world.logout(live).status == 200
    world.clock.tick(N if mode == "cached" else 0)
    assert gateway.ask("GET/x", token).status == (401 if FORMS[form].word else 403)


def test_without_a_check_a_token_lives_to_its_end_and_the_gateways_memory(
    world: World, manager: tuple[str, str, str, str]
) -> None:
    name, token, spent, live = manager
    gateway = Gateway("REST REQUEST", authorizer(world, "off"), world.clock, 60)
    EVENTS["deleted"](world, name, spent, live)
    world.clock.now = claims(token)["exp"] - 1
    assert gateway.ask("GET/x", token).status == 200
    world.clock.tick(59)
    assert gateway.ask("GET/x", token).status == 200
    world.clock.tick(1)
    assert gateway.ask("GET/x", token).status == 401


@pytest.mark.parametrize("mode", ["off", "cached", "strict"])
def test_the_store_is_asked_as_often_as_the_mode_says(
    world: World, manager: tuple[str, str, str, str], mode: str
) -> None:
    _, token, _, _ = manager
    gateway = Gateway("REST REQUEST", authorizer(world, mode), world.clock, 0)
    world.wire.calls.clear()
    for _ in range(N + 1):
        assert gateway.ask("GET/x", token).status == 200
        world.clock.tick(1)
    expected = {"off": 0, "cached": 2, "strict": N + 1}[mode]
    assert [call for call in world.wire.calls if call != "GetParameter"] == ["BatchGetItem"] * expected


def test_an_environment_that_starts_later_believes_nothing_of_before(
    world: World, manager: tuple[str, str, str, str]
) -> None:
    _, token, _, live = manager
    world.logout(live)
    assert Gateway("REST REQUEST", authorizer(world, "cached"), world.clock, 60).ask("GET/x", token).status == 401


def test_one_session_of_a_user_ends_and_the_others_go_on(world: World, manager: tuple[str, str, str, str]) -> None:
    name, token, _, live = manager
    other = world.login(name)["access_token"]
    gateway = Gateway("REST REQUEST", authorizer(world, "strict"), world.clock, 0)
    world.logout(live)
    assert [gateway.ask("GET/x", one).status for one in (token, other)] == [401, 200]


@pytest.mark.parametrize("mode", ["off", "cached", "strict"])
def test_a_raised_role_waits_for_the_next_refresh_and_no_longer(
    world: World, manager: tuple[str, str, str, str], mode: str
) -> None:
    name, token, _, live = manager
    gateway = Gateway("REST REQUEST", authorizer(world, mode, minimum="admin"), world.clock, 0)
    assert gateway.ask("GET/x", token).status == 403
    world.change_user(name, role="admin")
    assert gateway.ask("GET/x", token).status == 403
    assert gateway.ask("GET/x", world.refresh(live).body["access_token"]).status == 200


def test_a_session_past_its_absolute_end_is_over_though_its_item_is_still_there(
    world: World, manager: tuple[str, str, str, str]
) -> None:
    _, token, _, live = manager
    gateway = Gateway("REST REQUEST", authorizer(world, "strict"), world.clock, 0)
    world.change_session(live, session_expires_at=world.clock.now + 1)
    assert gateway.ask("GET/x", token).status == 200
    world.clock.tick(1)
    assert gateway.ask("GET/x", token).status == 401


# --- a store in trouble


@pytest.mark.parametrize("mode", ["cached", "strict"])
@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("form", ["REST REQUEST", "HTTP 2.0 simple"])
def test_a_store_out_of_reach_lets_nobody_in_and_is_remembered_by_nobody(
    world: World, manager: tuple[str, str, str, str], logs: Logs, form: str, fault: Fault, mode: str
) -> None:
    _, token, _, _ = manager
    gateway = Gateway(form, authorizer(world, mode, form), world.clock, 60)
    world.wire.order("BatchGetItem", fault, fault)
    assert gateway.ask("GET/x", token).status == 500  # which Rolegate's own gateway responses make a 503
    assert logs.metrics() == ["AuthorizerUnavailable"]
    assert gateway.ask("GET/x", token).status == 200
    assert token not in logs.text
    assert PASSWORD not in logs.text


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.ANSWER_LOST])
def test_one_lost_or_failed_read_is_tried_again(world: World, manager: tuple[str, str, str, str], fault: Fault) -> None:
    _, token, _, _ = manager
    gateway = Gateway("REST REQUEST", authorizer(world, "strict"), world.clock, 0)
    world.wire.order("BatchGetItem", fault)
    assert gateway.ask("GET/x", token).status == 200


def test_a_cached_check_does_not_stretch_what_it_believes_when_the_store_fails(
    world: World, manager: tuple[str, str, str, str]
) -> None:
    _, token, _, _ = manager
    asked = authorizer(world, "cached")
    gateway = Gateway("REST REQUEST", asked, world.clock, 0)
    assert gateway.ask("GET/x", token).status == 200
    world.clock.tick(N)
    world.wire.order("BatchGetItem", Fault.THROTTLED, Fault.THROTTLED)
    with pytest.raises(Unavailable):
        asked(gateway.event("GET/x", f"Bearer {token}"), None)


def test_a_permission_that_is_missing_is_an_operators_business_and_no_denial(
    world: World, manager: tuple[str, str, str, str], logs: Logs
) -> None:
    _, token, _, _ = manager
    asked = authorizer(world, "strict")
    gateway = Gateway("REST REQUEST", asked, world.clock, 0)
    world.wire.order("BatchGetItem", Fault.REFUSED)
    with pytest.raises(Misconfigured):
        asked(gateway.event("GET/x", f"Bearer {token}"), None)
    assert logs.metrics() == ["AuthorizerUnavailable"]
    [failure] = logs.events("failure")
    assert failure["reason"] == "AWS refused BatchGetItem: AccessDeniedException."


def test_a_bad_token_costs_the_store_nothing(world: World, manager: tuple[str, str, str, str]) -> None:
    _, token, _, live = manager
    asked = authorizer(world, "strict")
    gateway = Gateway("REST REQUEST", asked, world.clock, 0)
    world.wire.calls.clear()
    for bad in (f"{token}x", live, "a.b.c"):
        with pytest.raises(Unauthorized):
            asked(gateway.event("GET/x", f"Bearer {bad}"), None)
    assert "BatchGetItem" not in world.wire.calls
    assert session_key(live)["session_id"] == claims(token)["sid"]
