"""Refresh, line by line of its table in docs/refresh.md, and every way in which a session ends."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from rolegate.model import Caller

from tests.conftest import (
    LAPTOP,
    NOW,
    OUT_OF_REACH,
    PASSWORD,
    PHONE,
    Answer,
    Fault,
    Logs,
    World,
    base64url,
    claims,
    client,
    header,
    rest_event,
)

DAY = 86_400
WEEK, MONTH = 7 * DAY, 30 * DAY
SAME_NETWORK = Caller(PHONE.source_ip, LAPTOP.user_agent)
SAME_AGENT = Caller(LAPTOP.source_ip, PHONE.user_agent)
REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")
REUSED = (401, "refresh_token_reused", "Refresh token revoked")
EXPIRED = (401, "refresh_token_expired", "Refresh token expired")
INVALID = (401, "invalid_refresh_token", "Invalid refresh token")


@pytest.fixture
def first(world: World) -> str:
    """The refresh token of a sign-in by phone."""
    world.add_user()
    token: str = world.login()["refresh_token"]
    return token


def token(answer: Answer) -> str:
    assert answer.status == 200, answer
    return str(answer.body["refresh_token"])


def unavailable(answer: Answer, retry_after: int = 1) -> bool:
    return (answer.status, answer.headers.get("Retry-After")) == (503, str(retry_after))


# Rotation


def test_a_refresh_rotates_the_token_in_two_round_trips(world: World, first: str) -> None:
    warm = world.rotate(first)
    world.clock.tick(299)
    world.wire.calls.clear()
    second = token(world.refresh(warm, LAPTOP))
    assert world.wire.calls == ["GetItem", "UpdateItem"]
    before, after, stored = claims(warm), claims(second), world.session(second)
    assert after["gen"] == before["gen"] + 1 == 2
    assert (after["iat"], after["exp"]) == (world.clock.now, world.clock.now + WEEK)
    assert {name: after[name] for name in before.keys() - {"gen", "iat", "exp", "jti"}} == {
        name: before[name] for name in before.keys() - {"gen", "iat", "exp", "jti"}
    }
    assert stored["token_id"] == after["jti"]
    assert stored["token_kid"] == header(second)["kid"]
    assert (stored["token_issued_at"], stored["token_expires_at"]) == (after["iat"], after["exp"])
    assert (stored["generation"], stored["previous_token_id"]) == (2, before["jti"])
    assert stored["rotated_at"] == world.clock.now
    assert Caller(stored["source_ip"], stored["user_agent"]) == LAPTOP


def test_the_table_holds_no_token(world: World, first: str) -> None:
    second = world.rotate(first)
    stored = json.dumps(world.stored()["sessions"])
    assert not [part for one in (first, second) for part in one.split(".") if part in stored]


def test_the_new_access_token_is_for_the_same_sign_in(world: World, first: str) -> None:
    world.clock.tick(900)
    access = world.refresh(first).body["access_token"]
    keys = jwt.PyJWKSet.from_json(client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"])
    assert jwt.get_unverified_header(access)["typ"] == "at+jwt"
    said = jwt.decode(
        access,
        keys[header(access)["kid"]],
        algorithms=["RS256"],
        audience="rolegate",
        issuer=world.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert said.pop("jti")
    assert said == {
        "iss": world.issuer,
        "aud": "rolegate",
        "sub": "alice",
        "iat": NOW + 900,
        "exp": NOW + 900 + 900,
        "client_id": "rolegate",
        "sid": claims(first)["sid"],
        "uid": world.user()["user_id"],
        "username": "alice",
        "role": "user",
        "scope": "user",
        "auth_time": NOW,
        "amr": ["pwd"],
    }


def test_a_refresh_takes_the_users_role_of_this_moment(world: World, first: str) -> None:
    world.change_user(role="admin")
    answer = world.refresh(first)
    assert answer.body["role"] == "admin"
    said = claims(answer.body["access_token"])
    assert (said["role"], said["scope"]) == ("admin", "user manager admin")
    world.change_user(role="user")
    assert world.refresh(first).body["role"] == "user"


def test_the_audience_of_the_sign_in_stays(world: World) -> None:
    world.add_user()
    began = world.login(audience="reports")["refresh_token"]
    assert claims(world.refresh(began).body["access_token"])["aud"] == "reports"


def test_a_restored_user_of_the_same_name_is_another(world: World, first: str) -> None:
    world.configure(SUBJECT="user_id")
    answer = world.refresh(first)
    assert claims(answer.body["access_token"])["sub"] == world.user()["user_id"]
    assert claims(token(answer))["sub"] == "alice"


# Again


@pytest.mark.parametrize(("after", "rotates"), [(0, False), (30, False), (32, False), (33, True)])
def test_the_live_token_within_the_window_gets_itself_again(
    world: World, first: str, after: int, *, rotates: bool
) -> None:
    live = world.rotate(first)
    before = world.session(live)
    world.clock.tick(after)
    answer = world.refresh(live)
    assert (token(answer) != live) is rotates
    assert (world.session(live) != before) is rotates
    assert answer.body["expires_in"] == 900


@pytest.mark.parametrize("after", [0, 1, 31])
def test_a_lost_answer_is_given_again_to_the_byte_within_the_grace(
    world: World, first: str, logs: Logs, after: int
) -> None:
    live = world.rotate(first)
    before = world.session(live)
    world.clock.tick(after)
    answer = world.refresh(first)
    assert token(answer) == live
    assert answer.body["refresh_expires_in"] == WEEK - after
    assert world.session(live) == before
    assert logs.events("refresh_retried_late", "refresh_repeated_elsewhere") == []


def test_twenty_parallel_tabs_get_one_successor(world: World, first: str) -> None:
    assert len({token(world.refresh(first)) for _ in range(20)}) == 1


def test_an_answer_given_again_has_a_new_access_token(world: World, first: str) -> None:
    one, other = (world.refresh(first).body["access_token"] for _ in range(2))
    assert claims(one)["jti"] != claims(other)["jti"]


def test_an_answer_given_again_elsewhere_is_audited(world: World, first: str, logs: Logs) -> None:
    live = world.rotate(first)
    for caller in (PHONE, SAME_NETWORK, SAME_AGENT):
        assert token(world.refresh(first, caller)) == live
    assert logs.events("refresh_repeated_elsewhere") == []
    assert token(world.refresh(first, LAPTOP)) == live
    (event,) = logs.events("refresh_repeated_elsewhere")
    assert event["session_id"] == claims(first)["sid"]
    assert Caller(event["source_ip"], event["user_agent"]) == LAPTOP
    assert logs.metrics() == ["RefreshRepeatedElsewhere"]


# A late retry


def test_a_phone_that_slept_over_its_answer_is_forgiven(world: World, first: str, logs: Logs) -> None:
    live = world.rotate(first)
    world.clock.tick(5 * DAY)
    assert token(world.refresh(first)) == live
    stored = world.session(live)
    assert (stored["late_retry_generation"], stored["rotated_at"]) == (1, world.clock.now)
    assert stored["token_id"] == claims(live)["jti"]
    (event,) = logs.events("refresh_retried_late")
    assert event["session_id"] == claims(first)["sid"]
    assert Caller(event["source_ip"], event["user_agent"]) == PHONE


def test_a_late_retry_begins_just_after_the_grace(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(32)
    assert token(world.refresh(first)) == live
    assert world.session(live)["late_retry_generation"] == 1


def test_a_forgiven_generation_is_forgiven_again_without_a_write(world: World, first: str, logs: Logs) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.refresh(first)
    stored = world.session(live)
    for _ in range(3):
        world.clock.tick(DAY)
        assert token(world.refresh(first)) == live
    assert world.session(live) == stored
    assert len(logs.events("refresh_retried_late")) == 1


def test_after_a_late_retry_the_live_token_waits_for_the_new_window(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.refresh(first)
    world.clock.tick(32)
    assert token(world.refresh(live)) == live
    world.clock.tick(1)
    assert claims(token(world.refresh(live)))["gen"] == 2


@pytest.mark.parametrize(("rotations", "forgiven"), [(1, False), (19, False), (20, True)])
def test_a_late_retry_is_forgiven_once_in_twenty_rotations(
    world: World, first: str, rotations: int, *, forgiven: bool
) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.refresh(first)
    *_, previous = (live := world.rotate(live) for _ in range(rotations - 1)) if rotations > 1 else (live,)
    live = world.rotate(previous)
    world.clock.tick(DAY)
    answer = world.refresh(previous)
    if forgiven:
        assert token(answer) == live
        assert world.session(live)["late_retry_generation"] == rotations + 1
    else:
        assert answer.problem == REUSED


@pytest.mark.parametrize("caller", [SAME_NETWORK, SAME_AGENT])
def test_a_late_retry_may_come_from_another_network_or_another_agent(world: World, first: str, caller: Caller) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    assert token(world.refresh(first, caller)) == live


def test_a_late_retry_from_another_network_and_agent_is_theft(world: World, first: str, logs: Logs) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    assert world.refresh(first, LAPTOP).problem == REUSED
    assert world.session(live)["revoked_because"] == "refresh_token_reused"
    assert len(logs.events("refresh_token_reused")) == 1


def test_an_ipv6_phone_keeps_its_network_when_it_changes_its_address(world: World) -> None:
    world.add_user()
    began = world.login(caller=LAPTOP)["refresh_token"]
    live = token(world.refresh(began, LAPTOP))
    world.clock.tick(DAY)
    assert token(world.refresh(began, Caller("2001:db8:40:1:aaaa::1", "Another/2.0"))) == live


def test_late_retries_can_be_turned_off(world: World, first: str) -> None:
    world.configure(ROTATIONS_PER_LATE_RETRY="0")
    live = world.rotate(first)
    world.clock.tick(31)
    assert token(world.refresh(first)) == live
    world.clock.tick(1)
    assert world.refresh(first).problem == REUSED


def test_a_thief_who_alternates_with_the_owner_ends_the_family_at_the_second_late_retry(
    world: World, first: str
) -> None:
    owner = world.rotate(first)
    world.clock.tick(DAY)
    thief = token(world.refresh(first))
    assert thief == owner
    owner = world.rotate(owner)
    world.clock.tick(DAY)
    assert world.refresh(thief).problem == REUSED
    assert world.refresh(owner).problem == REVOKED


# A spent token


def test_a_spent_token_ends_the_family_at_once(world: World, first: str, logs: Logs) -> None:
    second = world.rotate(first)
    third = world.rotate(second)
    assert world.refresh(first, LAPTOP).problem == REUSED
    stored = world.session(third)
    assert (stored["revoked_at"], stored["revoked_because"]) == (world.clock.now, "refresh_token_reused")
    for one in (first, second, third):
        assert world.refresh(one).problem == REVOKED
    (event,) = logs.events("refresh_token_reused")
    assert event["level"] == "WARNING"
    assert (event["username"], event["user_id"]) == ("alice", world.user()["user_id"])
    assert (event["session_id"], event["generation"]) == (claims(first)["sid"], 0)
    assert Caller(event["source_ip"], event["user_agent"]) == LAPTOP
    assert logs.metrics() == ["RefreshTokenReused"]


def test_a_spent_token_ends_no_other_session(world: World, first: str) -> None:
    other = world.login()["refresh_token"]
    world.rotate(world.rotate(first))
    assert world.refresh(first).problem == REUSED
    assert world.refresh(other).status == 200


# A token ahead of the table


@pytest.fixture
def restored(world: World, first: str) -> Callable[[int], str]:
    """Put the session's item back to the sign-in's after so many rotations; return the client's token."""

    def restore(rotations: int) -> str:
        item = client("dynamodb").scan(TableName="sessions")["Items"][0]
        live = world.rotate(first, rotations)
        client("dynamodb").put_item(TableName="sessions", Item=item)
        return live

    return restore


@pytest.mark.parametrize("rotations", [1, 2])
def test_a_token_ahead_of_the_table_waits_a_minute_for_it(
    world: World, restored: Callable[[int], str], rotations: int
) -> None:
    live = restored(rotations)
    for after in (0, 59):
        world.clock.now = claims(live)["iat"] + after
        before = world.stored()
        assert unavailable(world.refresh(live))
        assert world.stored() == before


def test_a_token_that_stays_ahead_ends_the_session_quietly(
    world: World, restored: Callable[[int], str], logs: Logs
) -> None:
    live = restored(2)
    world.clock.tick(60)
    assert world.refresh(live).problem == REVOKED
    assert world.session(live)["revoked_because"] == "state_lost"
    assert [event["because"] for event in logs.events("session_ended")] == ["state_lost"]
    assert logs.metrics() == []


# Expiry


def test_a_token_is_good_up_to_the_second_before_its_end(world: World, first: str) -> None:
    world.clock.now = NOW + WEEK - 1
    assert claims(token(world.refresh(first)))["gen"] == 1


@pytest.mark.parametrize("after", [0, 30])
def test_a_token_past_its_end_is_expired_though_its_last_answer_could_still_be_asked_for(
    world: World, first: str, after: int
) -> None:
    world.clock.now = NOW + WEEK + after
    before = world.stored()
    assert world.refresh(first).problem == EXPIRED
    assert world.stored() == before


def test_the_answer_to_a_refresh_at_the_last_second_may_get_lost_too(world: World, first: str) -> None:
    world.clock.now = NOW + WEEK - 1
    live = token(world.refresh(first))
    world.clock.tick(31)
    assert token(world.refresh(first)) == live
    world.clock.tick(1)
    assert world.refresh(first).problem == EXPIRED


def test_a_token_past_its_leeway_is_refused_before_anything_is_read(world: World, first: str) -> None:
    world.rotate(first)
    world.clock.now = NOW + WEEK + 31
    world.ring("REFRESH_KEYS_SECRET")
    assert world.refresh(first).problem == EXPIRED
    world.wire.calls.clear()
    assert world.refresh(first).problem == EXPIRED
    assert world.wire.calls == []


def test_rotation_slides_the_token_but_never_past_the_end_of_the_session(world: World, first: str) -> None:
    live = first
    for day in (6, 12, 18):
        world.clock.now = NOW + day * DAY
        answer = world.refresh(live)
        live = token(answer)
        assert answer.body["refresh_expires_in"] == WEEK
    world.clock.now = NOW + 24 * DAY
    answer = world.refresh(live)
    assert answer.body["refresh_expires_in"] == 6 * DAY
    world.clock.now = NOW + MONTH - 1
    answer = world.refresh(token(answer))
    assert answer.body["refresh_expires_in"] == 1
    assert claims(token(answer))["exp"] == claims(token(answer))["session_exp"] == NOW + MONTH
    world.clock.tick(1)
    before = world.stored()
    assert world.refresh(token(answer)).problem == EXPIRED
    assert world.stored() == before


def test_the_absolute_end_is_the_tables_word(world: World, first: str) -> None:
    world.change_session(first, session_expires_at=NOW + 60)
    world.clock.tick(60)
    assert world.refresh(first).problem == EXPIRED


def test_a_session_that_ttl_has_deleted_is_gone_and_no_ghost_comes_back(world: World, first: str) -> None:
    world.forget_session(first)
    assert world.refresh(first).problem == REVOKED
    assert world.stored()["sessions"] == []


# What ends every session of a user


@pytest.mark.parametrize(
    "change",
    [
        {"session_epoch": "another"},
        {"disabled": True},
        {"deleted_at": NOW},
        {"user_id": "0b7f3c52-8f0e-4c1d-9a36-5e2d7c41b908"},
    ],
)
def test_a_user_who_changed_has_no_sessions_any_more_and_nothing_is_written(
    world: World, first: str, change: dict[str, Any]
) -> None:
    second = world.rotate(first)
    world.change_user(**change)
    before = world.stored()
    for one in (first, second):
        for after in (0, 900):
            world.clock.tick(after)
            assert world.refresh(one).problem == REVOKED
    assert world.stored() == before


@pytest.mark.parametrize("change", [{"disabled": True}, {"deleted_at": NOW}, {"user_id": "another"}])
def test_a_user_who_may_not_sign_in_costs_no_write(world: World, first: str, change: dict[str, Any]) -> None:
    world.refresh(first)
    world.change_user(**change)
    world.wire.calls.clear()
    assert world.refresh(first).problem == REVOKED
    assert world.wire.calls == ["GetItem"]


def test_a_user_who_is_gone_has_no_sessions(world: World, first: str) -> None:
    client("dynamodb").delete_item(TableName="users", Key={"username": {"S": "alice"}})
    assert world.refresh(first).problem == REVOKED


@pytest.mark.parametrize(("not_before", "ended"), [(NOW, False), (NOW + 1, True)])
def test_signing_everyone_out_ends_what_began_before(world: World, first: str, not_before: int, *, ended: bool) -> None:
    live = world.rotate(first)
    world.change_ring("REFRESH_KEYS_SECRET", {**world.ring("REFRESH_KEYS_SECRET"), "sessions_not_before": not_before})
    world.clock.tick(900)
    before = world.stored()
    answer = world.refresh(live)
    assert (answer.status == 401) is ended
    if ended:
        assert answer.problem == REVOKED
        assert world.stored() == before


def test_an_audience_that_is_no_longer_configured_ends_its_sessions_alone(world: World, first: str) -> None:
    other = world.login(audience="reports")["refresh_token"]
    again = token(world.refresh(other))
    world.configure(AUDIENCES="rolegate")
    before = world.stored()
    assert world.refresh(other).problem == REVOKED
    assert world.refresh(again).problem == REVOKED
    assert world.stored() == before
    assert world.refresh(first).status == 200


# Without a grace


def test_without_a_grace_every_refresh_rotates_at_once(world: World, first: str) -> None:
    world.configure(REFRESH_GRACE_SECONDS="0")
    live = first
    for generation in (1, 2, 3):
        live = token(world.refresh(live))
        assert claims(live)["gen"] == generation


def test_without_a_grace_a_lost_answer_is_a_late_retry(world: World, first: str, logs: Logs) -> None:
    world.configure(REFRESH_GRACE_SECONDS="0")
    live = token(world.refresh(first))
    assert token(world.refresh(first)) == live
    assert len(logs.events("refresh_retried_late")) == 1
    newest = token(world.refresh(live))
    assert world.refresh(live).problem == REUSED
    assert world.refresh(newest).problem == REVOKED


def test_without_grace_and_late_retries_a_spent_token_ends_the_family(world: World, first: str) -> None:
    world.configure(REFRESH_GRACE_SECONDS="0", ROTATIONS_PER_LATE_RETRY="0")
    world.refresh(first)
    assert world.refresh(first).problem == REUSED


def test_without_a_grace_a_token_has_one_second_of_leeway(world: World, first: str) -> None:
    world.configure(REFRESH_GRACE_SECONDS="0")
    world.clock.now = NOW + WEEK - 1
    live = token(world.refresh(first))
    world.clock.tick(1)
    assert token(world.refresh(first)) == live
    world.clock.tick(1)
    assert world.refresh(first).problem == EXPIRED


# Keys


@pytest.fixture
def strange(world: World, first: str) -> str:
    """A token whose key the refresh function has not read yet: all keys were thrown away since."""
    world.refresh(first)
    _replace_ring(world)
    world.restart("login")
    token: str = world.login()["refresh_token"]
    world.wire.calls.clear()
    return token


def _replace_ring(world: World) -> None:
    ring = world.ring("REFRESH_KEYS_SECRET")
    for name in ("current", "next"):
        ring[name] = {**ring[name], "kid": f"new-{name}", "secret": ring[name]["secret"][::-1]}
    world.change_ring("REFRESH_KEYS_SECRET", ring)


def test_an_unknown_key_has_the_ring_read_again_once(world: World, strange: str) -> None:
    assert world.refresh(strange).status == 200
    assert world.wire.calls.count("GetSecretValue") == 1
    assert world.refresh(strange).status == 200
    assert world.wire.calls.count("GetSecretValue") == 1


def test_a_key_that_nobody_knows_makes_an_invalid_token(world: World, first: str) -> None:
    _replace_ring(world)
    assert world.refresh(first).problem == INVALID


def test_unknown_keys_have_the_ring_read_five_times_in_half_a_minute_and_no_more(world: World, first: str) -> None:
    strange = [_naming(f"key {number}", first) for number in range(9)]
    world.refresh(first)
    world.wire.calls.clear()
    for number in range(5):
        assert world.refresh(strange[number]).problem == INVALID
    world.clock.tick(29)
    for number in range(5, 8):
        assert unavailable(world.refresh(strange[number]), retry_after=30)
    assert world.wire.calls.count("GetSecretValue") == 5
    world.clock.tick(1)
    assert world.refresh(strange[8]).problem == INVALID


def test_a_key_that_the_store_does_not_have_is_asked_for_once(world: World, first: str) -> None:
    """As after a leak, when every client comes with a token of a key that was thrown away."""
    world.refresh(first)
    _replace_ring(world)
    world.clock.tick(300)
    world.wire.calls.clear()
    for _ in range(20):
        assert world.refresh(first).problem == INVALID
    assert world.wire.calls == ["GetSecretValue"] * 2  # the ring was old, and then it lacked the key


def _naming(kid: str, token: str) -> str:
    """Return the token with another key's name in its header."""
    head = base64url(json.dumps({**header(token), "kid": kid}).encode())
    return ".".join([head, *token.split(".")[1:]])


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_an_unknown_key_is_no_refusal_while_the_ring_cannot_be_read(world: World, strange: str, fault: Fault) -> None:
    world.wire.order("GetSecretValue", fault, fault)
    assert unavailable(world.refresh(strange))
    assert world.refresh(strange).status == 200


def test_a_successor_whose_key_is_newer_than_our_ring_has_it_read_again(world: World, first: str) -> None:
    world.refresh(world.login()["refresh_token"])
    ring = world.ring("REFRESH_KEYS_SECRET")
    fresh = {**ring["current"], "kid": "newer", "secret": ring["current"]["secret"][::-1]}
    world.change_ring("REFRESH_KEYS_SECRET", {**ring, "current": fresh, "retired": [ring["current"]]})
    ours = world.handler("refresh")
    world.restart("refresh")
    live = token(world.refresh(first))
    assert header(live)["kid"] == "newer"
    answer = ours(rest_event("/refresh", json.dumps({"refresh_token": first})), None)
    assert (answer["statusCode"], json.loads(answer["body"])["refresh_token"]) == (200, live)


def test_a_successor_whose_key_was_thrown_away_is_revoked(world: World, first: str) -> None:
    live = world.rotate(first)
    world.change_session(live, token_kid="thrown away")
    assert world.refresh(first).problem == REVOKED


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_old_rings_serve_on_while_the_store_is_out_of_reach_and_it_is_asked_twice_a_minute(
    world: World, first: str, fault: Fault
) -> None:
    live = world.rotate(first)
    world.clock.tick(900)
    world.wire.order("GetSecretValue", *[fault] * 20)
    world.wire.calls.clear()
    live = token(world.refresh(live))
    assert world.wire.calls.count("GetSecretValue") == 4, "one read of each ring, which the SDK tries twice"
    world.clock.tick(29)
    assert token(world.refresh(live)) == live
    assert world.wire.calls.count("GetSecretValue") == 4
    world.clock.tick(1)
    assert token(world.refresh(live)) == live
    assert world.wire.calls.count("GetSecretValue") == 8


# What gets lost on the way to the table


def test_our_own_write_whose_answer_got_lost_is_a_success(world: World, first: str) -> None:
    world.wire.order("UpdateItem", Fault.ANSWER_LOST)
    live = token(world.refresh(first))
    assert world.wire.calls[-2:] == ["UpdateItem", "UpdateItem"]
    assert claims(live)["gen"] == 1
    assert world.session(live)["token_id"] == claims(live)["jti"]


def test_a_write_that_landed_unheard_is_answered_to_the_clients_next_try(world: World, first: str) -> None:
    world.wire.order("UpdateItem", Fault.ANSWER_LOST, Fault.ANSWER_LOST)
    assert unavailable(world.refresh(first))
    live = token(world.refresh(first))
    assert claims(live)["gen"] == 1
    assert world.session(live)["token_id"] == claims(live)["jti"]


def test_a_forgiveness_whose_answer_got_lost_is_still_one(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.wire.order("UpdateItem", None, Fault.ANSWER_LOST)
    assert token(world.refresh(first)) == live


def test_an_end_that_could_not_be_written_is_no_refusal_yet(world: World, first: str) -> None:
    live = world.rotate(world.rotate(first))
    world.wire.order("UpdateItem", None, Fault.THROTTLED, Fault.THROTTLED)
    assert unavailable(world.refresh(first))
    assert "revoked_at" not in world.session(live)
    assert world.refresh(first).problem == REUSED


@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem", "GetSecretValue"])
def test_a_store_out_of_reach_is_unavailable_and_never_a_refusal(
    world: World, first: str, operation: str, fault: Fault
) -> None:
    before = world.stored()
    world.wire.order(operation, fault, fault)
    assert unavailable(world.refresh(first))
    assert world.stored() == before
    assert world.refresh(first).status == 200


@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem", "GetSecretValue"])
def test_one_failed_try_is_made_good_by_the_second(world: World, first: str, operation: str, fault: Fault) -> None:
    world.wire.order(operation, fault)
    assert world.refresh(first).status == 200


def test_a_missing_permission_is_our_fault_and_told_to_no_client(world: World, first: str, logs: Logs) -> None:
    world.wire.order("UpdateItem", Fault.REFUSED)
    answer = world.refresh(first)
    assert unavailable(answer, 30)
    assert answer.body["detail"] == "The service is not available right now. Try again."
    assert logs.events("failure")[0]["reason"] == "AWS refused UpdateItem: AccessDeniedException."
    assert PASSWORD not in logs.text


def test_a_role_that_the_hierarchy_lost_is_our_fault_and_changes_nothing(world: World, first: str) -> None:
    world.change_user(role="owner")
    before = world.stored()
    assert unavailable(world.refresh(first), 30)
    assert unavailable(world.post("login", {"username": "alice", "password": PASSWORD}), 30)
    assert world.stored() == before


# What happens meanwhile


def test_a_logout_that_overtakes_a_refresh_wins(world: World, first: str) -> None:
    world.wire.order("UpdateItem", lambda: world.logout(first))
    assert world.refresh(first).problem == REVOKED
    assert world.session(first)["generation"] == 0


def test_an_epoch_that_was_replaced_after_the_read_ends_the_session_at_the_next_refresh(
    world: World, first: str
) -> None:
    world.wire.order("UpdateItem", lambda: world.change_user(session_epoch="another"))
    live = token(world.refresh(first))
    assert world.refresh(live).problem == REVOKED


def test_two_refreshes_at_once_get_one_successor(world: World, first: str) -> None:
    others: list[str] = []
    world.wire.order("UpdateItem", lambda: others.append(token(world.refresh(first))))
    assert [token(world.refresh(first))] == others


def test_two_late_retries_at_once_are_one(world: World, first: str, logs: Logs) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    others: list[str] = []
    world.wire.order("UpdateItem", None, lambda: others.append(token(world.refresh(first))))
    assert token(world.refresh(first)) == live
    assert others == [live]
    assert len(logs.events("refresh_retried_late")) == 1


def test_a_logout_that_overtakes_a_late_retry_wins(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.wire.order("UpdateItem", None, lambda: world.logout(live))
    assert world.refresh(first).problem == REVOKED
    assert "late_retry_generation" not in world.session(first)


def test_a_rotation_that_overtakes_a_late_retry_makes_a_spent_token_of_it(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.tick(DAY)
    world.wire.order("UpdateItem", None, lambda: world.refresh(live))
    assert world.refresh(first).problem == REUSED


def test_a_late_retry_that_is_overtaken_again_and_again_is_asked_to_come_back(world: World, first: str) -> None:
    world.configure(ROTATIONS_PER_LATE_RETRY="2")
    previous = world.rotate(first, 6)
    live = world.rotate(previous)
    world.clock.tick(DAY)

    def forgive(generation: int) -> Callable[[], None]:
        return lambda: world.change_session(live, late_retry_generation=generation)

    world.wire.order("UpdateItem", None, forgive(1), forgive(2), forgive(3))
    assert unavailable(world.refresh(previous))
    assert token(world.refresh(previous)) == live


# Logout


@pytest.mark.parametrize("which", ["live", "previous", "spent"])
def test_any_token_of_the_session_ends_it(world: World, first: str, logs: Logs, which: str) -> None:
    previous = world.rotate(first)
    live = world.rotate(previous)
    answer = world.logout({"live": live, "previous": previous, "spent": first}[which])
    assert (answer.status, answer.body) == (200, {"message": "Logged out successfully"})
    stored = world.session(live)
    assert (stored["revoked_at"], stored["revoked_because"]) == (world.clock.now, "logout")
    for one in (first, previous, live):
        assert world.refresh(one).problem == REVOKED
    (event,) = logs.events("session_ended")
    assert (event["because"], event["session_id"]) == ("logout", claims(live)["sid"])


def test_a_logout_is_one_write(world: World, first: str) -> None:
    world.logout(first)
    world.wire.calls.clear()
    world.logout(first)
    assert world.wire.calls == ["UpdateItem"]


def test_a_second_logout_succeeds_and_changes_nothing(world: World, first: str, logs: Logs) -> None:
    world.logout(first)
    before = world.stored()
    world.clock.tick(60)
    assert world.logout(first).status == 200
    assert world.stored() == before
    assert len(logs.events("session_ended")) == 1


def test_a_logout_after_theft_keeps_the_first_reason(world: World, first: str) -> None:
    live = world.rotate(world.rotate(first))
    world.refresh(first)
    assert world.logout(live).status == 200
    assert world.session(live)["revoked_because"] == "refresh_token_reused"


def test_a_logout_of_a_session_that_ttl_has_deleted_leaves_no_ghost(world: World, first: str) -> None:
    world.forget_session(first)
    assert world.logout(first).status == 200
    assert world.stored()["sessions"] == []


def test_an_expired_token_ends_its_session_and_says_that_it_expired(world: World, first: str) -> None:
    live = world.rotate(first)
    world.clock.now = NOW + WEEK + 31
    assert world.logout(first).problem == EXPIRED
    assert world.refresh(live).problem == REVOKED


def test_a_token_within_its_leeway_logs_out_like_any(world: World, first: str) -> None:
    world.clock.now = NOW + WEEK + 30
    assert world.logout(first).status == 200


def test_what_is_not_ours_ends_nothing(world: World, first: str) -> None:
    before = world.stored()
    for foreign in (world.login()["access_token"], f"{first}x", "x"):
        assert world.logout(foreign).problem == INVALID
    assert world.refresh(first).status == 200
    assert len(world.stored()["sessions"]) == len(before["sessions"]) + 1


def test_a_logout_of_a_disabled_user_still_ends_the_session(world: World, first: str) -> None:
    world.change_user(disabled=True)
    assert world.logout(first).status == 200
    assert world.session(first)["revoked_because"] == "logout"


def test_one_logout_ends_one_session(world: World, first: str) -> None:
    other = world.login()["refresh_token"]
    world.logout(first)
    assert world.refresh(other).status == 200


@pytest.mark.parametrize("fault", OUT_OF_REACH)
@pytest.mark.parametrize("operation", ["UpdateItem", "GetSecretValue"])
def test_a_logout_that_could_not_be_written_is_no_success(
    world: World, first: str, operation: str, fault: Fault
) -> None:
    world.wire.order(operation, fault, fault)
    assert unavailable(world.logout(first))
    assert "revoked_at" not in world.session(first)
    assert world.logout(first).status == 200


def test_a_logout_whose_answer_got_lost_is_a_success(world: World, first: str) -> None:
    world.wire.order("UpdateItem", Fault.ANSWER_LOST)
    assert world.logout(first).status == 200
    assert world.session(first)["revoked_because"] == "logout"
