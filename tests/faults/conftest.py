"""A stack whose functions run in this process, over real connections to the local AWS, with a proxy in between."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import botocore.session
import pytest
from botocore.config import Config
from rolegate import bootstrap, endings
from rolegate.deadline import Deadline
from rolegate.model import Audit, Because
from rolegate.observe import Log
from rolegate.stores import aws
from rolegate.stores.sessions import Sessions
from rolegate.stores.users import Users

from local.home import CREDENTIALS, REGION
from local.stack import local_stack
from tests.conftest import (
    TABLES,
    WIRE,
    Clock,
    Cloud,
    World,
    claims,
    first_rings,
    lay_out,
    put_rings,
    replace_password,
    rest_event,
    stack_in_memory,
)
from tests.faults.proxy import Proxy


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a local AWS."""
    with local_stack(tmp_path_factory.mktemp("aws"), deployed=False) as stack:
        yield stack["endpoint_url"]


@contextmanager
def real_stack(endpoint: str, through: str | None = None, *, waits: float = 30, **settings: str) -> Iterator[World]:
    """Lay out a stack of its own in a local AWS; its functions reach it `through` another address, if told.

    `waits` is for how many seconds they wait for an answer. A crowd of threads on a busy machine is slower than any
    store, so where time is not the point it is a long one.
    """
    direct = boto3.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
    cloud = Cloud(
        cache(lambda service: direct.client(service, endpoint_url=endpoint, config=Config(max_pool_connections=50))),
        cache(botocore.session.get_session),
        {**CREDENTIALS, "AWS_ENDPOINT_URL": through or endpoint},
    )
    clock, mark, rings = Clock(), uuid.uuid4().hex, first_rings()
    world = World(clock, WIRE, dict(settings), cloud)
    lay_out(world, {table: f"{table}-{mark}" for table in TABLES}, f"/{mark}")
    put_rings(world, *rings)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environ.items():
            patch.setenv(name, value)
        patch.setattr(aws, "BOUNDED", aws.BOUNDED.merge(Config(read_timeout=waits, max_pool_connections=50)))
        patch.setattr(bootstrap, "_now", clock)
        pause = SimpleNamespace(sleep=lambda _seconds: time.sleep(0.01))  # the SDK's before a retry, which is up to 1 s
        patch.setattr(botocore.endpoint, "time", pause)
        WIRE.heal()
        yield world
        WIRE.heal()


@pytest.fixture(scope="module")
def shared_stack() -> Iterator[World]:
    """Give a stack in memory to a whole module, which then can have no other: cheaper than one for each test."""
    with stack_in_memory() as world:
        yield world


@pytest.fixture
def shared_world(shared_stack: World) -> Iterator[World]:
    """Give the module's stack, configured as ever, a day later."""
    settings = dict(shared_stack.settings)
    shared_stack.clock.tick(86_400)
    WIRE.heal()
    yield shared_stack
    shared_stack.settings = settings
    shared_stack.configure()
    WIRE.heal()


@pytest.fixture
def real_world(local_aws: str) -> Iterator[World]:
    """Give a stack over real connections."""
    with real_stack(local_aws) as world:
        yield world


@pytest.fixture
def proxy(local_aws: str) -> Iterator[Proxy]:
    """Give a proxy in front of the local AWS."""
    with Proxy(local_aws) as proxy:
        yield proxy


@pytest.fixture
def far_world(local_aws: str, proxy: Proxy) -> Iterator[World]:
    """Give a stack whose functions reach their stores through the proxy, and wait 0.6 s for each."""
    with real_stack(local_aws, proxy.url, waits=0.6) as world:
        yield world


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks in threads that all start together; give their results in order."""
    with ThreadPoolExecutor(len(tasks)) as crowd:
        return [future.result() for future in [crowd.submit(task) for task in tasks]]


# What ends sessions. The first three end one, the others all of a user.
ENDS = [
    Because.LOGOUT,
    Because.ADMIN,
    Because.REUSED,
    Because.PASSWORD_CHANGED,
    Because.DISABLED,
    Because.ENABLED,
    Because.DELETED,
    Because.SIGNED_OUT_EVERYWHERE,
]
ENDINGS: dict[Because, Callable[[str, Users, Audit, int], None]] = {
    Because.DISABLED: endings.disable,
    Because.ENABLED: endings.enable,
    Because.DELETED: endings.delete,
    Because.SIGNED_OUT_EVERYWHERE: endings.sign_out_everywhere,
}
AUDIT = Log("Rolegate").event
ANOTHER_PASSWORD = "a better password than before"


def ending(world: World, because: Because, spent: str, live: str) -> Callable[[], object]:
    """Return the task of ending the session of two tokens, in an instance of its own."""
    name = claims(live)["sub"]
    match because:
        case Because.LOGOUT:
            logout = world.cold("logout")
            return lambda: logout(rest_event("/logout", json.dumps({"token": live})), None)
        case Because.REUSED:
            refresh = world.cold("refresh")
            return lambda: refresh(rest_event("/refresh", json.dumps({"token": spent})), None)
        case Because.ADMIN:
            store = Sessions(aws.client("dynamodb", Deadline()), world.settings["SESSIONS_TABLE"])
            said = claims(live)
            return lambda: endings.end_session(said["uid"], said["sid"], store, AUDIT, world.clock.now)
        case Because.PASSWORD_CHANGED:
            return changing_the_password(world, name)
        case _:
            table = users_of(world)
            return lambda: ENDINGS[because](name, table, AUDIT, world.clock.now)


def changing_the_password(world: World, name: str) -> Callable[[], None]:
    """Return the task of giving a user another password."""
    users = users_of(world)
    return lambda: replace_password(users, name, ANOTHER_PASSWORD, world.clock.now)


def users_of(world: World) -> Users:
    """Return the users of a stack, as its functions reach them."""
    return Users(aws.client("dynamodb", Deadline()), world.settings["USERS_TABLE"])
