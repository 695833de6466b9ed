"""A Rolegate stack in memory: the real handlers over moto's AWS, with a clock to set and faults to order."""

import base64
import hmac
import importlib.util
import json
import logging
import os
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum, auto
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import boto3
import botocore.endpoint
import botocore.handlers
import botocore.session
import hypothesis
import pytest
import yaml
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber
from rolegate import bootstrap, endings, observe, passwords
from rolegate.model import Caller
from rolegate.stores import items
from rolegate.stores.users import Users
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped] # it ships no types

ROOT = Path(__file__).resolve().parent.parent
NOW = 1_800_000_000
PASSWORD = "correct horse battery staple"
PHONE = Caller("192.0.2.44", "ExampleApp/1.4 (iPhone; iOS 19.1)")
LAPTOP = Caller("2001:db8:40:1::7", "Mozilla/5.0 (X11; Linux x86_64)")

hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")

# What starts a local AWS. It brings processes of its own, and is looked at through time limits of less than a second.
LOCAL_AWS = (
    "tests/contract/",
    "tests/e2e/",
    "tests/faults/test_crowds.py",
    "tests/faults/test_guessing.py",
    "tests/faults/test_linearizability.py",
    "tests/faults/test_lost_answers.py",
    "tests/faults/test_store_trouble.py",
)


class InTwo(LoadFileScheduling):  # type: ignore[misc] # the same
    """Shares the tests out by file. What starts a local AWS goes to one process: no two of those run at once."""

    def _split_scope(self, nodeid: str) -> str:
        return "local AWS" if nodeid.startswith(LOCAL_AWS) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InTwo:
    """Share the tests out so when there are several processes (`-n 2`)."""
    return InTwo(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests noted to be seen in every run, in whichever process."""
    for report in terminalreporter.getreports("passed"):
        for name, noted in report.user_properties:
            terminalreporter.write_line(f"{name}: {noted}")


# What each function finds in its environment, and nothing else (test_environment.py holds it to the template).
ENVIRONMENT: Mapping[str, str] = {
    "register": "USERS_TABLE ATTEMPTS_TABLE REGISTRATION ROLES BCRYPT_COST PASSWORD_MIN_LENGTH PASSWORD_MAX_LENGTH "
    "NETWORK_LIMIT ALLOWED_ORIGIN EDGE_SECRET_SHA256 EDGE_ADDRESS_HEADER",
    "login": "USERS_TABLE SESSIONS_TABLE ATTEMPTS_TABLE SIGNING_KEYS_SECRET REFRESH_KEYS_SECRET ISSUER AUDIENCES "
    "SUBJECT ROLES ACCESS_TOKEN_MINUTES REFRESH_TOKEN_DAYS SESSION_DAYS BCRYPT_COST ALLOWED_ORIGIN KEY_RING_SECONDS "
    "USER_NETWORK_LIMIT USER_LIMIT NETWORK_LIMIT EDGE_SECRET_SHA256 EDGE_ADDRESS_HEADER",
    "refresh": "USERS_TABLE SESSIONS_TABLE SIGNING_KEYS_SECRET REFRESH_KEYS_SECRET ISSUER AUDIENCES SUBJECT ROLES "
    "ACCESS_TOKEN_MINUTES REFRESH_TOKEN_DAYS REFRESH_GRACE_SECONDS ROTATIONS_PER_LATE_RETRY ALLOWED_ORIGIN "
    "KEY_RING_SECONDS EDGE_SECRET_SHA256 EDGE_ADDRESS_HEADER",
    "logout": "SESSIONS_TABLE REFRESH_KEYS_SECRET ISSUER REFRESH_GRACE_SECONDS ALLOWED_ORIGIN KEY_RING_SECONDS",
    "account": "USERS_TABLE ALLOWED_ORIGIN",
    "change_password": "USERS_TABLE SESSIONS_TABLE ATTEMPTS_TABLE SIGNING_KEYS_SECRET REFRESH_KEYS_SECRET ISSUER "
    "AUDIENCES SUBJECT ROLES ACCESS_TOKEN_MINUTES REFRESH_TOKEN_DAYS SESSION_DAYS BCRYPT_COST ALLOWED_ORIGIN "
    "KEY_RING_SECONDS USER_NETWORK_LIMIT USER_LIMIT NETWORK_LIMIT EDGE_SECRET_SHA256 EDGE_ADDRESS_HEADER "
    "PASSWORD_MIN_LENGTH PASSWORD_MAX_LENGTH",
    "authorizer": "ISSUER AUDIENCE ROLES MIN_ROLE EXPIRY_LEEWAY_SECONDS KEY_SET_SECONDS HTTP_API_RESPONSES "
    "WEBSOCKET_QUERY_TOKEN REVOCATION_CHECK REVOCATION_CHECK_SECONDS USERS_TABLE SESSIONS_TABLE",
    "keys": "ISSUER JWKS_PARAMETER ALLOWED_ORIGIN",
    "rotate_keys": "SIGNING_KEYS_SECRET REFRESH_KEYS_SECRET JWKS_PARAMETER SIGNING_ALGORITHM KEY_ROTATION_DAYS "
    "ACCESS_TOKEN_MINUTES REFRESH_TOKEN_DAYS ROLES MIN_ROLES",
    "hello": "ALLOWED_ORIGIN",
}
SETTINGS: Mapping[str, str] = {
    "ACCESS_TOKEN_MINUTES": "15",
    "ALLOWED_ORIGIN": "*",
    "ATTEMPTS_TABLE": "attempts",
    "AUDIENCE": "rolegate",
    "AUDIENCES": "rolegate,reports",
    "BCRYPT_COST": "4",
    "EDGE_ADDRESS_HEADER": "CloudFront-Viewer-Address",
    "EDGE_SECRET_SHA256": "",
    "EXPIRY_LEEWAY_SECONDS": "0",
    "HTTP_API_RESPONSES": "simple",
    "ISSUER": "http://127.0.0.1:8000",
    "JWKS_PARAMETER": "/rolegate/jwks",
    "KEY_RING_SECONDS": "300",
    "KEY_ROTATION_DAYS": "30",
    "KEY_SET_SECONDS": "300",
    "METRICS_NAMESPACE": "Rolegate",
    "MIN_ROLE": "manager",
    "MIN_ROLES": "user,manager,admin",
    "NETWORK_LIMIT": "1000/10",  # so that tests which are not about it do not meet it
    "PASSWORD_MAX_LENGTH": "256",
    "PASSWORD_MIN_LENGTH": "8",
    "REFRESH_GRACE_SECONDS": "30",
    "REFRESH_TOKEN_DAYS": "7",
    "REGISTRATION": "open",
    "REVOCATION_CHECK": "off",
    "REVOCATION_CHECK_SECONDS": "60",
    "ROLES": "user=1,manager=2,admin=3",
    "ROTATIONS_PER_LATE_RETRY": "20",
    "SESSIONS_TABLE": "sessions",
    "SESSION_DAYS": "30",
    "SIGNING_ALGORITHM": "RS256",
    "SUBJECT": "username",
    "USERS_TABLE": "users",
    "USER_LIMIT": "100/900",
    "USER_NETWORK_LIMIT": "10/900",
    "WEBSOCKET_QUERY_TOKEN": "false",
}
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
TABLES: Mapping[str, tuple[str, ...]] = {
    "users": ("username",),
    "sessions": ("user_id", "session_id"),
    "attempts": ("limiter",),
}


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms of functions as nothing in particular."""


_Template.add_multi_constructor("!", lambda _loader, _tag, _node: None)


@cache
def template() -> dict[str, Any]:
    """Return the stack's template."""
    with (ROOT / "template.yaml").open() as file:
        loaded: dict[str, Any] = yaml.load(file, _Template)  # noqa: S506 - a safe loader that knows `!`
    return loaded


Event = Mapping[str, Any]
Handler = Callable[[Event, object], Any]


class Clock:
    """The time that the handlers see."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    def tick(self, seconds: int) -> None:
        self.now += seconds


class Fault(Enum):
    """What may happen to one try of the SDK."""

    THROTTLED = auto()
    TIME_OUT = auto()  # nothing arrived
    ANSWER_LOST = auto()  # it arrived and was done, and nobody heard of it
    BROKEN = auto()  # the service answers 500
    REFUSED = auto()  # the function lacks the permission
    DEATH = auto()  # it arrived and was done, and the function died before it heard of it


class Death(BaseException):
    """The end of an execution environment, whatever it was doing."""


class Refusal(NamedTuple):
    """An answer of a service that did nothing: its status and error code, and the rest of its body."""

    status: int
    code: str
    more: Mapping[str, Any] = {}


REFUSALS: Mapping[Fault, Refusal] = {
    Fault.THROTTLED: Refusal(400, "ThrottlingException"),
    Fault.BROKEN: Refusal(500, "UnheardOfFault"),
    Fault.REFUSED: Refusal(400, "AccessDeniedException"),
}
OUT_OF_REACH = [Fault.THROTTLED, Fault.TIME_OUT, Fault.BROKEN]
Incident = Fault | Refusal | Callable[[], object] | None


class Wire:
    """Stands between the SDK and moto: brings one call after another, and whatever was ordered to happen to them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.counts = True  # whether guesses at passwords are counted; else the table just says that they were
        self.stands_in: dict[str, Callable[[AWSPreparedRequest], tuple[Any, ...]]] = {}  # for what moto does not know
        self._ordered: dict[str, deque[Incident]] = defaultdict(deque)
        self._lock = threading.RLock()  # moto's tables know no atomic writes; AWS's do

    def order(self, operation: str, *incidents: Incident) -> None:
        """Have something happen to the next tries of an operation, one each; a function is called before the try."""
        self._ordered[operation].extend(incidents)

    @contextmanager
    def not_counting(self) -> Iterator[None]:
        """Spare moto the counting of guesses, which is most of a sign-in's work, where nothing is about them."""
        before, self.counts = self.counts, False
        try:
            yield
        finally:
            self.counts = before

    def heal(self) -> None:
        """Forget what was ordered, and the calls so far."""
        self._ordered.clear()
        self.stands_in.clear()
        self.calls.clear()

    def __call__(self, event_name: str, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        incident = self._ordered[operation].popleft() if self._ordered[operation] else None
        if isinstance(incident, Fault):
            incident = REFUSALS.get(incident, incident)
        if isinstance(incident, Refusal):
            self.calls.append(operation)
            body = {"__type": incident.code, "message": f"{operation} of {PASSWORD}", **incident.more}
            return _answer(request, incident.status, json.dumps(body))
        if not isinstance(incident, Fault):
            if incident is not None:
                incident()
            return self._bring(event_name, request)
        if incident is Fault.TIME_OUT:
            self.calls.append(operation)
        else:
            self._bring(event_name, request)
        if incident is Fault.DEATH:
            raise Death
        raise ReadTimeoutError(endpoint_url=request.url)

    def _bring(self, event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        if operation == "UpdateItem" and not self.counts and '"TableName": "attempts' in str(request.body):
            return _answer(request, 200, '{"Attributes": {}}')
        with self._lock:
            self.calls.append(operation)
            if operation in self.stands_in:
                return _answer(request, *self.stands_in[operation](request))
            return botocore_stubber(event_name, request)


def _answer(request: AWSPreparedRequest, status: int, body: str, headers: Mapping[str, str] = {}) -> AWSResponse:
    raw: Any = MockRawResponse(body)
    return AWSResponse(request.url, status, HTTPHeaders.from_dict(dict(headers)), raw)


WIRE = Wire()
# In the place where moto put itself, before anybody makes a client.
botocore.handlers.BUILTIN_HANDLERS[:] = [
    (event, WIRE if handler is botocore_stubber else handler, *more)
    for event, handler, *more in botocore.handlers.BUILTIN_HANDLERS
]


@cache
def client(service: Any) -> Any:
    """Return a client of moto's AWS for the tests' own use, beside those of the functions."""
    return boto3.Session("operator", "nothing", region_name=CREDENTIALS["AWS_DEFAULT_REGION"]).client(service)


class Cloud(NamedTuple):
    """An AWS under a stack: the tests' own clients of it, and what the functions reach it with."""

    client: Callable[[Any], Any]
    sdk: Callable[[], botocore.session.Session]  # made once: it reads a megabyte each time
    environ: Mapping[str, str]


MOTO = Cloud(client, cache(botocore.session.get_session), CREDENTIALS)


class Answer(NamedTuple):
    """What a handler answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.text)
        return body

    @property
    def problem(self) -> tuple[int, str, str]:
        """Its status, code and detail."""
        return self.status, self.body["code"], self.body["detail"]


class World:
    """A deployed stack: every function of it, what they keep, and the clock they read."""

    def __init__(self, clock: Clock, wire: Wire, settings: dict[str, str], cloud: Cloud = MOTO) -> None:
        self.clock, self.wire, self.settings, self.cloud = clock, wire, settings, cloud
        self.guesses = False  # whether it is about guesses at passwords
        self._environments: dict[str, Handler] = {}

    def handler(self, function: str) -> Handler:
        """Return a function's handler: the same execution environment as before, if there was one."""
        if function not in self._environments:
            self._environments[function] = self.cold(function)
        return self._environments[function]

    def cold(self, function: str, **settings: str) -> Handler:
        """Return a function's handler in a new execution environment, which sees its own settings and no others."""
        known = {**SETTINGS, **self.settings, **settings}
        environ = {name: known[name] for name in ("METRICS_NAMESPACE", *ENVIRONMENT[function].split())}
        spec = importlib.util.spec_from_file_location(f"{function}_app", ROOT / "functions" / function / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with (
            mock.patch.dict(os.environ, {**self.cloud.environ, **environ}, clear=True),
            mock.patch.object(botocore.session, "get_session", self.cloud.sdk),
        ):
            spec.loader.exec_module(module)
        handler: Handler = module.handler
        return handler

    def configure(self, **settings: str) -> None:
        """Deploy the stack with other settings: every function starts anew."""
        self.settings.update(settings)
        self._environments.clear()

    def restart(self, function: str) -> None:
        """End a function's execution environment, and what it remembers."""
        self._environments.pop(function, None)

    @property
    def issuer(self) -> str:
        return self.settings.get("ISSUER", SETTINGS["ISSUER"])

    def ask(self, function: str, event: Event) -> Answer:
        """Have a function answer an event of API Gateway."""
        answer = self.handler(function)(event, None)
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def post(self, function: str, body: Any, caller: Caller = PHONE) -> Answer:
        """Have a function answer a JSON body."""
        return self.ask(function, rest_event(f"/{function}", json.dumps(body), caller=caller))

    def sparing(self) -> AbstractContextManager[None]:
        """Sign in and register without counting, unless the test is about that."""
        return nullcontext() if self.guesses else self.wire.not_counting()

    def add_user(self, name: str = "alice", **attributes: Any) -> None:
        """Register a user, and give the stored item these attributes."""
        with self.sparing():
            assert self.post("register", {"username": name, "password": PASSWORD}).status == 201
        if attributes:
            self.change_user(name, **attributes)

    def login(self, name: str = "alice", caller: Caller = PHONE, **more: str) -> dict[str, Any]:
        """Sign a user in; return the body of the answer."""
        with self.sparing():
            answer = self.post("login", {"username": name, "password": PASSWORD, **more}, caller)
        assert answer.status == 200, answer
        return answer.body

    def refresh(self, token: str, caller: Caller = PHONE) -> Answer:
        return self.post("refresh", {"refresh_token": token}, caller)

    def rotate(self, token: str, times: int = 1) -> str:
        """Have the honest client refresh when its access token ends, so often; return its last refresh token."""
        for _ in range(times):
            self.clock.tick(900)
            answer = self.refresh(token)
            assert answer.status == 200, answer
            assert answer.body["refresh_token"] != token
            token = answer.body["refresh_token"]
        return token

    def logout(self, token: str) -> Answer:
        return self.post("logout", {"refresh_token": token})

    def user(self, name: str = "alice") -> dict[str, Any]:
        """Return the stored item of a user."""
        return self._item("users", {"username": name})

    def session(self, token: str) -> dict[str, Any]:
        """Return the stored item of a refresh token's session."""
        return self._item("sessions", session_key(token))

    def change_user(self, name: str = "alice", **attributes: Any) -> None:
        """Write attributes of a stored user; None removes one."""
        self._change("users", {"username": name}, attributes)

    def change_session(self, token: str, **attributes: Any) -> None:
        """Write attributes of the stored session of a refresh token; None removes one."""
        self._change("sessions", session_key(token), attributes)

    def forget_session(self, token: str) -> None:
        """Delete a session's item, as TTL does."""
        self.cloud.client("dynamodb").delete_item(TableName=self._table("sessions"), Key=items.item(session_key(token)))

    def ring(self, secret: str) -> dict[str, Any]:
        """Return the stored ring of a secret, by the name of its setting."""
        secrets = self.cloud.client("secretsmanager")
        found = secrets.get_secret_value(SecretId=self.settings[secret], VersionStage="AWSCURRENT")
        ring: dict[str, Any] = json.loads(found["SecretString"])
        return ring

    def change_ring(self, secret: str, ring: Mapping[str, Any]) -> None:
        """Replace the stored ring of a secret."""
        self.change_secret(secret, json.dumps(ring))

    def change_secret(self, secret: str, text: str) -> None:
        """Replace the value of a secret (in two steps: after a moved label, moto's put would make two current ones)."""
        name, secrets = self.settings[secret], self.cloud.client("secretsmanager")
        versions = secrets.list_secret_version_ids(SecretId=name)["Versions"]
        current = next(one["VersionId"] for one in versions if "AWSCURRENT" in one["VersionStages"])
        made = secrets.put_secret_value(SecretId=name, SecretString=text, VersionStages=["operator"])["VersionId"]
        secrets.update_secret_version_stage(
            SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=made, RemoveFromVersionId=current
        )

    def stored(self) -> dict[str, Any]:
        """Return everything that is kept, but for how often somebody has guessed: to tell that nothing has changed."""
        scan = self.cloud.client("dynamodb").scan
        tables = {
            table: scan(TableName=self._table(table), ConsistentRead=True)["Items"] for table in ("users", "sessions")
        }
        rings = {name: self.ring(name) for name in ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")}
        return {**tables, **rings}

    def _table(self, table: str) -> str:
        name = f"{table.upper()}_TABLE"
        return self.settings.get(name, SETTINGS[name])

    def _item(self, table: str, key: dict[str, str]) -> dict[str, Any]:
        get = self.cloud.client("dynamodb").get_item
        return items.plain(get(TableName=self._table(table), Key=items.item(key), ConsistentRead=True)["Item"])

    def _change(self, table: str, key: dict[str, str], attributes: dict[str, Any]) -> None:
        item = {name: value for name, value in {**self._item(table, key), **attributes}.items() if value is not None}
        self.cloud.client("dynamodb").put_item(TableName=self._table(table), Item=items.item(item))


def replace_password(table: Users, name: str, password: str, now: int, caller: Caller = PHONE) -> None:
    """Give a user another password, as whoever proved the old one does; at a cost that tests can pay."""
    seen = table.get(name)
    assert seen is not None
    made = passwords.hash_password(passwords.accept(password), 4)
    endings.replace_password(seen, made, table, observe.Log("Rolegate").event, now, caller)


def rest_event(
    resource: str,
    body: str | None = None,
    *,
    caller: Caller = PHONE,
    content_type: str | None = "application/json",
    is_base64: bool = False,
    authorizer: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event that a REST API makes of a request."""
    headers = {"Host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com", "User-Agent": caller.user_agent}
    if content_type is not None:
        headers["content-type"] = content_type
    context: dict[str, Any] = {
        "resourcePath": resource,
        "httpMethod": "GET" if body is None else "POST",
        "stage": "v1",
        "identity": {"sourceIp": caller.source_ip, "userAgent": caller.user_agent},
    }
    if authorizer is not None:
        context["authorizer"] = {"principalId": "somebody", "integrationLatency": 41, **authorizer}
    return {
        "resource": resource,
        "path": f"/auth{resource}",
        "httpMethod": context["httpMethod"],
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "pathParameters": None,
        "requestContext": context,
        "body": body,
        "isBase64Encoded": is_base64,
    }


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, unverified."""
    body = token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return said


def header(token: str) -> dict[str, Any]:
    """Return the header of a token, unverified."""
    return claims(f".{token.split('.', maxsplit=1)[0]}.")


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def seal(head: Mapping[str, Any] | str, body: Mapping[str, Any] | str, key: Mapping[str, Any]) -> str:
    """Return a token with a true signature of a stored key, whatever stands in it; a text is taken as it is."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (head, body)]
    message = ".".join(base64url(part.encode()) for part in parts)
    if key["alg"] == "HS256":
        signature = hmac.digest(base64.urlsafe_b64decode(key["secret"] + "=="), message.encode(), "sha256")
    else:
        signature = _private(key["secret"]).sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{message}.{base64url(signature)}"


@cache
def _private(pem: str) -> Any:
    return load_pem_private_key(pem.encode(), None)


def session_key(token: str) -> dict[str, str]:
    said = claims(token)
    return {"user_id": said["uid"], "session_id": said["sid"]}


@contextmanager
def stack_without_rings(**settings: str) -> Iterator[World]:
    """Deploy a stack whose first rings are still to be made, for as long as the block lasts."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setattr(
            botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None)
        )  # its pause before a retry
        patch.setattr(bootstrap, "_now", clock)
        patch.setattr(bootstrap, "_wait", clock.tick)
        world = World(clock, WIRE, settings)
        lay_out(world, {table: table for table in TABLES})
        WIRE.heal()
        yield world
        WIRE.heal()


def lay_out(world: World, tables: Mapping[str, str], mark: str = "") -> None:
    """Make a stack's tables, named as told, its secrets without rings, and its parameter without keys."""
    for table, keys in TABLES.items():
        create_table(world.cloud.client("dynamodb"), tables[table], keys)
        world.settings[f"{table.upper()}_TABLE"] = tables[table]
    for secret in ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET"):
        made = world.cloud.client("secretsmanager").create_secret(Name=f"{secret}{mark}", SecretString="{}")
        world.settings[secret] = made["ARN"]
    world.settings["JWKS_PARAMETER"] = f"{mark}{SETTINGS['JWKS_PARAMETER']}"
    world.cloud.client("ssm").put_parameter(Name=world.settings["JWKS_PARAMETER"], Value='{"keys":[]}', Type="String")


def create_table(dynamodb: Any, name: str, keys: tuple[str, ...]) -> None:
    """Make a table with these keys, as the template does."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
    )


@cache
def first_rings() -> tuple[str, str, str]:
    """Have the real function make the first rings, once: RSA keys take their time."""
    with stack_without_rings() as world:
        world.handler("rotate_keys")({"source": "aws.events"}, None)
        secrets, jwks = client("secretsmanager"), client("ssm")
        signing, refresh = (
            secrets.get_secret_value(SecretId=world.settings[name], VersionStage="AWSCURRENT")["SecretString"]
            for name in ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")
        )
        return signing, refresh, jwks.get_parameter(Name=SETTINGS["JWKS_PARAMETER"])["Parameter"]["Value"]


@contextmanager
def stack_in_memory(**settings: str) -> Iterator[World]:
    """Deploy a stack, with its first rings, for as long as the block lasts."""
    rings = first_rings()
    with stack_without_rings(**settings) as world:
        put_rings(world, *rings)
        WIRE.heal()
        yield world


def put_rings(world: World, signing: str, refresh: str, jwks: str) -> None:
    """Give a stack these rings and this key set."""
    world.change_secret("SIGNING_KEYS_SECRET", signing)
    world.change_secret("REFRESH_KEYS_SECRET", refresh)
    name = world.settings["JWKS_PARAMETER"]
    world.cloud.client("ssm").put_parameter(Name=name, Value=jwks, Type="String", Overwrite=True)


@pytest.fixture
def world() -> Iterator[World]:
    with stack_in_memory() as world:
        yield world


@pytest.fixture
def bare_world() -> Iterator[World]:
    """A stack whose first rings are still to be made."""
    with stack_without_rings() as world:
        yield world


class Logs:
    """What the functions wrote: one JSON document a line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        captured = self._capsys.readouterr()
        self._text += captured.out + captured.err
        return self._text

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return the events of these names, in order."""
        return [line for line in self.lines if line.get("message") in names]

    def metrics(self) -> list[str]:
        """Return the names of the metrics that were counted."""
        counted = [line["_aws"]["CloudWatchMetrics"] for line in self.lines if "_aws" in line]
        return [metric["Name"] for directives in counted for directive in directives for metric in directive["Metrics"]]


class Stdout:
    """Standard output as it is at the moment: pytest gives every phase of a test another."""

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture(scope="session", autouse=True)
def _logger() -> None:
    """Have the logger made, which keeps the stream that it finds first, and give it one that lasts."""
    observe.Log("Rolegate").event("the tests begin")
    (handler,) = logging.getLogger("rolegate").handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.stream = Stdout()


@pytest.fixture
def logs(capsys: pytest.CaptureFixture[str]) -> Logs:
    """Give what is written from now on."""
    capsys.readouterr()
    return Logs(capsys)


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, Mapping[str, str], bytes]]) -> Iterator[str]:
    """Serve HTTP on this machine: `answer` gets the request and its body, and gives status, headers and body."""

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self, self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quietly(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # whoever hangs up has had enough
                super().handle_error(request, client_address)

    with Quietly(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving_keys(world: World) -> Iterator[str]:
    """Serve a stack's real key documents, and make that address its issuer."""

    def answer(request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        document = request.path.removeprefix("/.well-known/")
        event = {"version": "2.0", "headers": dict(request.headers), "pathParameters": {"document": document}}
        given = world.ask("keys", event)
        return given.status, given.headers, given.text.encode()

    with serving(answer) as url:
        world.configure(ISSUER=url)
        yield url
