"""Many at once, over real connections: one successor whoever comes, and an end that nobody slips past."""

import json
from collections.abc import Callable

import pytest
from rolegate.model import Because

from tests.conftest import LAPTOP, PASSWORD, Answer, Handler, Logs, World, claims, rest_event
from tests.faults.conftest import ENDS, at_once, changing_the_password, ending


def asking(handler: Handler, path: str, **body: str) -> Callable[[], Answer]:
    """Return the task of asking an instance of a function."""
    event = rest_event(path, json.dumps(body))

    def ask() -> Answer:
        answer = handler(event, None)
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    return ask


def refreshing(handler: Handler, token: str) -> Callable[[], Answer]:
    return asking(handler, "/refresh", refresh_token=token)


def test_a_hundred_refreshes_of_one_token_at_once_get_one_successor(real_world: World) -> None:
    real_world.add_user()
    token = real_world.login()["refresh_token"]
    real_world.clock.tick(900)
    real_world.wire.calls.clear()
    instances = [real_world.cold("refresh") for _ in range(20)]
    answers = at_once(*(refreshing(instance, token) for instance in instances * 5))
    assert [answer.status for answer in answers] == [200] * 100
    (successor,) = {answer.body["refresh_token"] for answer in answers}
    assert len({answer.body["access_token"] for answer in answers}) == 100
    (stored,) = real_world.stored()["sessions"]
    assert (stored["generation"], stored["token_id"]) == ({"N": "1"}, {"S": claims(successor)["jti"]})
    assert real_world.wire.calls.count("UpdateItem") == 100
    assert claims(real_world.rotate(successor))["gen"] == 2


def test_refreshes_of_different_sessions_at_once_do_not_meet(real_world: World) -> None:
    tokens = []
    for name in ("alice", "bob"):
        real_world.add_user(name)
        tokens += [real_world.login(name)["refresh_token"] for _ in range(20)]
    real_world.clock.tick(900)
    instances = [real_world.cold("refresh") for _ in range(10)]
    answers = at_once(*(refreshing(instances[n % 10], token) for n, token in enumerate(tokens)))
    for token, answer in zip(tokens, answers, strict=True):
        before, after = claims(token), claims(answer.body["refresh_token"])
        assert (after["sub"], after["sid"], after["gen"]) == (before["sub"], before["sid"], 1)
        assert claims(answer.body["access_token"])["sid"] == before["sid"]


def test_the_same_request_delivered_to_two_instances_gets_one_successor(real_world: World) -> None:
    real_world.add_user()
    token = real_world.login()["refresh_token"]
    for generation in range(1, 6):
        real_world.clock.tick(900)
        one, other = at_once(*(refreshing(real_world.cold("refresh"), token) for _ in range(2)))
        assert one.body["refresh_token"] == other.body["refresh_token"]
        token = one.body["refresh_token"]
        assert claims(token)["gen"] == generation


# Races with what ends a session


@pytest.mark.parametrize("because", ENDS)
def test_a_refresh_that_races_an_end_leaves_no_usable_token(real_world: World, because: Because) -> None:
    for name in ("alice", "bob", "carol"):
        real_world.add_user(name)
        spent = real_world.login(name)["refresh_token"]
        live = real_world.rotate(real_world.rotate(spent))
        real_world.clock.tick(900)
        refreshes = [refreshing(real_world.cold("refresh"), live) for _ in range(6)]
        *answers, _ = at_once(*refreshes, ending(real_world, because, spent, live))
        successors = {answer.body["refresh_token"] for answer in answers if answer.status == 200}
        assert len(successors) <= 1
        for after in (0, 60, 86_400):
            real_world.clock.tick(after)
            for token in (*successors, live):  # the live one first: an older one would end the session by itself
                assert real_world.refresh(token, LAPTOP).problem[1] == "refresh_token_revoked"


def test_a_sign_in_that_races_a_password_change_is_dead_at_its_first_refresh(real_world: World, logs: Logs) -> None:
    for name in ("alice", "bob", "carol"):
        real_world.add_user(name)
        instances = [real_world.cold("login") for _ in range(4)]
        sign_ins = [asking(instance, "/login", username=name, password=PASSWORD) for instance in instances]
        *answers, _ = at_once(*sign_ins, changing_the_password(real_world, name))
        for answer in answers:
            refused = real_world.refresh(answer.body["refresh_token"]) if answer.status == 200 else answer
            assert refused.problem[1] in ("refresh_token_revoked", "invalid_credentials")
    assert len(logs.events("sessions_ended")) == 3
