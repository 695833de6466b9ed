"""Clocks that differ or step, TTL that lags, tables that were restored, keys that rotate: no honest failure."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rolegate import keyring, users

from tests.conftest import PHONE, Answer, World, claims, client, header, rest_event
from tests.faults.conftest import ENDS, ending

DAY = 86_400
REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")
EXPIRED = (401, "refresh_token_expired", "Refresh token expired")


@pytest.fixture
def first(world: World) -> str:
    world.add_user()
    token: str = world.login()["refresh_token"]
    return token


def instance(world: World, ahead: int = 0, **settings: str) -> Callable[[str], Answer]:
    """Return a refresh function of its own, with a clock that runs `ahead` of the world's."""
    handler = world.cold("refresh", **settings)

    def refresh(token: str) -> Answer:
        world.clock.tick(ahead)
        try:
            answer = handler(rest_event("/refresh", json.dumps({"refresh_token": token}), caller=PHONE), None)
        finally:
            world.clock.tick(-ahead)
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    return refresh


# TTL


def test_an_item_that_ttl_has_not_deleted_yet_is_expired_all_the_same(world: World, first: str) -> None:
    world.configure(REFRESH_TOKEN_DAYS="90", SESSION_DAYS="30")
    token = world.rotate(first)
    world.clock.tick(30 * DAY - 900)
    assert world.refresh(token).problem == EXPIRED
    world.change_session(token, token_expires_at=world.clock.now + DAY)
    before = world.stored()
    assert world.refresh(token).problem == EXPIRED
    assert world.stored() == before


def test_an_item_that_was_deleted_early_is_revoked_and_comes_back_by_no_call(world: World, first: str) -> None:
    token = world.rotate(first)
    world.forget_session(token)
    for old in (first, token):
        assert world.refresh(old).problem == REVOKED
        assert world.logout(old).status == 200
    assert world.stored()["sessions"] == []


# Clocks


@pytest.mark.parametrize("because", ENDS)
def test_no_session_comes_back_when_the_clock_steps_back(world: World, first: str, because: Any) -> None:
    live = world.rotate(world.rotate(first))
    world.clock.tick(900)
    ending(world, because, first, live)()
    for step in (-600, 1200):
        world.clock.tick(step)
        assert world.refresh(live).problem == REVOKED
    assert world.refresh(first).problem == REVOKED


def test_nobody_is_signed_out_because_the_clock_stepped_back(world: World, first: str) -> None:
    live = world.rotate(first)
    before = world.stored()
    world.clock.tick(-600)
    answer = world.refresh(live)
    assert (answer.problem[:2], answer.headers["Retry-After"]) == ((503, "unavailable"), "30")
    assert world.stored() == before
    world.clock.tick(569)
    assert world.refresh(live).status == 503
    world.clock.tick(1)
    assert world.refresh(live).body["refresh_token"] == live
    world.clock.tick(900)
    assert claims(world.rotate(live))["gen"] == 2


def test_a_logout_needs_no_clock(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(-600)
    assert world.logout(live).status == 200
    world.clock.tick(600)
    assert world.refresh(live).problem == REVOKED


@pytest.mark.parametrize(("ours", "theirs"), [(0, 1), (1, 0), (0, -1), (-1, 0)])
@pytest.mark.parametrize("grace", [1, 2, 30, 60])
def test_two_instances_a_second_apart_sign_nobody_out(world: World, ours: int, theirs: int, grace: int) -> None:
    world.configure(REFRESH_GRACE_SECONDS=str(grace), ROTATIONS_PER_LATE_RETRY="0")
    world.add_user()
    here, there = instance(world, ours), instance(world, theirs)
    live = world.login()["refresh_token"]
    for after in sorted({0, 1, grace - 1, grace, grace + 1, grace + 2}):
        world.clock.tick(900)
        rotated = here(live).body["refresh_token"]
        world.clock.tick(after)
        retried = there(live if after <= grace else rotated)  # a lost answer within the grace, or the next refresh
        assert retried.status == 200
        live = here(retried.body["refresh_token"]).body["refresh_token"]
        assert there(live).body["refresh_token"] == live


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_answer_to_the_last_second_may_be_asked_for_again(world: World, first: str, ahead: int) -> None:
    world.clock.tick(7 * DAY - 1)
    answer = world.refresh(first)
    world.clock.tick(30)
    assert instance(world, ahead)(first).body["refresh_token"] == answer.body["refresh_token"]


def test_a_live_token_past_its_end_is_never_answered(world: World, first: str) -> None:
    live = world.rotate(first)
    world.change_session(live, token_expires_at=world.clock.now + 20)  # as one that was shortened by its session's end
    world.clock.tick(20)
    assert world.refresh(first).problem == EXPIRED
    assert world.refresh(live).problem == EXPIRED


# Keys


def test_keys_that_rotate_between_two_refreshes_sign_nobody_out(world: World, first: str) -> None:
    old_ring, other_old_ring = instance(world), instance(world)
    world.clock.tick(900)
    old_ring(world.login()["refresh_token"])
    other_old_ring(world.login()["refresh_token"])
    world.handler("rotate_keys")({"action": "rotate"}, None)
    new_ring = instance(world)
    second = new_ring(first).body["refresh_token"]
    assert header(second)["kid"] != header(first)["kid"]
    assert old_ring(first).body["refresh_token"] == second  # of the key that its ring calls the next
    world.clock.tick(33)
    third = other_old_ring(second)
    assert third.status == 200
    assert new_ring(third.body["refresh_token"]).body["refresh_token"] == third.body["refresh_token"]
    world.clock.tick(300)
    assert claims(old_ring(third.body["refresh_token"]).body["refresh_token"])["gen"] == 3


def test_what_an_old_ring_let_pass_must_pass_the_new_one_too(world: World, first: str) -> None:
    """An answer that needs a key which the old ring lacks: the new ring may say that everybody is signed out."""
    old_ring = instance(world)
    assert old_ring(world.login()["refresh_token"]).status == 200
    ring = world.ring("REFRESH_KEYS_SECRET")
    fresh = keyring.generate("HS256", world.clock.now)._asdict()
    newer = {**ring, "current": fresh, "retired": [{**ring["current"], "retired_at": world.clock.now}]}
    world.change_ring("REFRESH_KEYS_SECRET", newer)
    second = instance(world)(first).body["refresh_token"]
    assert header(second)["kid"] == fresh["kid"]
    assert instance(world)(first).body["refresh_token"] == second
    world.change_ring("REFRESH_KEYS_SECRET", {**newer, "sessions_not_before": world.clock.now + 1})
    assert old_ring(first).problem == REVOKED


# A restored table


def test_a_table_that_was_restored_raises_no_false_alarm(world: World, first: str) -> None:
    backup = world.stored()["sessions"]
    live = world.rotate(world.rotate(first))
    restore(world, "sessions", backup)
    assert world.refresh(live).problem[1] == "unavailable"
    world.clock.tick(60)
    assert world.refresh(live).problem == REVOKED
    assert world.session(live)["revoked_because"] == "state_lost"


def test_two_tabs_of_which_one_is_ahead_of_a_restored_table_raise_no_false_alarm(world: World, first: str) -> None:
    second = world.rotate(first)
    backup = world.stored()["sessions"]
    ahead = world.rotate(second)
    restore(world, "sessions", backup)
    behind = world.rotate(second)  # the other tab: of the same generation, and another token
    assert claims(ahead)["gen"] == claims(behind)["gen"]
    assert world.refresh(ahead).problem == REVOKED
    assert world.session(ahead)["revoked_because"] == "state_lost"


@pytest.mark.parametrize("because", ENDS)
def test_nothing_that_was_ended_comes_back_with_a_restored_table(world: World, first: str, because: Any) -> None:
    live = world.rotate(world.rotate(first))
    backup = world.stored()
    world.clock.tick(900)
    ending(world, because, first, live)()
    old_ring = instance(world)
    old_ring(first)  # has its ring in memory from now on, for five minutes
    for table in ("users", "sessions"):
        restore(world, table, backup[table])
    world.clock.tick(60)
    world.handler("rotate_keys")({"action": "sign-out-everyone"}, None)
    assert instance(world)(live).problem == REVOKED
    laundered = old_ring(live)
    if laundered.status == 200:  # the old ring did not know; what it gave is as old as the sign-in
        assert instance(world)(laundered.body["refresh_token"]).problem == REVOKED
    world.clock.tick(300)
    for token in (live, laundered.body.get("refresh_token", live)):
        assert old_ring(token).problem == REVOKED
    assert world.refresh(world.login()["refresh_token"]).status == 200


def test_an_epoch_that_was_replaced_never_comes_again(world: World, first: str) -> None:
    """A counter would: restored to what it was and raised again, it would be the one of sessions that had ended."""
    backup = world.stored()["users"]
    ending(world, ENDS[-1], first, first)()
    second = world.login()["refresh_token"]
    restore(world, "users", backup)
    ending(world, ENDS[-1], first, first)()
    for token in (first, second):
        assert world.refresh(token).problem == REVOKED
    assert len({users.epoch() for _ in range(1000)}) == 1000


def restore(world: World, table: str, backup: list[dict[str, Any]]) -> None:
    """Put items back as they were."""
    for item in backup:
        client("dynamodb").put_item(TableName=world.settings[f"{table.upper()}_TABLE"], Item=item)
