"""How sessions end: the causes that end everything of a user, each in one write, and what stands in their way."""

from collections.abc import Callable

import pytest
from rolegate import endings, errors
from rolegate.deadline import Deadline
from rolegate.model import Audit, Because
from rolegate.observe import Log
from rolegate.stores import aws
from rolegate.stores.sessions import Sessions
from rolegate.stores.users import Users

from tests.conftest import LAPTOP, OUT_OF_REACH, PASSWORD, PHONE, Fault, Logs, World, claims, replace_password

NEW = "a better password than before"
REVOKED = (401, "refresh_token_revoked", "Refresh token revoked")
AUDIT = Log("Rolegate").event
Ending = Callable[[str, Users, Audit, int], None]
ENDINGS: dict[Because, Ending] = {
    Because.DISABLED: endings.disable,
    Because.ENABLED: endings.enable,
    Because.SIGNED_OUT_EVERYWHERE: endings.sign_out_everywhere,
    Because.DELETED: endings.delete,
}
everyone = pytest.mark.parametrize("because", ENDINGS)


@pytest.fixture
def table(world: World) -> Users:
    world.add_user()
    return Users(aws.client("dynamodb", Deadline()), "users")


@pytest.fixture
def change(world: World, table: Users) -> Callable[..., None]:
    def change(new: str = NEW) -> None:
        replace_password(table, "alice", new, world.clock.now)

    return change


@everyone
def test_every_session_ends_in_the_write_of_its_cause(world: World, table: Users, because: Because) -> None:
    sessions = [world.login()["refresh_token"], world.login(caller=LAPTOP)["refresh_token"]]
    world.clock.tick(60)
    world.wire.calls.clear()
    ENDINGS[because](" Alice", table, AUDIT, world.clock.now)
    assert world.wire.calls == ["GetItem", "TransactWriteItems" if because is Because.DELETED else "UpdateItem"]
    before = world.stored()
    for one in sessions:
        assert world.refresh(one).problem == REVOKED
    assert world.stored() == before


@everyone
def test_the_reason_is_recorded_on_the_user_and_in_the_log(
    world: World, table: Users, because: Because, logs: Logs
) -> None:
    user_id = world.user()["user_id"]
    ENDINGS[because]("alice", table, AUDIT, world.clock.now)
    (event,) = logs.events("sessions_ended")
    assert (event["because"], event["user_id"], event["username"]) == (because, user_id, "alice")
    if because is not Because.DELETED:
        stored = world.user()
        assert (stored["sessions_ended_because"], stored["sessions_ended_at"]) == (because, world.clock.now)


def test_another_user_is_untouched(world: World, table: Users) -> None:
    world.add_user("bob")
    bob = world.login("bob")["refresh_token"]
    for ending in ENDINGS.values():
        ending("alice", table, AUDIT, world.clock.now)
    assert world.refresh(bob).status == 200


def test_a_disabled_user_is_kept_out_until_enabled_and_old_sessions_stay_ended(world: World, table: Users) -> None:
    old = world.login()["refresh_token"]
    endings.disable("alice", table, AUDIT, world.clock.now)
    assert world.post("login", {"username": "alice", "password": PASSWORD}).status == 401
    endings.enable("alice", table, AUDIT, world.clock.now)
    assert world.refresh(old).problem == REVOKED
    assert world.refresh(world.login()["refresh_token"]).status == 200


def test_who_is_signed_out_everywhere_may_sign_in_again(world: World, table: Users) -> None:
    endings.sign_out_everywhere("alice", table, AUDIT, world.clock.now)
    assert world.refresh(world.login()["refresh_token"]).status == 200


def test_a_deleted_users_name_is_nobodys_ever_after(world: World, table: Users) -> None:
    endings.delete("alice", table, AUDIT, world.clock.now)
    assert world.post("login", {"username": "alice", "password": PASSWORD}).status == 401
    taken = world.post("register", {"username": "alice", "password": PASSWORD})
    assert taken.problem == (409, "username_taken", "This username is taken.")


@everyone
@pytest.mark.parametrize("name", ["nobody", "", "no name at all", "#deleted#x"])
def test_nobody_cannot_be_ended(table: Users, because: Because, name: str) -> None:
    with pytest.raises(errors.NotFound, match=r"^There is no such user\.$"):
        ENDINGS[because](name, table, AUDIT, 0)


@everyone
def test_who_is_overtaken_looks_again(world: World, table: Users, because: Because) -> None:
    session = world.login()["refresh_token"]
    operation = "TransactWriteItems" if because is Because.DELETED else "UpdateItem"
    world.wire.order(operation, lambda: world.change_user(session_epoch="of another", role="admin"))
    ENDINGS[because]("alice", table, AUDIT, world.clock.now)
    assert world.refresh(session).problem == REVOKED
    if because is not Because.DELETED:
        assert (world.user()["sessions_ended_because"], world.user()["role"]) == (because, "admin")


@everyone
def test_who_is_overtaken_again_and_again_gives_up_without_a_word_of_success(
    world: World, table: Users, because: Because, logs: Logs
) -> None:
    overtaking = [lambda n=n: world.change_user(session_epoch=f"epoch {n}") for n in range(5)]
    world.wire.order("TransactWriteItems" if because is Because.DELETED else "UpdateItem", *overtaking)
    with pytest.raises(errors.Unavailable):
        ENDINGS[because]("alice", table, AUDIT, world.clock.now)
    assert world.user()["session_epoch"] == "epoch 4"
    assert logs.events("sessions_ended") == []


@everyone
@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_an_end_that_could_not_be_written_is_no_success(
    world: World, table: Users, because: Because, fault: Fault, logs: Logs
) -> None:
    before = world.stored()
    world.wire.order("TransactWriteItems" if because is Because.DELETED else "UpdateItem", fault, fault)
    with pytest.raises(errors.Unavailable):
        ENDINGS[because]("alice", table, AUDIT, world.clock.now)
    assert world.stored() == before
    assert logs.events("sessions_ended") == []


@pytest.mark.parametrize("because", [one for one in ENDINGS if one is not Because.DELETED])
def test_an_end_whose_answer_got_lost_is_one_end(world: World, table: Users, because: Because, logs: Logs) -> None:
    world.wire.order("UpdateItem", Fault.ANSWER_LOST)
    ENDINGS[because]("alice", table, AUDIT, world.clock.now)
    assert world.user()["sessions_ended_because"] == because
    assert len(logs.events("sessions_ended")) == 1


def test_one_session_ends_by_an_administrators_word(world: World, logs: Logs) -> None:
    world.add_user()
    one, other = world.login()["refresh_token"], world.login()["refresh_token"]
    said, store = claims(one), Sessions(aws.client("dynamodb", Deadline()), "sessions")
    assert endings.end_session(said["uid"], said["sid"], store, AUDIT, world.clock.now)
    assert not endings.end_session(said["uid"], said["sid"], store, AUDIT, world.clock.now + 1)
    assert world.refresh(one).problem == REVOKED
    assert world.refresh(other).status == 200
    assert (world.session(one)["revoked_because"], len(logs.events("session_ended"))) == ("admin", 1)


# A change of the password


def test_a_changed_password_replaces_the_old_one_and_ends_every_session(
    world: World, change: Callable[..., None], logs: Logs
) -> None:
    session = world.login()["refresh_token"]
    world.clock.tick(60)
    change()
    assert world.refresh(session).problem == REVOKED
    assert world.post("login", {"username": "alice", "password": PASSWORD}).status == 401
    assert world.post("login", {"username": "alice", "password": NEW}).status == 200
    stored = world.user()
    assert stored["password_changed_at"] == stored["updated_at"] == stored["sessions_ended_at"] == world.clock.now
    (event,) = logs.events("sessions_ended")
    assert (event["because"], event["source_ip"]) == ("password_changed", PHONE.source_ip)
    assert PASSWORD not in logs.text
    assert NEW not in logs.text


def test_a_password_change_whose_answer_got_lost_is_done(world: World, change: Callable[..., None]) -> None:
    world.wire.order("UpdateItem", Fault.ANSWER_LOST)
    change()
    assert world.post("login", {"username": "alice", "password": NEW}).status == 200


def test_a_password_that_was_changed_meanwhile_is_not_changed_again(world: World, change: Callable[..., None]) -> None:
    world.wire.order("UpdateItem", lambda: change("the one who came first"))
    with pytest.raises(errors.Unavailable):
        change()
    assert world.post("login", {"username": "alice", "password": "the one who came first"}).status == 200
