"""The users table, over every AWS."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.model import OperationModel
from rolegate import users as rules
from rolegate.errors import UsernameTaken
from rolegate.model import Because, User
from rolegate.stores import items

from tests.conftest import NOW
from tests.contract.conftest import Stores


def user(name: str = "alice") -> User:
    return rules.create(name, "no hash", "user", NOW)


def test_a_user_comes_back_as_stored(stores: Stores) -> None:
    alice = user()
    stores.users.create(alice)
    assert stores.users.get("alice") == alice
    assert stores.users.get("bob") is None


def test_every_read_is_consistent(stores: Stores) -> None:
    asked: list[tuple[str, object]] = []

    def note(params: dict[str, object], model: OperationModel, **_: object) -> None:
        asked.append((model.name, params["ConsistentRead"]))

    stores.clients.dynamodb.meta.events.register("provide-client-params.dynamodb", note)
    stores.users.get("alice")
    list(stores.users.list())
    stores.clients.dynamodb.meta.events.unregister("provide-client-params.dynamodb", note)
    assert asked == [("GetItem", True), ("Scan", True)]


def test_what_a_newer_version_stored_is_passed_over(stores: Stores) -> None:
    alice = user()
    item = {**items.from_user(alice), "email": {"S": "alice@example.com"}, "groups": {"SS": ["x"]}}
    stores.clients.dynamodb.put_item(TableName=stores.names["users"], Item=item)
    assert stores.users.get("alice") == alice


def test_a_name_is_created_once(stores: Stores) -> None:
    alice = user()
    stores.users.create(alice)
    with pytest.raises(UsernameTaken):
        stores.users.create(user())
    assert stores.users.get("alice") == alice


def test_of_many_who_create_one_name_at_once_one_succeeds(stores: Stores, crowd: ThreadPoolExecutor) -> None:
    def create(candidate: User) -> User | None:
        try:
            stores.users.create(candidate)
        except UsernameTaken:
            return None
        return candidate

    created = [one for one in crowd.map(create, [user() for _ in range(20)]) if one is not None]
    assert [stores.users.get("alice")] == created


def test_a_tombstone_keeps_a_name_taken(stores: Stores) -> None:
    tombstone = items.item({"username": items.tombstone("alice")})
    stores.clients.dynamodb.put_item(TableName=stores.names["users"], Item=tombstone)
    with pytest.raises(UsernameTaken):
        stores.users.create(user())
    assert stores.users.get("alice") is None
    stores.users.create(user("bob"))


def test_a_role_changes_and_nothing_else_does(stores: Stores) -> None:
    alice = user()
    stores.users.create(alice)
    changed = stores.users.set_role("alice", "admin", NOW + 60)
    assert changed == alice._replace(role="admin", updated_at=NOW + 60)
    assert stores.users.get("alice") == changed


def test_nobody_and_nobody_any_more_have_no_role(stores: Stores) -> None:
    gone = user()._replace(deleted_at=NOW)
    stores.clients.dynamodb.put_item(TableName=stores.names["users"], Item=items.from_user(gone))
    for name in ("alice", "bob", items.tombstone("carol")):
        assert stores.users.set_role(name, "admin", NOW) is None
    assert stores.users.get("alice") == gone
    assert stores.users.get("bob") is None


def test_a_change_writes_what_differs_and_nothing_else(stores: Stores) -> None:
    alice = user()
    stored = {**items.from_user(alice), "email": {"S": "alice@example.com"}}
    stores.clients.dynamodb.put_item(TableName=stores.names["users"], Item=stored)
    then = rules.ended(alice._replace(disabled=True), Because.DISABLED, NOW + 60)
    assert stores.users.change(alice, then)
    assert stores.users.get("alice") == then
    key = {"username": {"S": "alice"}}
    assert "email" in stores.clients.dynamodb.get_item(TableName=stores.names["users"], Key=key)["Item"]


def test_a_change_that_landed_before_is_recognised_and_one_that_was_overtaken_changes_nothing(stores: Stores) -> None:
    alice = user()
    stores.users.create(alice)
    ours, theirs = (rules.ended(alice, because, NOW + 60) for because in (Because.DISABLED, Because.PASSWORD_CHANGED))
    assert stores.users.change(alice, ours)
    assert stores.users.change(alice, ours)
    assert not stores.users.change(alice, theirs)
    assert stores.users.get("alice") == ours
    assert not stores.users.delete(alice, NOW + 60)
    assert stores.users.get("alice") == ours


def test_a_change_of_nobody_and_of_another_user_makes_no_ghost(stores: Stores) -> None:
    alice = user()
    assert not stores.users.change(alice, rules.ended(alice, Because.DISABLED, NOW))
    assert not stores.users.delete(alice, NOW)
    assert stores.users.get("alice") is None
    stores.users.create(alice)
    assert not stores.users.change(alice._replace(user_id="another"), rules.ended(alice, Because.DISABLED, NOW))
    assert stores.users.get("alice") == alice


def test_of_twenty_changes_at_once_one_is_done(stores: Stores, crowd: ThreadPoolExecutor) -> None:
    alice = user()
    stores.users.create(alice)
    wanted = [rules.ended(alice._replace(updated_at=NOW + n), Because.DISABLED, NOW + n) for n in range(20)]
    done = [
        then
        for then, landed in zip(wanted, crowd.map(lambda then: stores.users.change(alice, then), wanted), strict=True)
        if landed
    ]
    assert done == [stores.users.get("alice")]


def test_a_deleted_user_leaves_a_tombstone_that_holds_nothing_of_them(stores: Stores) -> None:
    alice = user()
    stores.users.create(alice)
    assert stores.users.delete(alice, NOW + 60)
    assert stores.users.get("alice") is None
    assert list(stores.users.list()) == []
    (grave,) = stores.clients.dynamodb.scan(TableName=stores.names["users"])["Items"]
    assert items.plain(grave) == {"username": items.tombstone("alice"), "deleted_at": NOW + 60, "schema_version": 1}
    with pytest.raises(UsernameTaken):
        stores.users.create(user())


def test_the_list_has_every_user_and_no_tombstone(stores: Stores) -> None:
    many = [user(f"user-{number}") for number in range(30)]
    for one in many:
        stores.users.create(one)
    tombstone = items.item({"username": items.tombstone("alice"), "deleted_at": NOW})
    stores.clients.dynamodb.put_item(TableName=stores.names["users"], Item=tombstone)
    assert sorted(stores.users.list()) == sorted(many)


def test_the_list_goes_on_over_pages(stores: Stores) -> None:
    many = [user(f"user-{number}")._replace(password_hash="x" * 200_000) for number in range(12)]
    for one in many:
        stores.users.create(one)
    assert {one.username for one in stores.users.list()} == {one.username for one in many}
