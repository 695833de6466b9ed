"""Guesses at passwords that come all at once, over real connections: what is counted is what reaches bcrypt."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import pytest
from rolegate.model import Caller

from tests.conftest import PASSWORD, PHONE, Answer, Handler, World, rest_event
from tests.faults.conftest import real_stack

HOME = PHONE
WRONG = "wrong horse battery staple"
INSTANCES = 16
NAMES = int(os.environ.get("NAMES") or 400)  # `make guesses` tries 5,000


class Checks:
    """How many passwords bcrypt was asked about."""

    def __init__(self) -> None:
        self.made = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.made += 1


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    """Count real checks, whatever they are made of: of somebody (checkpw) or of nobody (hashpw)."""
    checks = Checks()
    for name in ("checkpw", "hashpw"):
        real = getattr(bcrypt, name)

        def counted(secret: bytes, salt: bytes, real: Callable[..., Any] = real) -> Any:
            checks()
            return real(secret, salt)

        monkeypatch.setattr(bcrypt, name, counted)
    return checks


@pytest.fixture
def world(local_aws: str) -> Iterator[World]:
    with real_stack(local_aws, NETWORK_LIMIT="100/10") as world:
        world.guesses = True
        world.add_user()
        world.clock.tick(10)
        yield world


@pytest.fixture
def instances(world: World) -> list[Handler]:
    return [world.cold("login") for _ in range(INSTANCES)]


def network(number: int) -> Caller:
    return Caller(f"198.51.{number // 250}.{number % 250 + 1}", "Guesser/1.0")


def sign_in(handler: Handler, name: str, password: str, caller: Caller) -> Answer:
    body = json.dumps({"username": name, "password": password})
    answer = handler(rest_event("/login", body, caller=caller), None)
    return Answer(answer["statusCode"], answer["headers"], answer["body"])


def crowd(instances: list[Handler], guesses: list[tuple[str, str, Caller]]) -> list[Answer]:
    """Make all guesses, as many at once as there are instances: each answers one at a time, as on Lambda."""
    queues = [guesses[n :: len(instances)] for n in range(len(instances))]

    def work(instance: Handler, queue: list[tuple[str, str, Caller]]) -> list[Answer]:
        return [sign_in(instance, *guess) for guess in queue]

    with ThreadPoolExecutor(len(instances)) as pool:
        return [answer for answers in pool.map(work, instances, queues) for answer in answers]


def test_a_hundred_wrong_guesses_at_once_count_as_a_hundred(
    world: World, instances: list[Handler], checks: Checks
) -> None:
    answers = crowd(instances, [("alice", WRONG, HOME)] * 100)
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 90
    assert checks.made == 10
    assert sign_in(instances[0], "alice", PASSWORD, HOME).status == 429
    assert checks.made == 10
    world.clock.tick(900)
    assert sign_in(instances[0], "alice", PASSWORD, HOME).status == 200


def test_ten_right_sign_ins_at_once_all_succeed_and_two_hundred_in_a_row(instances: list[Handler]) -> None:
    answers = crowd(instances[:10], [("alice", PASSWORD, HOME)] * 10)
    assert [answer.status for answer in answers] == [200] * 10
    for turn in range(200):
        assert sign_in(instances[turn % INSTANCES], "alice", PASSWORD, HOME).status == 200


def test_a_thousand_guesses_at_one_name_from_five_hundred_networks_are_a_hundred_and_the_owner_gets_in(
    world: World, instances: list[Handler], checks: Checks, record_property: Callable[[str, object], None]
) -> None:
    assert sign_in(instances[0], "alice", PASSWORD, HOME).status == 200
    checks.made = 0
    owner: list[int] = []
    guesses = [("alice", WRONG, network(number % 500)) for number in range(1000)]

    def come_home() -> None:
        handler = world.cold("login")
        owner.extend(sign_in(handler, "alice", PASSWORD, HOME).status for _ in range(20))

    at_home = threading.Thread(target=come_home)
    at_home.start()
    answers = crowd(instances, guesses)
    at_home.join()
    assert owner == [200] * 20
    reached = checks.made - len(owner)
    record_property("1,000 guesses at one name from 500 networks", f"{reached} reached bcrypt")
    assert reached == sum(answer.status == 401 for answer in answers) <= 100
    assert {answer.status for answer in answers} == {401, 429}
    assert sign_in(instances[0], "alice", PASSWORD, HOME).status == 200


def test_thousands_of_names_from_one_network_are_a_hundred_though_the_guesser_signs_in_between(
    world: World, instances: list[Handler], checks: Checks, record_property: Callable[[str, object], None]
) -> None:
    world.post("register", {"username": "mallory", "password": PASSWORD}, network(1))
    world.clock.tick(10)
    checks.made = 0
    guesses: list[tuple[str, str, Caller]] = []
    for number in range(NAMES):
        guesses.append((f"user-{number}", WRONG, HOME))
        if number % 50 == 0:
            guesses.append(("mallory", PASSWORD, HOME))
    answers = crowd(instances, guesses)
    signed_in = sum(answer.status == 200 for answer in answers)
    reached = checks.made - signed_in
    told = f"{reached} reached bcrypt, with {signed_in} sign-ins of the guesser's own between"
    record_property(f"{NAMES:,} names guessed from one network", told)
    assert signed_in > 0
    assert reached == sum(answer.status == 401 for answer in answers) <= 100
