"""Two AWSs behind the same stores: moto's in this process, and the local AWS over HTTP."""

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from rolegate.deadline import Deadline
from rolegate.stores import aws
from rolegate.stores.attempts import Attempts
from rolegate.stores.documents import Documents
from rolegate.stores.rings import RingStore
from rolegate.stores.sessions import Sessions
from rolegate.stores.standings import Standings
from rolegate.stores.users import Users

from local.home import CREDENTIALS
from local.stack import local_stack
from tests.conftest import TABLES, create_table, stack_without_rings


class Clients(NamedTuple):
    """The clients that the functions use, made as the functions make them."""

    dynamodb: Any
    secretsmanager: Any
    ssm: Any


class Stores(NamedTuple):
    """New and empty stores of everything, and the way to look into them."""

    users: Users
    sessions: Sessions
    standings: Standings
    attempts: Attempts
    ring: RingStore
    documents: Documents
    clients: Clients
    names: Mapping[str, str]


@pytest.fixture(scope="session")
def _local_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_stack(tmp_path_factory.mktemp("aws"), deployed=False) as stack:
        yield stack["endpoint_url"]


@pytest.fixture(scope="module", params=["moto", "local AWS"])
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    if request.param == "moto":
        with stack_without_rings():
            yield Clients(*(aws.client(service, Deadline()) for service in Clients._fields))
    else:
        endpoint = request.getfixturevalue("_local_endpoint")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
                patch.setenv(name, value)
            yield Clients(*(aws.client(service, Deadline()) for service in Clients._fields))


@pytest.fixture
def stores(clients: Clients) -> Stores:
    mark = uuid.uuid4().hex
    names = {name: f"{name}-{mark}" for name in (*TABLES, "ring")} | {"documents": f"/{mark}/jwks"}
    for table, keys in TABLES.items():
        create_table(clients.dynamodb, names[table], keys)
    secret = clients.secretsmanager.create_secret(Name=names["ring"], SecretString="{}")["ARN"]
    clients.ssm.put_parameter(Name=names["documents"], Value='{"keys":[]}', Type="String")
    return Stores(
        Users(clients.dynamodb, names["users"]),
        Sessions(clients.dynamodb, names["sessions"]),
        Standings(clients.dynamodb, names["users"], names["sessions"]),
        Attempts(clients.dynamodb, names["attempts"]),
        RingStore(clients.secretsmanager, secret),
        Documents(clients.ssm, names["documents"]),
        clients,
        {**names, "ring": secret},
    )


@pytest.fixture(scope="session")
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Twenty who come at once."""
    with ThreadPoolExecutor(20) as executor:
        yield executor
