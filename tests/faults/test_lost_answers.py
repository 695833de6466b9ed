"""Answers that get lost and calls that arrive twice, on the way to the store and to the client.

On the way to the store over real connections: a proxy between the functions and the local AWS loses them.
"""

import json

import pytest
from rolegate import endings

from tests.conftest import PASSWORD, Death, Fault, Logs, World, claims, rest_event
from tests.faults.conftest import AUDIT, users_of
from tests.faults.proxy import Loss, Proxy

DAY = 86_400
LOST = [Loss.ANSWER_RESET, Loss.ANSWER_SILENCE, Loss.TWICE]
lost = pytest.mark.parametrize("loss", LOST)


@pytest.fixture
def first(far_world: World, proxy: Proxy) -> str:
    """The refresh token of a sign-in; the functions are warm."""
    far_world.add_user()
    token: str = far_world.login()["refresh_token"]
    token = far_world.rotate(token)
    far_world.logout(far_world.login()["refresh_token"])
    far_world.clock.tick(900)
    proxy.heal()
    return token


# On the way to the store


@lost
def test_a_rotation_whose_answer_the_store_lost_is_recognised_by_its_jti(
    far_world: World, proxy: Proxy, first: str, loss: Loss
) -> None:
    proxy.order("UpdateItem", loss)
    answer = far_world.refresh(first)
    assert answer.status == 200
    said, stored = claims(answer.body["refresh_token"]), far_world.session(first)
    assert (said["gen"], said["jti"]) == (stored["generation"], stored["token_id"])
    assert said["gen"] == claims(first)["gen"] + 1
    assert proxy.calls.count("UpdateItem") == (1 if loss is Loss.TWICE else 2)


def test_a_rotation_of_which_no_answer_came_is_a_lost_answer_to_the_client(
    far_world: World, proxy: Proxy, first: str
) -> None:
    proxy.order("UpdateItem", Loss.ANSWER_RESET, Loss.ANSWER_SILENCE)
    answer = far_world.refresh(first)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    again = far_world.refresh(first)
    assert again.status == 200
    assert claims(again.body["refresh_token"])["jti"] == far_world.session(first)["token_id"]
    assert far_world.session(first)["generation"] == claims(first)["gen"] + 1


@lost
def test_a_late_retry_whose_answer_the_store_lost_is_forgiven_once(
    far_world: World, proxy: Proxy, first: str, loss: Loss
) -> None:
    live = far_world.rotate(first)
    far_world.clock.tick(DAY)
    proxy.order("UpdateItem", Loss.KEPT, loss)  # the first is refused by its condition
    assert far_world.refresh(first).body["refresh_token"] == live
    stored = far_world.session(first)
    assert (stored["late_retry_generation"], stored["rotated_at"]) == (claims(live)["gen"], far_world.clock.now)


@lost
def test_a_sign_in_whose_answer_the_store_lost_begins_one_session(
    far_world: World, proxy: Proxy, first: str, loss: Loss
) -> None:
    before = len(far_world.stored()["sessions"])
    proxy.order("PutItem", loss)
    token = far_world.login()["refresh_token"]
    assert len(far_world.stored()["sessions"]) == before + 1
    far_world.clock.tick(900)
    assert far_world.refresh(token).status == far_world.refresh(first).status == 200


@lost
def test_an_end_whose_answer_the_store_lost_is_one_end(
    far_world: World, proxy: Proxy, first: str, loss: Loss, logs: Logs
) -> None:
    proxy.order("UpdateItem", loss)
    assert far_world.logout(first).status == 200
    assert far_world.refresh(first).problem[1] == "refresh_token_revoked"
    assert len(logs.events("session_ended")) == 1


@lost
def test_everybodys_end_whose_answer_the_store_lost_is_one_end(
    far_world: World, proxy: Proxy, first: str, loss: Loss, logs: Logs
) -> None:
    table = users_of(far_world)
    proxy.order("UpdateItem", loss)
    endings.sign_out_everywhere("alice", table, AUDIT, far_world.clock.now)
    assert far_world.refresh(first).problem[1] == "refresh_token_revoked"
    proxy.order("TransactWriteItems", loss)
    endings.delete("alice", table, AUDIT, far_world.clock.now)
    (grave,) = far_world.stored()["users"]
    assert set(grave) == {"username", "deleted_at", "schema_version"}
    assert [event["because"] for event in logs.events("sessions_ended")] == ["signed_out_everywhere", "deleted"]


def test_a_call_that_lands_again_late_changes_nothing(far_world: World, proxy: Proxy) -> None:
    """A copy of each write arrives once more, long after its answer and after the next write."""
    far_world.add_user()
    table = users_of(far_world)
    proxy.order("PutItem", Loss.KEPT)  # the sign-in
    first = far_world.login()["refresh_token"]
    proxy.order("UpdateItem", Loss.KEPT)  # the first rotation
    second = far_world.rotate(first)
    far_world.clock.tick(DAY)
    proxy.order("UpdateItem", Loss.KEPT, Loss.KEPT)  # a late retry: refused, then forgiven
    assert far_world.refresh(first).body["refresh_token"] == second
    third = far_world.rotate(second)
    before = far_world.stored()
    proxy.redeliver()
    assert far_world.stored() == before
    assert claims(far_world.rotate(third))["gen"] == 3

    proxy.order("UpdateItem", Loss.KEPT)
    endings.disable("alice", table, AUDIT, far_world.clock.now)
    endings.enable("alice", table, AUDIT, far_world.clock.now)
    proxy.order("UpdateItem", Loss.KEPT)
    far_world.logout(third)
    far_world.clock.tick(60)
    fresh = far_world.login()["refresh_token"]
    before = far_world.stored()
    proxy.redeliver()
    assert far_world.stored() == before
    assert far_world.refresh(fresh).status == 200


def test_a_registration_and_a_deletion_that_land_again_late_change_nothing(far_world: World, proxy: Proxy) -> None:
    proxy.order("TransactWriteItems", Loss.KEPT, Loss.KEPT)
    far_world.add_user()
    endings.delete("alice", users_of(far_world), AUDIT, far_world.clock.now)
    far_world.clock.tick(60)
    before = far_world.stored()
    proxy.redeliver()
    assert far_world.stored() == before
    assert far_world.post("register", {"username": "alice", "password": PASSWORD}).status == 409


# On the way to the client


@pytest.mark.parametrize("late", [5, DAY])
def test_an_answer_given_again_is_the_same_to_the_byte_whatever_changed_meanwhile(world: World, late: int) -> None:
    world.add_user()
    first = world.login()["refresh_token"]
    world.clock.tick(900)
    answer = world.refresh(first)
    rotate_keys = world.handler("rotate_keys")
    rotate_keys({"action": "rotate"}, None)
    world.configure(REFRESH_TOKEN_DAYS="3", SESSION_DAYS="9", ACCESS_TOKEN_MINUTES="5")
    world.clock.tick(late)
    before = world.session(first)
    again = world.refresh(first)
    assert again.body["refresh_token"] == answer.body["refresh_token"]
    assert again.body["refresh_expires_in"] == answer.body["refresh_expires_in"] - late
    assert claims(again.body["access_token"])["iat"] == world.clock.now
    assert again.body["expires_in"] == 300
    kept = set(before) - {"rotated_at", "late_retry_generation"}
    assert {name: world.session(first)[name] for name in kept} == {name: before[name] for name in kept}
    assert claims(world.rotate(again.body["refresh_token"]))["exp"] == world.clock.now + 3 * DAY


@pytest.mark.parametrize("fault", [Fault.DEATH, "before"])
def test_a_function_that_dies_around_its_write_is_a_lost_answer_or_nothing(world: World, fault: Fault | str) -> None:
    def die() -> None:
        raise Death

    world.add_user()
    first = world.login()["refresh_token"]
    world.clock.tick(900)
    before = world.session(first)
    world.wire.order("UpdateItem", fault if isinstance(fault, Fault) else die)
    with pytest.raises(Death):
        world.refresh(first)
    world.restart("refresh")
    landed = world.session(first)
    assert (landed == before) is (fault == "before")
    answer = world.refresh(first)
    assert answer.status == 200
    said = claims(answer.body["refresh_token"])
    assert said["gen"] == world.session(first)["generation"] == 1
    assert fault == "before" or said["jti"] == landed["token_id"]


def test_a_request_that_the_gateway_delivers_twice_gets_the_same_answer_twice(world: World) -> None:
    world.add_user()
    token = world.login()["refresh_token"]
    world.clock.tick(900)
    event = rest_event("/refresh", json.dumps({"refresh_token": token}))
    answers = [world.ask("refresh", event) for _ in range(2)]
    assert len({answer.body["refresh_token"] for answer in answers}) == 1
    event = rest_event("/logout", json.dumps({"refresh_token": token}))
    assert [world.ask("logout", event).status for _ in range(2)] == [200, 200]
    event = rest_event("/login", json.dumps({"username": "alice", "password": PASSWORD}))
    one, other = (world.ask("login", event).body["refresh_token"] for _ in range(2))
    assert claims(one)["sid"] != claims(other)["sid"]  # two sign-ins, each with a life of its own
    world.logout(one)
    assert world.refresh(other).status == 200


def test_an_own_write_that_landed_and_was_moved_on_from_is_no_theft(world: World) -> None:
    """Without a grace: while our try waits for its lost answer, another tab gets the successor and moves on."""
    world.configure(REFRESH_GRACE_SECONDS="0")
    world.add_user()
    first = world.login()["refresh_token"]
    world.clock.tick(900)
    moved_on: list[str] = []

    def another_tab() -> None:
        second = world.refresh(first).body["refresh_token"]
        moved_on.append(world.refresh(second).body["refresh_token"])

    world.wire.order("UpdateItem", Fault.ANSWER_LOST, another_tab)
    answer = world.refresh(first)
    assert answer.status == 200
    assert [answer.body["refresh_token"]] == moved_on
    assert claims(world.rotate(moved_on[0]))["gen"] == 3
