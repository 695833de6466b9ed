"""POST /register: a new user of the lowest role, once a name."""

import json
import uuid

import bcrypt
import pytest
from rolegate.stores import items

from tests.conftest import NOW, OUT_OF_REACH, PASSWORD, Fault, Logs, World, client

ALICE = {"username": "Alice", "password": PASSWORD}


def test_a_user_is_stored_with_the_lowest_role_and_a_hash(world: World) -> None:
    answer = world.post("register", {**ALICE, "role": "admin"})
    stored = world.user()
    assert answer.status == 201
    assert answer.body == {"user_id": stored["user_id"], "username": "alice", "role": "user"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert uuid.UUID(stored["user_id"]).version == 4
    assert stored["password_hash"].startswith("$2b$04$")
    assert bcrypt.checkpw(PASSWORD.encode(), stored["password_hash"].encode())
    assert len(stored["session_epoch"]) >= 16
    assert {stored[name] for name in ("created_at", "updated_at", "password_changed_at")} == {NOW}
    assert (stored["role"], stored["disabled"], stored["schema_version"]) == ("user", False, 1)
    assert "deleted_at" not in stored


def test_registering_counts_for_the_network_and_is_one_transaction(world: World) -> None:
    world.post("register", ALICE)
    assert world.wire.calls == ["UpdateItem", "TransactWriteItems"]


def test_no_two_users_share_an_id_an_epoch_or_a_hash(world: World) -> None:
    world.add_user("alice")
    world.add_user("bob")
    for attribute in ("user_id", "session_epoch", "password_hash"):
        assert world.user("alice")[attribute] != world.user("bob")[attribute]


def test_a_name_is_registered_once(world: World) -> None:
    world.add_user()
    before = world.stored()
    answer = world.post("register", {"username": "alice", "password": "another password"})
    assert answer.problem == (409, "username_taken", "This username is taken.")
    assert world.stored() == before


def test_a_deleted_users_name_is_never_given_again(world: World) -> None:
    client("dynamodb").put_item(TableName="users", Item=items.item({"username": items.tombstone("alice")}))
    answer = world.post("register", ALICE)
    assert answer.problem == (409, "username_taken", "This username is taken.")
    assert world.post("register", {**ALICE, "username": "bob"}).status == 201


def test_registration_can_be_closed(world: World) -> None:
    world.configure(REGISTRATION="closed")
    assert world.post("register", ALICE).problem == (403, "forbidden", "Registration is closed.")
    assert world.wire.calls == []


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_a_store_out_of_reach_is_unavailable(world: World, fault: Fault) -> None:
    world.wire.order("TransactWriteItems", fault, fault)
    answer = world.post("register", ALICE)
    assert answer.problem == (503, "unavailable", "The service is not available right now. Try again.")
    assert answer.headers["Retry-After"] == "1"
    assert world.stored()["users"] == []
    assert world.post("register", ALICE).status == 201


def test_two_transactions_in_each_others_way_are_unavailable_and_no_name_taken(world: World) -> None:
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    cancelled = json.dumps({"__type": "TransactionCanceledException", "CancellationReasons": reasons})
    world.wire.stands_in["TransactWriteItems"] = lambda _: (400, cancelled)
    assert (answer := world.post("register", ALICE)).status == 503
    assert answer.headers["Retry-After"] == "1"
    world.wire.heal()
    assert world.post("register", ALICE).status == 201


def test_a_registration_is_logged_without_the_password(world: World, logs: Logs) -> None:
    world.post("register", ALICE)
    (event,) = logs.events("registered")
    assert (event["username"], event["user_id"], event["role"]) == ("alice", world.user()["user_id"], "user")
    assert PASSWORD not in logs.text
    assert world.user()["password_hash"] not in logs.text
