"""The sessions table, over every AWS: every change is one conditional write, which tells what stood in its way."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from rolegate import sessions as rules
from rolegate import users
from rolegate.errors import Unavailable
from rolegate.model import Caller, Presented, RefreshToken, Session
from rolegate.sessions import Policy
from rolegate.stores import aws
from rolegate.stores.sessions import Refusal

from tests.conftest import LAPTOP, NOW, PHONE, template
from tests.contract.conftest import Stores

WEEK, MONTH = 7 * 86_400, 30 * 86_400
POLICY = Policy(WEEK, 30, 20, ("rolegate", "reports"))
ALICE = users.create("alice", "no hash", "user", NOW)


@pytest.fixture
def session(stores: Stores) -> Session:
    began = rules.start(ALICE, "reports", PHONE, "kid-1", WEEK, MONTH, NOW)
    stores.sessions.put(began)
    return began


def presented(session: Session, token: RefreshToken | None = None) -> Presented:
    return Presented(
        token or session.live, "alice", session.user_id, session.session_id, session.auth_time, session.expires_at
    )


def successor(session: Session, now: int = NOW) -> RefreshToken:
    return rules.successor(presented(session), "kid-2", WEEK, now)


def rotate(
    stores: Stores,
    session: Session,
    *,
    token: RefreshToken | None = None,
    fresh: RefreshToken | None = None,
    epoch: str = ALICE.session_epoch,
    policy: Policy = POLICY,
    now: int = NOW + 900,
) -> Session | Refusal:
    fresh = fresh or successor(session, now)
    return stores.sessions.rotate(presented(session, token), fresh, epoch, LAPTOP, policy, now)


def stored(stores: Stores, session: Session) -> dict[str, dict[str, object]] | None:
    key = {"user_id": {"S": session.user_id}, "session_id": {"S": session.session_id}}
    found = stores.clients.dynamodb.get_item(TableName=stores.names["sessions"], Key=key, ConsistentRead=True)
    item: dict[str, dict[str, object]] | None = found.get("Item")
    return item


def test_a_session_is_put_once_and_a_second_try_of_the_same_is_recognised(stores: Stores, session: Session) -> None:
    stores.sessions.put(session)
    other = session._replace(live=successor(session))
    with pytest.raises(Unavailable):
        stores.sessions.put(other)
    assert rotate(stores, session, token=other.live) == Refusal(session)


def test_the_item_is_as_the_template_and_operators_know_it(stores: Stores, session: Session) -> None:
    assert stored(stores, session) == {
        "user_id": {"S": ALICE.user_id},
        "session_id": {"S": session.session_id},
        "session_epoch": {"S": ALICE.session_epoch},
        "token_id": {"S": session.live.id},
        "token_kid": {"S": "kid-1"},
        "token_issued_at": {"N": str(NOW)},
        "token_expires_at": {"N": str(NOW + WEEK)},
        "generation": {"N": "0"},
        "auth_time": {"N": str(NOW)},
        "amr": {"L": [{"S": "pwd"}]},
        "client_id": {"S": "rolegate"},
        "audience": {"S": "reports"},
        "created_at": {"N": str(NOW)},
        "session_expires_at": {"N": str(NOW + MONTH)},
        "source_ip": {"S": PHONE.source_ip},
        "user_agent": {"S": PHONE.user_agent},
        "schema_version": {"N": "1"},
    }


def test_the_attribute_that_ttl_deletes_by_is_the_absolute_end(stores: Stores, session: Session) -> None:
    ttl = template()["Resources"]["Sessions"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    item = stored(stores, session)
    assert item is not None
    assert item[ttl] == {"N": str(session.expires_at)}


def test_a_caller_of_whom_nothing_is_known_can_be_stored(stores: Stores) -> None:
    began = rules.start(ALICE, "reports", Caller("", ""), "kid-1", WEEK, MONTH, NOW)
    stores.sessions.put(began)
    assert rotate(stores, began, epoch="another") == Refusal(began)


def test_a_rotation_makes_the_fresh_token_the_live_one(stores: Stores, session: Session) -> None:
    fresh = successor(session, NOW + 900)
    assert rotate(stores, session, fresh=fresh) == session._replace(
        live=fresh, previous_token_id=session.live.id, rotated_at=NOW + 900, caller=LAPTOP
    )


def test_the_next_rotation_waits_until_the_last_one_is_older_than_the_window(stores: Stores, session: Session) -> None:
    first = rotate(stores, session)
    assert isinstance(first, Session)
    assert rotate(stores, first, now=NOW + 900 + 32) == Refusal(first)
    second = rotate(stores, first, now=NOW + 900 + 33)
    assert isinstance(second, Session)
    assert (second.live.generation, second.previous_token_id) == (2, first.live.id)


def test_without_a_grace_no_rotation_waits(stores: Stores, session: Session) -> None:
    policy = POLICY._replace(grace=0)
    first = rotate(stores, session, policy=policy)
    assert isinstance(first, Session)
    assert isinstance(rotate(stores, first, policy=policy), Session)


def test_a_rotation_that_may_not_be_changes_nothing_and_gives_the_item(stores: Stores, session: Session) -> None:
    other = successor(session)
    assert rotate(stores, session, token=other) == Refusal(session)
    assert rotate(stores, session, epoch="another") == Refusal(session)
    assert rotate(stores, session, policy=POLICY._replace(audiences=("rolegate",))) == Refusal(session)
    assert rotate(stores, session, now=NOW + WEEK) == Refusal(session)
    assert rotate(stores, session, now=NOW + MONTH) == Refusal(session)
    assert isinstance(rotate(stores, session, now=NOW + WEEK - 1), Session)


def test_a_session_past_its_end_does_not_rotate_though_its_token_would(stores: Stores) -> None:
    began = rules.start(ALICE, "reports", PHONE, "kid-1", WEEK, MONTH, NOW)
    began = began._replace(expires_at=NOW + 60)
    stores.sessions.put(began)
    assert rotate(stores, began, now=NOW + 60) == Refusal(began)
    assert isinstance(rotate(stores, began, now=NOW + 59), Session)


def test_a_session_that_is_not_there_stays_so(stores: Stores) -> None:
    gone = rules.start(ALICE, "reports", PHONE, "kid-1", WEEK, MONTH, NOW)
    assert rotate(stores, gone) == Refusal(None)
    assert stores.sessions.forgive(presented(gone), gone, NOW) == Refusal(None)
    assert stores.sessions.revoke(gone.user_id, gone.session_id, "logout", NOW) is None
    assert stored(stores, gone) is None


def test_of_twenty_rotations_at_once_one_is_done_and_all_see_it(
    stores: Stores, session: Session, crowd: ThreadPoolExecutor
) -> None:
    tries = [successor(session, NOW + 900) for _ in range(20)]
    results = list(crowd.map(lambda fresh: rotate(stores, session, fresh=fresh), tries))
    (won,) = [result for result in results if isinstance(result, Session)]
    assert won.live in tries
    assert [result for result in results if result is not won] == [Refusal(won)] * 19


def test_of_twenty_rotations_and_a_revocation_at_once_nothing_is_live_afterwards(
    stores: Stores, session: Session, crowd: ThreadPoolExecutor
) -> None:
    rotations = [crowd.submit(rotate, stores, session) for _ in range(10)]
    ended = stores.sessions.revoke(session.user_id, session.session_id, "logout", NOW + 900)
    rotated = [done for rotation in rotations if isinstance(done := rotation.result(), Session)]
    assert ended is not None
    assert len(rotated) <= 1
    after = rotate(stores, session, token=(rotated or [session])[0].live, now=NOW + 9000)
    assert isinstance(after, Refusal)
    assert after.session is not None
    assert after.session.revoked_at == NOW + 900


def test_a_late_retry_is_forgiven_as_it_was_seen(stores: Stores, session: Session) -> None:
    live = rotate(stores, session)
    assert isinstance(live, Session)
    forgiven = stores.sessions.forgive(presented(session), live, NOW + 9000)
    assert forgiven == live._replace(rotated_at=NOW + 9000, late_retry_generation=1)
    assert stores.sessions.forgive(presented(session), live, NOW + 9001) == Refusal(forgiven)
    assert isinstance(forgiven, Session)
    again = stores.sessions.forgive(presented(session), forgiven, NOW + 9002)
    assert again == forgiven._replace(rotated_at=NOW + 9002)


def test_of_twenty_late_retries_at_once_one_is_written(
    stores: Stores, session: Session, crowd: ThreadPoolExecutor
) -> None:
    live = rotate(stores, session)
    assert isinstance(live, Session)
    results = list(crowd.map(lambda _: stores.sessions.forgive(presented(session), live, NOW + 9000), range(20)))
    (written,) = [result for result in results if isinstance(result, Session)]
    assert [result for result in results if result is not written] == [Refusal(written)] * 19


def test_nothing_is_forgiven_once_the_session_has_moved_on_or_ended(stores: Stores, session: Session) -> None:
    live = rotate(stores, session)
    assert isinstance(live, Session)
    assert stores.sessions.forgive(presented(session), live._replace(epoch="another"), NOW) == Refusal(live)
    assert stores.sessions.forgive(presented(session), session, NOW) == Refusal(live)
    ended = stores.sessions.revoke(session.user_id, session.session_id, "logout", NOW + 901)
    assert stores.sessions.forgive(presented(session), live, NOW) == Refusal(ended)


def test_a_session_ends_once_and_the_first_reason_stays(stores: Stores, session: Session) -> None:
    ended = stores.sessions.revoke(session.user_id, session.session_id, "logout", NOW + 60)
    assert ended is not None
    assert ended == session._replace(revoked_at=NOW + 60, revoked_because="logout", revocation_id=ended.revocation_id)
    for because in ("logout", "refresh_token_reused"):
        assert stores.sessions.revoke(session.user_id, session.session_id, because, NOW + 60) is None
    assert stores.sessions.revoke(session.user_id, str(uuid.uuid4()), "logout", NOW + 60) is None
    assert rotate(stores, session) == Refusal(ended)


def test_a_missing_table_is_no_passing_trouble(stores: Stores, session: Session) -> None:
    stores.clients.dynamodb.delete_table(TableName=stores.names["sessions"])
    with pytest.raises(aws.Refused, match=r"^AWS refused UpdateItem: ResourceNotFoundException\.$"):
        rotate(stores, session)
