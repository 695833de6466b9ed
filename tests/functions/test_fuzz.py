"""Whatever comes, a function answers, no answer is a 5xx, and the most talkative of logs knows no secret."""

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rolegate import bootstrap
from rolegate.errors import Unauthorized

from tests.conftest import (
    CREDENTIALS,
    PASSWORD,
    Answer,
    Event,
    Fault,
    World,
    claims,
    rest_event,
    serving_keys,
    stack_in_memory,
)
from tests.functions.gateway import FORMS, Gateway
from tests.functions.test_key_secrecy import keys_of, private_parts

# Everything that an operator can turn on, before an execution environment begins.
TALKATIVE = {
    "POWERTOOLS_LOG_LEVEL": "DEBUG",
    "POWERTOOLS_LOGGER_LOG_EVENT": "true",
    "AWS_LAMBDA_LOG_LEVEL": "DEBUG",
    "AWS_LAMBDA_LOG_FORMAT": "JSON",
}
WRONG, NEW = "wrong horse battery staple", "another horse with a longer name"
STRANGER = "stranger@example.com"
MARK = "$3cret-0f-n0body$"  # no username can hold it, for those of users are logged
TOKEN = "S3CRET0FN0B0DY"  # what may stand in a token
ROLE = {"AWS_SECRET_ACCESS_KEY": "S3CRET0FAR0LE", "AWS_SESSION_TOKEN": "S3SS10N0FAR0LE"}
SDK = cache(botocore.session.get_session)  # which keeps the credentials that it finds first
OURS = {  # and what each is
    **dict.fromkeys((PASSWORD, WRONG, NEW, MARK), "a password"),
    STRANGER: "a name of nobody",
    TOKEN: "a token of nobody",
    **dict.fromkeys(ROLE.values(), "the role's credentials"),
}
FUZZ = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


class Ears(logging.Handler):
    """Hears every record of every logger but moto's, which stands for AWS, with what it was made of."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[tuple[str, str]] = []  # a logger's name, and what it said

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("moto"):
            self.heard.append((record.name, f"{self.format(record)} {record.args!r}"))


class Listener:
    """Asks functions, and keeps what is logged and printed while they run."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys, self._ears = capsys, Ears()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what is said in the block; not what the tests' own clients of AWS say beside it."""
        root = logging.getLogger()
        before = root.level
        root.addHandler(self._ears)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(self._ears)
            root.setLevel(before)

    def call(self, function: str, event: Any, context: object = None) -> Any:
        with self.listening():
            return self.world.handler(function)(event, context)

    def ask(self, function: str, event: Event) -> Answer:
        answer = self.call(function, event)
        assert answer.keys() == {"statusCode", "headers", "body", "isBase64Encoded"}
        assert all(isinstance(value, str) for value in (answer["body"], *answer["headers"].values()))
        assert answer["isBase64Encoded"] is False
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def post(self, path: str, body: Mapping[str, Any], authorizer: Mapping[str, str] | None = None) -> Answer:
        return self.ask(FUNCTIONS[path], rest_event(path, json.dumps(body), authorizer=authorizer))

    def said(self) -> list[tuple[str, str]]:
        """Return what was said since the last time, with who said it."""
        printed = self._capsys.readouterr()
        heard, self._ears.heard = self._ears.heard, []
        return [*heard, ("standard output", printed.out), ("standard error", printed.err)]

    def silent_about(self, secrets: Mapping[str, str]) -> None:
        """Assert that nobody said any of these, each given with what it is; say who said what."""
        told = {(who, what) for who, text in self.said() for secret, what in secrets.items() if secret in text}
        assert sorted(told) == []

    def secrets(self) -> dict[str, str]:
        """Return what is kept of alice and of the keys, each with what it is."""
        private = {part: "a key" for key in keys_of(self.world) for part in private_parts(key)}
        return {**OURS, **private, self.world.user()["password_hash"]: "a password's hash"}


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Powertools make its logger anew, with everything turned on."""
    for name, value in TALKATIVE.items():
        monkeypatch.setenv(name, value)
    loggers = logging.Logger.manager.loggerDict
    kept = loggers.pop("rolegate")
    bootstrap._log.cache_clear()  # noqa: SLF001 - an execution environment has one log for all its life
    yield
    bootstrap._log.cache_clear()  # noqa: SLF001 - likewise
    loggers["rolegate"] = kept


@pytest.fixture
def listener(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Iterator[Listener]:
    with stack_in_memory() as world:
        request.getfixturevalue("talkative")  # after the stack, which takes AWS's variables away
        world.cloud = world.cloud._replace(sdk=SDK, environ={**CREDENTIALS, **ROLE, **TALKATIVE})
        yield Listener(world, capsys)


FUNCTIONS = {
    "/register": "register",
    "/login": "login",
    "/refresh": "refresh",
    "/logout": "logout",
    "/me": "account",
    "/me/password": "change_password",
    "/hello": "hello",
    "/manager": "hello",
    "/admin": "hello",
    "/.well-known/{document}": "keys",
}
LOCKED = ("/me", "/me/password", "/hello", "/manager", "/admin")


def test_the_log_is_as_talkative_as_it_can_be(listener: Listener) -> None:
    listener.post("/register", {"username": "alice", "password": PASSWORD})
    said = dict(listener.said())
    assert logging.getLogger("rolegate").level == logging.DEBUG
    assert '"message":"registered"' in said["standard output"]
    with listener.listening():
        logging.getLogger("anybody").debug("hear me: %s", "please")
    assert ("anybody", "hear me: please ('please',)") in listener.said()


# Every story, and what nobody may hear of it


def test_no_story_tells_a_secret(listener: Listener) -> None:
    world, secrets = listener.world, dict(OURS)

    def learn(answer: Answer) -> dict[str, str]:
        assert answer.status == 200
        secrets.update(listener.secrets())
        secrets[answer.body["access_token"]] = "an access token"
        secrets[answer.body["refresh_token"]] = "a refresh token"
        return answer.body

    with serving_keys(world):
        assert listener.post("/register", {"username": "alice", "password": PASSWORD}).status == 201
        assert listener.post("/login", {"username": "alice", "password": WRONG}).status == 401
        assert listener.post("/login", {"username": STRANGER, "password": PASSWORD}).status == 401
        tokens = learn(listener.post("/login", {"username": "alice", "password": PASSWORD}))
        world.clock.tick(900)
        tokens = learn(listener.post("/refresh", {"refresh_token": tokens["refresh_token"]}))
        who = identity(tokens)
        assert listener.ask("account", rest_event("/me", authorizer=who)).status == 200
        change = {"current_password": WRONG, "new_password": NEW}
        assert listener.post("/me/password", change, who).status == 401
        tokens = learn(listener.post("/me/password", {**change, "current_password": PASSWORD}, who))
        for form in FORMS:
            gateway = guarded(listener, form, REVOCATION_CHECK="strict", MIN_ROLE="user")
            assert gateway.ask("GET/reports/7", f"{TOKEN}.{TOKEN}.{TOKEN}").status in {401, 403}
            assert gateway.ask("GET/reports/7", tokens["access_token"]).status == 200
        assert listener.post("/logout", {"token": tokens["refresh_token"]}).status == 200
    for order in ({"action": "rotate"}, {"action": "rotate", "compromised": "both"}, {"source": "aws.events"}):
        secrets.update(listener.secrets())
        listener.call("rotate_keys", order)
    listener.silent_about({**secrets, **listener.secrets()})


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.BROKEN, Fault.TIME_OUT])
def test_no_failure_tells_a_secret(listener: Listener, fault: Fault) -> None:
    world = listener.world
    world.add_user()
    tokens = world.login()
    who, secrets = identity(tokens), listener.secrets()
    secrets |= {tokens["access_token"]: "an access token", tokens["refresh_token"]: "a refresh token"}
    listener.said()
    for operation in ("GetItem", "PutItem", "UpdateItem", "TransactWriteItems", "GetSecretValue", "GetParameter"):
        world.configure()
        world.wire.order(operation, *[fault] * 20)
        answers = [
            listener.post("/register", {"username": "bob", "password": PASSWORD}),
            listener.post("/login", {"username": STRANGER, "password": PASSWORD}),
            listener.post("/login", {"username": "alice", "password": PASSWORD}),
            listener.post("/refresh", {"refresh_token": tokens["refresh_token"]}),
            listener.ask("account", rest_event("/me", authorizer=who)),
            listener.post("/me/password", {"current_password": PASSWORD, "new_password": PASSWORD}, who),
            listener.post("/logout", {"refresh_token": f"{TOKEN}.{TOKEN}.{TOKEN}"}),
        ]
        world.wire.heal()
        assert {answer.status for answer in answers} <= {200, 201, 401, 409, 503}
    listener.silent_about({**secrets, **listener.secrets()})


def identity(tokens: Mapping[str, Any]) -> dict[str, str]:
    """Return what an authorizer says of whoever brings these tokens."""
    said = claims(tokens["access_token"])
    kept = {"username": "username", "user_id": "uid", "session_id": "sid", "role": "role", "scope": "scope"}
    return {name: said[claim] for name, claim in kept.items()} | {"detail": ""}


def guarded(listener: Listener, form: str, **configured: str) -> Gateway:
    """Return a gateway whose authorizer is listened to."""
    listener.world.configure(HTTP_API_RESPONSES="simple" if FORMS[form].simple else "iam", **configured)
    return Gateway(form, lambda event, context: listener.call("authorizer", event, context), listener.world.clock, 0)


# Whatever a gateway may send


def evenly(*choices: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw from each as often, however many kinds of things it has."""
    return st.sampled_from(choices).flatmap(lambda chosen: chosen)


FIELDS = ["username", "password", "refresh_token", "token", "audience", "current_password", "new_password"]
texts = st.one_of(
    st.text(max_size=40),
    st.builds("{}{}{}".format, st.text(max_size=9), st.just(MARK), st.text(max_size=9)),
    st.text("abcdefgh0123456789._-@ ", max_size=20),
    st.sampled_from(["alice", PASSWORD, "", "x" * 300, f"{TOKEN}.{TOKEN}.{TOKEN}", "\ud800", "\0", "e\u0301" * 200]),
)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 1e308, -0.0])
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
fields = st.dictionaries(st.sampled_from(FIELDS) | texts, texts | documents, max_size=8)
likely = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, texts | documents))
secrets_typed = st.sampled_from([PASSWORD, WRONG, NEW])
of_no_text = evenly(documents, st.sampled_from([1, 1.5, True, [MARK], {"x": MARK}]))
usable = st.fixed_dictionaries(
    {
        "username": evenly(st.just("alice"), texts, of_no_text),
        **dict.fromkeys(("password", "current_password", "new_password"), evenly(secrets_typed, texts, of_no_text)),
        **dict.fromkeys(("refresh_token", "token"), evenly(texts, of_no_text)),
    }
)
odd = st.one_of(
    st.none(),
    texts,
    st.one_of(documents, fields, likely).map(json.dumps),
    likely.map(lambda body: json.dumps(body)[:-1]),
    likely.map(lambda body: json.dumps(body) * 2),
    st.integers(1, 3_000).map(lambda depth: f"{'[' * depth}{MARK}{']' * depth}"),
    st.integers(65_000, 66_000).map(lambda size: f'{{"password": "{MARK}{"x" * size}"}}'),
)
encoded = st.one_of(
    st.binary(max_size=60).map(lambda raw: base64.b64encode(raw + MARK.encode()).decode()),
    likely.map(lambda body: base64.b64encode(json.dumps(body).encode()).decode()),
    texts,
)
media_types = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON ", "text/plain"]
)
header_values = st.text(max_size=20) | media_types
strings = st.text(max_size=20)
headers = evenly(
    st.just({"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}),
    st.just({"content-type": "Application/JSON; charset=utf-8"}),
    st.none(),
    st.dictionaries(st.sampled_from(["content-type", "Content-Type", "If-None-Match", "X-Edge-Secret"]), header_values),
)


@st.composite
def requests(draw: st.DrawFn, path: str) -> dict[str, Any]:
    """Draw what the gateway may make of a request for a path: members that nobody sent are null."""
    is_base64 = draw(st.sampled_from([False, False, True]))
    event = rest_event(path, draw(encoded if is_base64 else evenly(usable.map(json.dumps), odd)), is_base64=is_base64)
    event["headers"] = draw(headers)
    event["multiValueHeaders"] = draw(st.none() | st.just({}))
    event["queryStringParameters"] = draw(st.none() | st.dictionaries(strings, st.just(MARK), max_size=2))
    event["pathParameters"] = draw(st.none() | st.dictionaries(st.just("document") | strings, strings, max_size=2))
    agent = draw(st.none() | strings)
    event["requestContext"]["identity"] = {"sourceIp": "192.0.2.7", "userAgent": agent}
    return event


@pytest.mark.parametrize("path", FUNCTIONS)
def test_whatever_a_gateway_brings_is_answered_and_stays_secret(listener: Listener, path: str) -> None:
    world = listener.world
    world.add_user()
    tokens = world.login()
    who = identity(tokens)
    world.configure()  # every function starts anew, listened to
    listener.said()

    @FUZZ
    @given(requests(path))
    def check(event: dict[str, Any]) -> None:
        if path in LOCKED:
            event["requestContext"]["authorizer"] = who
        world.clock.tick(60)
        answer = listener.ask(FUNCTIONS[path], event)
        assert 200 <= answer.status < 500
        assert answer.status < 300 or answer.status == 304 or answer.body["status"] == answer.status
        assert MARK not in answer.text

    check()
    listener.silent_about({**listener.secrets(), tokens["refresh_token"]: "a refresh token"})


tokens_typed = st.one_of(
    texts,
    st.from_regex(
        re.compile(rf"[A-Za-z0-9_-]{{0,9}}{TOKEN}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII), fullmatch=True
    ),
    st.builds(
        lambda *parts: ".".join(
            base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts
        ),
        documents | st.fixed_dictionaries({"alg": documents, "kid": documents, "typ": documents}),
        documents | st.fixed_dictionaries({"iss": documents, "exp": documents, "role": documents}),
        st.just(TOKEN),
    ),
)


@pytest.mark.parametrize("form", FORMS)
def test_whatever_comes_as_a_token_is_refused_and_stays_secret(listener: Listener, form: str) -> None:
    with serving_keys(listener.world):
        gateway = guarded(listener, form)

        @FUZZ
        @given(tokens_typed)
        def check(token: str) -> None:
            assert gateway.ask("GET/reports/7", token).status == (401 if FORMS[form].word else 403)

        check()
    listener.silent_about(OURS)


# What no gateway sends

MEMBERS = ["resource", "path", "httpMethod", "headers", "requestContext", "pathParameters", "body", "isBase64Encoded"]
nonsense = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, documents | fields)) | documents
half_true = st.one_of(*map(requests, FUNCTIONS)).flatmap(
    lambda event: st.builds(
        lambda lost, odd: {name: value for name, value in {**event, **odd}.items() if name not in lost},
        st.sets(st.sampled_from(MEMBERS), max_size=3),
        st.dictionaries(st.sampled_from(MEMBERS), documents, max_size=1),
    )
)


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS.values())))
def test_an_event_of_no_gateway_is_answered_all_the_same(listener: Listener, function: str) -> None:
    listener.world.add_user()
    listener.said()

    @FUZZ
    @given(nonsense | half_true)
    def check(event: Any) -> None:
        listener.world.clock.tick(60)
        assert 200 <= listener.ask(function, event).status < 600

    check()
    listener.silent_about(OURS)


authorizers_events = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from(["1.0", "2.0"]) | documents,
        "type": st.sampled_from(["TOKEN", "REQUEST"]) | documents,
        "methodArn": documents,
        "routeArn": documents,
        "authorizationToken": documents,
        "identitySource": documents,
        "headers": documents | st.dictionaries(st.sampled_from(["authorization", "Authorization"]), documents),
        "multiValueHeaders": documents | st.dictionaries(st.just("Authorization"), documents),
        "queryStringParameters": documents,
        "requestContext": documents | st.just({"eventType": "CONNECT"}),
    },
)


def test_an_authorizer_refuses_an_event_of_no_gateway(listener: Listener) -> None:
    @settings(FUZZ, max_examples=200)
    @given(authorizers_events | documents)
    def check(event: Any) -> None:
        try:
            answer = listener.call("authorizer", event)
        except Unauthorized:
            return
        assert answer.get("isAuthorized") is False or answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"

    check()
    listener.silent_about(OURS)
