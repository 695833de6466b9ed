"""A user and a session read together, over every AWS."""

import json

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import MockRawResponse
from rolegate import sessions, users
from rolegate.errors import Unavailable
from rolegate.model import Because, Session, User
from rolegate.revocation import Holder, Kept
from rolegate.stores import items

from tests.conftest import NOW, PHONE
from tests.contract.conftest import Stores


@pytest.fixture
def alice(stores: Stores) -> User:
    user = users.create("alice", "no hash", "manager", NOW)
    stores.users.create(user)
    return user


@pytest.fixture
def session(stores: Stores, alice: User) -> Session:
    begun = sessions.start(alice, "rolegate", PHONE, "kid", 600, 3600, NOW)
    stores.sessions.put(begun)
    return begun


def read(stores: Stores, session: Session) -> tuple[Holder | None, Kept | None]:
    return stores.standings.read("alice", session.user_id, session.session_id)


def test_what_stands_is_told(stores: Stores, alice: User, session: Session) -> None:
    holder = Holder(alice.user_id, "manager", alice.session_epoch, may_sign_in=True)
    kept = Kept(alice.session_epoch, NOW + 3600, is_revoked=False)
    assert read(stores, session) == (holder, kept)


def test_what_is_not_there_is_none(stores: Stores, alice: User, session: Session) -> None:
    assert stores.standings.read("bob", "nobody", "nothing") == (None, None)
    assert stores.standings.read("bob", session.user_id, session.session_id)[0] is None
    assert stores.standings.read("alice", alice.user_id, "nothing")[1] is None


def test_an_end_is_seen_at_once(stores: Stores, session: Session) -> None:
    stores.sessions.revoke(session.user_id, session.session_id, Because.LOGOUT, NOW)
    _, kept = read(stores, session)
    assert kept is not None
    assert kept.is_revoked


def test_an_end_of_all_sessions_is_seen_at_once(stores: Stores, alice: User, session: Session) -> None:
    assert stores.users.change(alice, users.ended(alice._replace(disabled=True), Because.DISABLED, NOW))
    holder, kept = read(stores, session)
    assert holder is not None
    assert kept is not None
    assert not holder.may_sign_in
    assert holder.session_epoch != kept.epoch


def test_a_deletion_and_a_role_are_seen_at_once(stores: Stores, alice: User, session: Session) -> None:
    stores.users.set_role("alice", "user", NOW)
    holder, _ = read(stores, session)
    assert holder is not None
    assert holder.role == "user"
    assert stores.users.delete(alice, NOW)
    assert read(stores, session)[0] is None


def test_neither_a_passwords_hash_nor_a_tokens_id_is_fetched(stores: Stores, session: Session) -> None:
    fetched: list[str] = []

    def note(parsed: dict[str, dict[str, list[dict[str, object]]]], **_: object) -> None:
        fetched.extend(name for found in parsed["Responses"].values() for item in found for name in item)

    stores.clients.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", note)
    read(stores, session)
    stores.clients.dynamodb.meta.events.unregister("after-call.dynamodb.BatchGetItem", note)
    assert set(fetched) == {"user_id", "role", "session_epoch", "session_expires_at", "disabled"}


def test_every_read_is_consistent(stores: Stores, session: Session) -> None:
    asked: list[object] = []

    def note(params: dict[str, dict[str, dict[str, object]]], **_: object) -> None:
        asked.extend(table["ConsistentRead"] for table in params["RequestItems"].values())

    stores.clients.dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    read(stores, session)
    stores.clients.dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", note)
    assert asked == [True, True]


@pytest.mark.parametrize("unread", [1, 2])
def test_a_key_left_unread_is_asked_for_again_and_then_no_nobody(stores: Stores, session: Session, unread: int) -> None:
    answers = [unread]

    def leave_some(request: object, **_: object) -> AWSResponse | None:
        if not answers[0]:
            return None
        answers[0] -= 1
        key = items.item({"username": "alice"})
        body = json.dumps({"Responses": {}, "UnprocessedKeys": {stores.names["users"]: {"Keys": [key]}}})
        return AWSResponse(str(request), 200, HTTPHeaders.from_dict({}), MockRawResponse(body))

    events = stores.clients.dynamodb.meta.events
    events.register_first("before-send.dynamodb.BatchGetItem", leave_some)
    try:
        if unread == 1:
            assert None not in read(stores, session)
        else:
            with pytest.raises(Unavailable):
                read(stores, session)
    finally:
        events.unregister("before-send.dynamodb.BatchGetItem", leave_some)
