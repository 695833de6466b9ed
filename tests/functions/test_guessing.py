"""Guessing passwords: what counts, who is refused, and what a refusal tells nobody."""

import hashlib
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import bcrypt
import pytest
from rolegate.attempts import Limit, Limiter, Reservation
from rolegate.deadline import Deadline
from rolegate.errors import Unavailable
from rolegate.model import Caller
from rolegate.stores import aws
from rolegate.stores.attempts import Attempts

from tests.conftest import NOW, OUT_OF_REACH, PASSWORD, PHONE, WIRE, Answer, Fault, Logs, World, rest_event

WRONG = "wrong horse battery staple"
LIMITED = (429, "too_many_attempts", "Too many attempts. Try again later.")
REFUSED = (401, "invalid_credentials", "Invalid credentials")
UNAVAILABLE = (503, "unavailable", "The service is not available right now. Try again.")
IDS = count()


@pytest.fixture
def world(world: World) -> World:
    world.guesses = True
    world.add_user()
    world.clock.tick(10)  # so that the registration does not count any more
    world.wire.calls.clear()
    return world


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bcrypt is really asked to do."""
    done: list[str] = []
    for name in ("checkpw", "hashpw"):
        real = getattr(bcrypt, name)

        def watched(secret: bytes, salt: bytes, real: Callable[..., Any] = real, name: str = name) -> Any:
            done.append(name)
            return real(secret, salt)

        monkeypatch.setattr(bcrypt, name, watched)
    return done


def sign_in(world: World, name: str = "alice", password: str = WRONG, caller: Caller = PHONE) -> Answer:
    return world.post("login", {"username": name, "password": password}, caller)


def elsewhere(number: int) -> Caller:
    return Caller(f"198.51.{number // 250}.{number % 250 + 1}", "Guesser/1.0")


# The three limits


@pytest.mark.parametrize("name", ["alice", "nobody", "no name at all", "x" * 3000])
def test_a_name_has_ten_guesses_from_a_network_and_then_one_in_15_minutes(
    world: World, name: str, checked: list[str]
) -> None:
    assert [sign_in(world, name).problem for _ in range(10)] == [REFUSED] * 10
    assert len(checked) == 10
    refused = sign_in(world, name)
    assert refused.problem == LIMITED
    assert refused.headers["Retry-After"] == "900"
    assert refused.headers["Cache-Control"] == "no-store"
    assert len(checked) == 10
    world.clock.tick(899)
    assert sign_in(world, name).headers["Retry-After"] == "1"
    world.clock.tick(1)
    assert [sign_in(world, name).problem for _ in range(2)] == [REFUSED, LIMITED]
    assert len(checked) == 11


def test_the_right_password_is_refused_while_there_are_too_many_guesses_and_works_after(
    world: World, checked: list[str]
) -> None:
    for _ in range(10):
        sign_in(world)
    checked.clear()
    wrong, right = sign_in(world), sign_in(world, password=PASSWORD)
    assert (wrong.problem, wrong.headers, wrong.text) == (LIMITED, right.headers, right.text)
    assert checked == []
    world.clock.tick(900)
    assert sign_in(world, password=PASSWORD).status == 200


def test_a_refusal_is_the_same_bytes_for_whoever_there_is(world: World) -> None:
    world.add_user("bob", disabled=True)
    world.add_user("carol", deleted_at=NOW)
    world.add_user("dave", password_hash="no hash at all")
    answers = [[sign_in(world, name) for _ in range(11)] for name in ("alice", "nobody", "bob", "carol", "dave", "é")]
    assert len({json.dumps([answer._asdict() for answer in row]) for row in answers}) == 1
    assert answers[0][-1].problem == LIMITED


def test_a_name_has_so_many_guesses_from_all_networks_together(world: World, checked: list[str]) -> None:
    world.configure(USER_LIMIT="20/900")
    answers = [sign_in(world, caller=elsewhere(number)).problem for number in range(30)]
    assert answers == [REFUSED] * 20 + [LIMITED] * 10
    assert len(checked) == 20
    assert sign_in(world, caller=elsewhere(200)).headers["Retry-After"] == "900"
    world.clock.tick(900)
    assert [sign_in(world, caller=elsewhere(n)).problem for n in (201, 202)] == [REFUSED, LIMITED]


def test_whoever_guesses_elsewhere_cannot_shut_the_owner_out_at_home(world: World) -> None:
    world.configure(USER_LIMIT="20/900")
    world.login()
    for number in range(20):
        sign_in(world, caller=elsewhere(number))
    assert sign_in(world, caller=elsewhere(501)).problem == LIMITED
    assert sign_in(world, password=PASSWORD, caller=Caller("203.0.113.9")).problem == LIMITED  # a new network
    assert sign_in(world, password=PASSWORD).status == 200
    world.clock.tick(29 * 86_400)
    for number in range(20):
        sign_in(world, caller=elsewhere(number))
    assert sign_in(world, password=PASSWORD).status == 200


def test_a_network_is_not_known_any_more_after_30_days(world: World) -> None:
    world.configure(USER_LIMIT="20/900")
    world.login()
    world.clock.tick(30 * 86_400)
    for number in range(20):
        sign_in(world, caller=elsewhere(number))
    assert sign_in(world, password=PASSWORD).problem == LIMITED


def test_a_network_that_is_known_has_its_own_limit_still(world: World) -> None:
    world.login()
    assert [sign_in(world).problem for _ in range(11)] == [REFUSED] * 10 + [LIMITED]


def test_a_network_has_so_many_guesses_whatever_the_names(world: World, checked: list[str]) -> None:
    world.configure(NETWORK_LIMIT="20/10")
    answers = [sign_in(world, f"user-{number}") for number in range(23)]
    assert [answer.problem for answer in answers] == [REFUSED] * 20 + [LIMITED] * 3
    assert answers[-1].headers["Retry-After"] == "10"
    assert len(checked) == 20
    world.clock.tick(10)
    assert [sign_in(world, f"user-{number}").problem for number in (200, 201)] == [REFUSED, LIMITED]
    assert sign_in(world, "user-1", caller=elsewhere(1)).problem == REFUSED


def test_who_signs_in_between_refills_nobodys_budget(world: World, checked: list[str]) -> None:
    """Somebody with an account of their own, who tries a password at a long list of names."""
    world.configure(NETWORK_LIMIT="20/10")
    tried = 0
    for number in range(40):
        tried += sign_in(world, f"user-{number}").status == 401
        if number % 4 == 0:
            sign_in(world, password=PASSWORD)
    assert tried == 20
    assert checked.count("hashpw") == 20  # of nobody's


def test_a_refused_guess_costs_the_other_limits_nothing(world: World) -> None:
    """Whoever shares a network with a guesser, and is refused for it, has all their own guesses afterwards."""
    world.configure(NETWORK_LIMIT="20/10")
    for number in range(20):
        sign_in(world, f"user-{number}")
    for _ in range(12):
        assert sign_in(world, password=PASSWORD).problem == LIMITED
    world.clock.tick(200)
    assert [sign_in(world).problem for _ in range(11)] == [REFUSED] * 10 + [LIMITED]


def test_signing_in_again_and_again_is_never_too_much(world: World) -> None:
    world.configure(NETWORK_LIMIT="3/10", USER_NETWORK_LIMIT="3/900")
    for turn in range(40):
        assert sign_in(world, password=PASSWORD).status == 200
        world.clock.tick(turn % 2)


def test_registrations_count_for_the_network_alone(world: World) -> None:
    world.configure(NETWORK_LIMIT="5/10")
    answers = [world.post("register", {"username": f"user-{n}", "password": PASSWORD}) for n in range(6)]
    assert [answer.status for answer in answers] == [201] * 5 + [429]
    assert answers[-1].problem == LIMITED
    assert answers[-1].headers["Retry-After"] == "10"
    assert sign_in(world, password=PASSWORD).problem == LIMITED
    assert world.post("register", {"username": "user-6", "password": PASSWORD}, elsewhere(1)).status == 201


def test_what_is_no_registration_costs_nothing(world: World) -> None:
    world.configure(NETWORK_LIMIT="1/10")
    for body in ({"username": "", "password": PASSWORD}, {"username": "bob", "password": "short"}):
        assert world.post("register", body).status == 400
    assert world.post("register", {"username": "bob", "password": PASSWORD}).status == 201


@pytest.mark.parametrize("change", [{"password_changed_at": NOW + 100}, {"sessions_ended_at": NOW + 100}])
def test_a_network_of_before_the_password_was_changed_is_known_no_more(
    world: World, change: dict[str, Any], checked: list[str]
) -> None:
    """Whoever had the password until then may have signed in from many."""
    world.configure(USER_LIMIT="20/900")
    for number in range(5):
        assert sign_in(world, password=PASSWORD, caller=elsewhere(number)).status == 200
    world.clock.tick(3600)
    world.change_user(**change)
    checked.clear()
    answers = [sign_in(world, caller=elsewhere(number)).status for number in range(5) for _ in range(6)]
    assert answers.count(401) == len(checked) == 20
    world.clock.tick(86_400 * 2)
    assert sign_in(world, password=PASSWORD).status == 200  # and where the owner signs in afterwards is known again
    for number in range(25):
        sign_in(world, caller=elsewhere(number))
    assert sign_in(world, password=PASSWORD).status == 200


# Which network


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "CloudFront-Viewer-Address"])
def test_no_header_that_a_client_writes_makes_another_network(world: World, name: str) -> None:
    answers = []
    for number in range(20):
        event = rest_event("/login", json.dumps({"username": "alice", "password": WRONG}))
        event["headers"][name] = f"203.0.113.{number}"
        event["multiValueHeaders"][name] = [f"203.0.113.{number}"]
        answers.append(world.ask("login", event).problem)
    assert answers == [REFUSED] * 10 + [LIMITED] * 10


SECRET = "a long random secret that the CDN alone knows"


def by_edge(world: World, address: str, secret: str | None = SECRET) -> Answer:
    event = rest_event("/login", json.dumps({"username": "alice", "password": WRONG}))
    event["headers"] |= {"cloudfront-viewer-address": address}
    event["headers"] |= {"x-edge-secret": secret} if secret is not None else {}
    return world.ask("login", event)


def test_behind_ones_own_cdn_the_address_is_the_one_that_the_cdn_saw(world: World) -> None:
    world.configure(EDGE_SECRET_SHA256=hashlib.sha256(SECRET.encode()).hexdigest())
    for address in ("203.0.113.7:46532", "2001:db8:0:0:0:0:0:7:46532", "[2001:db8:1::7]:443"):
        assert [by_edge(world, address).problem for _ in range(11)] == [REFUSED] * 10 + [LIMITED]
    one, other = "2001:db8::5:1111:7:8:9:4653", "2001:db8::5:2222:7:8:9:4653"  # the same /64, and a port of four digits
    assert [by_edge(world, address).problem for address in (one, other) * 6] == [REFUSED] * 10 + [LIMITED] * 2
    world.login(caller=Caller("203.0.113.9"))
    assert world.stored()["sessions"][0]["source_ip"] == {"S": "203.0.113.9"}


@pytest.mark.parametrize("address", ["203.0.113.8", "203.0.113.8:443", "2001:db8::8", "[2001:db8::8]:443"])
def test_another_cdn_may_name_the_address_without_a_port(world: World, address: str) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    world.configure(EDGE_SECRET_SHA256=digest, EDGE_ADDRESS_HEADER="True-Client-IP")
    event = rest_event("/login", json.dumps({"username": "alice", "password": PASSWORD}))
    event["headers"] |= {"true-client-ip": address, "x-edge-secret": SECRET}
    assert world.ask("login", event).status == 200
    (session,) = world.stored()["sessions"]
    assert session["source_ip"]["S"] in ("203.0.113.8", "2001:db8::8")


@pytest.mark.parametrize("secret", [None, "", "another", SECRET + " ", SECRET.upper(), "\ud800"])
def test_without_the_cdns_secret_its_header_is_anybodys(world: World, secret: str | None) -> None:
    world.configure(EDGE_SECRET_SHA256=hashlib.sha256(SECRET.encode()).hexdigest())
    answers = [by_edge(world, f"203.0.113.{number}:443", secret).problem for number in range(11)]
    assert answers == [REFUSED] * 10 + [LIMITED]


@pytest.mark.parametrize("address", ["", "unknown", "203.0.113", "203.0.113.7, 10.0.0.1", "a:b:c"])
def test_a_cdn_that_names_no_address_leaves_the_gateways(world: World, address: str) -> None:
    world.configure(EDGE_SECRET_SHA256=hashlib.sha256(SECRET.encode()).hexdigest())
    assert [by_edge(world, address).problem for _ in range(10)] == [REFUSED] * 10
    assert sign_in(world).problem == LIMITED


# What goes wrong


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.REFUSED])
@pytest.mark.parametrize("before", range(3))
def test_without_the_count_no_password_is_checked(world: World, fault: Fault, before: int, checked: list[str]) -> None:
    world.wire.order("UpdateItem", *[None] * before, *[fault] * 6)
    answer = sign_in(world, password=PASSWORD)
    assert answer.problem == UNAVAILABLE
    assert "Retry-After" in answer.headers
    assert checked == []
    world.wire.heal()
    assert sign_in(world, password=PASSWORD).status == 200


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.REFUSED])
def test_who_proved_the_password_is_let_in_though_the_guess_cannot_be_given_back(
    world: World, fault: Fault, logs: Logs
) -> None:
    world.wire.order("UpdateItem", *[None] * 3, *[fault] * 6)
    assert sign_in(world, password=PASSWORD).status == 200
    assert len(logs.events("not_settled")) == 3


@pytest.mark.parametrize("fault", [*OUT_OF_REACH, Fault.REFUSED])
@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "GetSecretValue"])
def test_whoever_tries_again_while_a_store_is_down_uses_no_guess_up(world: World, fault: Fault, operation: str) -> None:
    world.configure(USER_NETWORK_LIMIT="3/900")
    for _ in range(4):
        world.restart("login")
        world.wire.order(operation, *[fault] * 4)
        assert sign_in(world, password=PASSWORD).status == 503
        world.wire.heal()
    assert sign_in(world, password=PASSWORD).status == 200
    assert [sign_in(world).problem for _ in range(4)] == [REFUSED] * 3 + [LIMITED]


def test_a_registration_without_the_count_hashes_nothing(world: World, checked: list[str]) -> None:
    world.wire.order("UpdateItem", Fault.THROTTLED, Fault.THROTTLED)
    assert world.post("register", {"username": "bob", "password": PASSWORD}).problem == UNAVAILABLE
    assert checked == []


def test_a_registration_whose_answer_got_lost_does_not_find_its_own_name_taken(world: World) -> None:
    world.wire.order("TransactWriteItems", Fault.ANSWER_LOST)
    assert world.post("register", {"username": "bob", "password": PASSWORD}).status == 201
    assert world.post("register", {"username": "bob", "password": PASSWORD}).status == 409


def test_a_limit_is_told_to_operators_without_the_name(world: World, logs: Logs) -> None:
    for _ in range(11):
        sign_in(world, "a-name-that-nobody-has")
    (event,) = logs.events("attempts_limited")
    assert (event["source_ip"], event["user_agent"]) == (PHONE.source_ip, PHONE.user_agent)
    assert event["limiter"] == "user and network"
    assert logs.metrics() == ["AttemptsLimited"]
    assert "a-name-that-nobody-has" not in logs.text
    assert WRONG not in logs.text


# The count itself, when answers get lost


LIMITER = Limiter("a hash", Limit(10, 900), 9000)


@pytest.fixture
def table(world: World) -> Attempts:
    assert world.wire is WIRE
    return Attempts(aws.client("dynamodb", Deadline()), "attempts")


def guess(table: Attempts) -> Reservation:
    return table.reserve(LIMITER, f"guess-{next(IDS)}", NOW)


@pytest.mark.parametrize("made", [0, 5])
def test_a_guess_whose_answer_got_lost_counts_once(world: World, table: Attempts, made: int) -> None:
    for _ in range(made):
        guess(table)
    world.wire.order("UpdateItem", *([None] if made else []), Fault.ANSWER_LOST)
    assert guess(table).is_counted
    assert [guess(table).is_counted for _ in range(10 - made)] == [True] * (9 - made) + [False]


def test_what_is_given_back_twice_because_an_answer_got_lost_is_given_back_once(world: World, table: Attempts) -> None:
    made = [guess(table) for _ in range(10)]
    world.wire.order("UpdateItem", Fault.ANSWER_LOST)
    table.give_back(made[4], NOW)
    assert [guess(table).is_counted for _ in range(2)] == [True, False]


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_a_table_out_of_reach_counts_nothing_and_lets_nobody_guess(world: World, table: Attempts, fault: Fault) -> None:
    world.wire.order("UpdateItem", fault, fault)
    with pytest.raises(Unavailable):
        guess(table)
    assert [guess(table).is_counted for _ in range(11)] == [True] * 10 + [False]


def test_a_limiter_that_others_keep_moving_is_unavailable_and_not_unlimited(world: World, table: Attempts) -> None:
    """In between it comes to rest and fills up again, so that neither of the two writes ever holds."""
    guess(table)

    def rest() -> None:
        table.forgive(LIMITER)

    def fill() -> None:
        table.reserve(LIMITER, "another", NOW)

    world.wire.order("UpdateItem", None, rest, None, fill, None, rest, None, fill, None)
    with pytest.raises(Unavailable):
        guess(table)
