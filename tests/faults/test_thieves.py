"""A thief who holds a copy of a refresh token: how far each gets, and that nobody else pays for it."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rolegate.model import Caller

from tests.conftest import LAPTOP, PHONE, Fault, Logs, World, claims

DAY = 86_400
REUSED = (401, "refresh_token_reused", "Refresh token revoked")
REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def signed_in(world: World) -> str:
    """Return the refresh token of a new user who signed in by phone."""
    world.add_user(name := f"user-{world.clock.now}")
    token: str = world.login(name)["refresh_token"]
    return token


@given(st.data())
@settings(max_examples=12, phases=[Phase.generate])
def test_a_token_two_generations_old_ends_the_family_at_any_time_and_nothing_else(
    shared_stack: World, data: st.DataObject
) -> None:
    world = shared_stack
    world.clock.tick(1)
    world.add_user(name := f"user-{world.clock.now}")
    other = world.login(name, LAPTOP)["refresh_token"]
    tokens = [world.login(name)["refresh_token"]]
    for _ in range(data.draw(st.integers(2, 7), "rotations")):
        tokens.append(world.rotate(tokens[-1]))
    stolen = data.draw(st.sampled_from(tokens[:-2]), "stolen")
    world.clock.tick(data.draw(st.sampled_from([0, 1, 31, 32, 33, 900, DAY, 5 * DAY]), "after"))
    thief = data.draw(st.sampled_from([PHONE, LAPTOP]), "thief")
    assert world.refresh(stolen, thief).problem == REUSED
    assert world.session(stolen)["revoked_because"] == "refresh_token_reused"
    for token in tokens:
        assert world.refresh(token).problem == REVOKED
    assert world.refresh(other, LAPTOP).status == 200


def test_the_end_of_a_family_is_told_to_those_who_watch(world: World, logs: Logs) -> None:
    first = signed_in(world)
    world.rotate(world.rotate(first))
    world.refresh(first, LAPTOP)
    (event,) = logs.events("refresh_token_reused")
    said = claims(first)
    assert (event["username"], event["generation"], event["session_id"]) == (said["sub"], 0, said["sid"])
    assert (event["source_ip"], event["user_agent"]) == LAPTOP
    assert [event["because"] for event in logs.events("session_ended")] == ["refresh_token_reused"]
    assert logs.metrics() == ["RefreshTokenReused"]


def test_a_theft_is_told_though_nobody_heard_of_the_end_that_was_written(world: World, logs: Logs) -> None:
    first = signed_in(world)
    live = world.rotate(world.rotate(first))
    world.wire.order("UpdateItem", None, Fault.ANSWER_LOST, Fault.ANSWER_LOST)
    assert world.refresh(first).status == 503
    assert world.refresh(live).problem == REVOKED
    assert logs.metrics() == ["RefreshTokenReused"]


def test_a_reuse_that_another_end_overtakes_is_told_of_that_end(world: World, logs: Logs) -> None:
    first = signed_in(world)
    live = world.rotate(world.rotate(first))
    world.wire.order("UpdateItem", None, lambda: world.logout(live))
    assert world.refresh(first).problem == REVOKED
    assert [event["because"] for event in logs.events("session_ended")] == ["logout"]
    assert logs.metrics() == ["RefreshTokenReused"]


@pytest.mark.parametrize("turns", ["ot", "to", "oot", "tto", "ottt"])
@pytest.mark.parametrize("apart", [60, 900, DAY + 3600, 14 * DAY])
def test_owner_and_thief_who_take_turns_are_parted_at_the_second_late_retry(
    world: World, turns: str, apart: int, logs: Logs
) -> None:
    """Whoever comes first, minutes, days or weeks apart; both look alike to us: the same network and agent."""
    world.configure(REFRESH_TOKEN_DAYS="90", SESSION_DAYS="365")
    token = signed_in(world)
    holds = {"o": token, "t": token}
    for turn in range(100):
        who = turns[turn % len(turns)]
        world.clock.tick(apart)
        answer = world.refresh(holds[who])
        if answer.status != 200:
            break
        holds[who] = answer.body["refresh_token"]
    assert answer.problem == REUSED
    assert turn < 2 * len(turns) + 2
    assert len(logs.events("refresh_retried_late")) <= 1


@pytest.mark.parametrize("caller", [LAPTOP, Caller("198.51.100.9", "curl/8.14.1")])
def test_a_late_retry_from_another_network_and_another_agent_is_not_forgiven(world: World, caller: Caller) -> None:
    first = signed_in(world)
    second = world.rotate(first)
    world.clock.tick(900)
    assert world.refresh(first, caller).problem == REUSED
    assert world.refresh(second).problem == REVOKED


def test_a_thief_within_the_grace_gets_no_branch_of_their_own(world: World, logs: Logs) -> None:
    first = signed_in(world)
    second = world.rotate(first)
    assert world.refresh(first, LAPTOP).body["refresh_token"] == second
    assert logs.metrics() == ["RefreshRepeatedElsewhere"]
    world.clock.tick(900)
    thief = world.refresh(second, LAPTOP).body["refresh_token"]
    world.clock.tick(900)
    assert world.refresh(second).problem == REUSED
    assert world.refresh(thief, LAPTOP).problem == REVOKED
