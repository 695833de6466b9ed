"""Whatever is sent, the answer is a 4xx that says what is wrong; nothing changes, and no log knows the secrets."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from tests.conftest import (
    NOW,
    PASSWORD,
    Answer,
    Logs,
    World,
    base64url,
    claims,
    header,
    rest_event,
    seal,
    stack_in_memory,
)

FUNCTIONS = ("register", "login", "refresh", "logout")
FIELDS = {
    "register": ("username", "password"),
    "login": ("username", "password", "audience"),
    "refresh": ("refresh_token",),
    "logout": ("refresh_token",),
}
INVALID_CREDENTIALS = (401, "invalid_credentials", "Invalid credentials")
INVALID_REFRESH_TOKEN = (401, "invalid_refresh_token", "Invalid refresh token")
NUMBERS = itertools.count()
SEVENTY_THREE = "0123456789" * 7 + "012"


class Somebody(NamedTuple):
    """A user who is signed in, and what the tests send in their name."""

    world: World
    token: str

    def valid(self, function: str) -> dict[str, Any]:
        """Return a body that the function takes, once."""
        match function:
            case "register":
                return {"username": f"bob-{next(NUMBERS)}", "password": PASSWORD}
            case "login":
                return {"username": "alice", "password": PASSWORD}
            case _:
                return {"refresh_token": self.token}

    def fresh(self) -> "Somebody":
        """Return somebody with a session of their own to spend."""
        return self._replace(token=self.world.login()["refresh_token"])

    def send(self, function: str, body: str | None, **how: Any) -> Answer:
        return self.world.ask(function, rest_event(f"/{function}", body, **how))

    def refused(self, logs: Logs, function: str, body: str | None, **how: Any) -> tuple[int, str, str]:
        """Send what must be refused; return status, code and detail once everything that always holds was seen."""
        self.world.wire.calls.clear()
        answer = self.send(function, body, **how)
        counted = {"UpdateItem"} if function in ("login", "register") else set()  # the guess
        assert {"GetItem", "GetSecretValue", *counted}.issuperset(self.world.wire.calls), "something was written"
        assert 400 <= answer.status < 500
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert set(answer.body) == {"type", "title", "status", "detail", "code"}
        assert (answer.body["type"], answer.body["status"]) == ("about:blank", answer.status)
        said = logs.text + answer.text
        assert PASSWORD not in said
        assert self.token not in said
        return answer.problem

    def key(self) -> dict[str, Any]:
        """Return the key that refresh tokens are signed with."""
        current: dict[str, Any] = self.world.ring("REFRESH_KEYS_SECRET")["current"]
        return current


@pytest.fixture(scope="module")
def somebody() -> Iterator[Somebody]:
    """One stack for all: what must be refused leaves it as it was."""
    with stack_in_memory(USER_NETWORK_LIMIT="100000/1", USER_LIMIT="100000/1") as world:
        world.add_user()
        yield Somebody(world, world.login()["refresh_token"])


# Bodies


def in_base64(raw: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(raw).decode(), "is_base64": True}


BODIES: Mapping[str, dict[str, Any]] = {
    "none": {"body": None},
    "empty": {"body": ""},
    "empty in base64": {"body": "", "is_base64": True},
    "form fields": {"body": "username=alice&password=secret"},
    "cut off": {"body": '{"username": "alice"'},
    "something after the end": {"body": "{} {}"},
    "an array": {"body": '["alice"]'},
    "a text": {"body": '"alice"'},
    "a number": {"body": "17"},
    "null": {"body": "null"},
    "true": {"body": "true"},
    "nothing in it": {"body": "{}"},
    "20,000 nested arrays": {"body": '{"x": ' + "[" * 20_000 + "]" * 20_000 + "}"},
    "20,000 open arrays": {"body": "[" * 20_000},
    "20,000 nested objects": {"body": '{"x":' * 10_000 + "1" + "}" * 10_000},
    "a number of 5,000 digits": {"body": '{"x": ' + "9" * 5_000 + "}"},
    "not a number": {"body": '{"x": NaN}'},
    "infinity": {"body": '{"x": -Infinity}'},
    "a lone surrogate": {"body": '{"x": "\\ud800"}'},
    "a lone surrogate as a name": {"body": '{"\\udfff": 1}'},
    "a raw lone surrogate": {"body": '{"x": "\ud800"}'},
    "a byte-order mark": {"body": "\ufeff{}"},
    "a byte-order mark in base64": in_base64(b"\xef\xbb\xbf{}"),
    "a raw NUL": {"body": '{"x": "\x00"}'},
    "a raw line feed": {"body": '{"x": "\n"}'},
    "a name twice": {"body": '{"x": 1, "x": 2}'},
    "invalid base64": {"body": "{}", "is_base64": True},
    "base64 beyond ASCII": {"body": "é", "is_base64": True},
    "bad UTF-8": in_base64(b'{"x": "\xff"}'),
    "an overlong form": in_base64(b'{"x": "\xc0\xaf"}'),
    "UTF-16": in_base64('{"x": 1}'.encode("utf-16")),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_cannot_be_read_is_refused(somebody: Somebody, logs: Logs, function: str, body: str) -> None:
    status, code, detail = somebody.refused(logs, function, **BODIES[body])
    assert (status, code) == (400, "invalid_request")
    assert detail.endswith(".")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_body_of_a_megabyte_is_too_large(somebody: Somebody, logs: Logs, function: str) -> None:
    large = json.dumps({**somebody.valid(function), "x": "x" * 1_048_576})
    assert somebody.refused(logs, function, large)[:2] == (413, "payload_too_large")
    assert somebody.refused(logs, function, **in_base64(large.encode()))[:2] == (413, "payload_too_large")


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_content_type_is_refused(
    somebody: Somebody, logs: Logs, function: str, content_type: str | None
) -> None:
    body = json.dumps(somebody.valid(function))
    refused = somebody.refused(logs, function, body, content_type=content_type)
    assert refused[:2] == (415, "unsupported_media_type")


@pytest.mark.parametrize("value", [1, 1.5, True, False, [], ["x"], {}, {"x": "y"}, ""])
@pytest.mark.parametrize(("function", "field"), [(name, field) for name in FUNCTIONS for field in FIELDS[name]])
def test_a_field_that_is_no_text_or_empty_is_refused(
    somebody: Somebody, logs: Logs, function: str, field: str, value: Any
) -> None:
    body = json.dumps({**somebody.valid(function), field: value})
    status, code, detail = somebody.refused(logs, function, body)
    assert (status, code) == (400, "invalid_request")
    assert f"'{field}'" in detail


@pytest.mark.parametrize("how", ["left out", "null"])
@pytest.mark.parametrize(
    ("function", "field"), [(name, field) for name in FUNCTIONS for field in FIELDS[name] if field != "audience"]
)
def test_a_field_that_is_missing_is_named(somebody: Somebody, logs: Logs, function: str, field: str, how: str) -> None:
    body = {**somebody.valid(function), field: None}
    if how == "left out":
        del body[field]
    problem = somebody.refused(logs, function, json.dumps(body))
    assert problem == (400, "invalid_request", f"The field '{field}' is missing.")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unknown_fields_are_passed_over(somebody: Somebody, function: str) -> None:
    body = {**somebody.fresh().valid(function), "remember_me": True, "role": "admin", "x": {"y": [1, "\U0001f600"]}}
    answer = somebody.send(function, json.dumps(body))
    assert answer.status in (200, 201)
    assert answer.body.get("role", "user") == "user"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_body_in_base64_is_decoded(somebody: Somebody, function: str) -> None:
    answer = somebody.send(function, **in_base64(json.dumps(somebody.fresh().valid(function)).encode()))
    assert answer.status in (200, 201)


@pytest.mark.parametrize("function", ["refresh", "logout"])
def test_the_token_may_be_called_token(somebody: Somebody, function: str) -> None:
    assert somebody.send(function, json.dumps({"token": somebody.fresh().token})).status == 200


# Usernames

NO_USERNAMES = {
    "a space inside": "ali ce",
    "a tab inside": "ali\tce",
    "a first character outside the rule": "-alice",
    "a letter with a mark": "alïce",
    "a letter that lower case would make ours": "\N{KELVIN SIGN}arl",
    "a full-width letter": "\uff41lice",
    "a slash": "alice/bob",
    "a colon": "alice:bob",
    "NUL": "alice\x00",
    "NUL before": "\x00alice",
    "a control character": "ali\x07ce",
    "DEL": "alice\x7f",
    "a zero-width space": "alice\u200b",
    "a no-break space around": "\xa0alice",
    "nothing but spaces": "   ",
    "129 characters": "a" * 129,
    "3,000 characters": "a" * 3_000,
    "the form of a UUID": "0b7f3c52-8f0e-4c1d-9a36-5e2d7c41b908",
    "the form of a UUID in upper case": "0B7F3C52-8F0E-4C1D-9A36-5E2D7C41B908",
    "a tombstone": "#deleted#2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90",
}


@pytest.mark.parametrize("name", NO_USERNAMES)
def test_what_is_no_username_cannot_be_registered_and_the_rule_is_told(
    somebody: Somebody, logs: Logs, name: str
) -> None:
    body = json.dumps({"username": NO_USERNAMES[name], "password": PASSWORD})
    status, code, detail = somebody.refused(logs, "register", body)
    assert (status, code) == (400, "invalid_request")
    assert "1 to 128 characters" in detail


@pytest.mark.parametrize("name", NO_USERNAMES)
def test_what_is_no_username_signs_in_like_anybody_unknown(somebody: Somebody, logs: Logs, name: str) -> None:
    body = json.dumps({"username": NO_USERNAMES[name], "password": PASSWORD})
    assert somebody.refused(logs, "login", body) == INVALID_CREDENTIALS
    assert NO_USERNAMES[name].strip() not in logs.text or name == "nothing but spaces"


@pytest.mark.parametrize("typed", [" alice ", "\talice\n", "ALICE", "Alice"])
def test_spaces_around_and_upper_case_make_no_other_user(somebody: Somebody, logs: Logs, typed: str) -> None:
    before = somebody.world.stored()
    answer = somebody.world.post("register", {"username": typed, "password": PASSWORD})
    assert answer.problem == (409, "username_taken", "This username is taken.")
    assert somebody.world.stored() == before
    assert PASSWORD not in logs.text
    assert claims(somebody.world.login(typed)["access_token"])["username"] == "alice"


@pytest.mark.parametrize("name", ["a", "0", "a" * 128, "alice.b_c+d-e@example.com"])
def test_a_name_within_the_rule_is_taken(somebody: Somebody, name: str) -> None:
    answer = somebody.world.post("register", {"username": name.upper(), "password": PASSWORD})
    assert (answer.status, answer.body["username"]) == (201, name)


# Passwords

NO_PASSWORDS = {
    "7 characters": "1234567",
    "257 characters": "x" * 257,
    "1,000 characters": "x" * 1_000,
    "60,000 characters": "x" * 60_000,
    "NUL": "correct\x00horse",
    "a line feed": "correct\nhorse",
    "DEL": "correct\x7fhorse",
    "a C1 control": "correct\x85horse",
    "what bad UTF-8 has become": "correct\ufffdhorse",
}


@pytest.mark.parametrize("password", NO_PASSWORDS)
def test_what_is_no_password_cannot_be_chosen(somebody: Somebody, logs: Logs, password: str) -> None:
    body = json.dumps({"username": "bob", "password": NO_PASSWORDS[password]})
    status, code, detail = somebody.refused(logs, "register", body)
    assert (status, code) == (400, "invalid_request")
    assert detail.startswith("The password ")
    assert NO_PASSWORDS[password] not in logs.text + detail


@pytest.mark.parametrize("name", ["alice", "nobody"])
@pytest.mark.parametrize("password", [*NO_PASSWORDS, "73 characters", "a wrong one"])
def test_whatever_is_typed_as_a_password_is_just_a_wrong_one(
    somebody: Somebody, logs: Logs, name: str, password: str
) -> None:
    typed = {**NO_PASSWORDS, "73 characters": SEVENTY_THREE}.get(password, password)
    body = json.dumps({"username": name, "password": typed})
    assert somebody.refused(logs, "login", body) == INVALID_CREDENTIALS
    assert typed not in logs.text


@pytest.mark.parametrize("password", ["1234567%", SEVENTY_THREE, "x" * 256, "пароль-пароль", "\U0001f40e" * 8, " " * 8])
def test_a_password_within_the_rule_is_taken_and_every_character_of_it_counts(
    somebody: Somebody, password: str
) -> None:
    world, name = somebody.world, somebody.valid("register")["username"]
    assert world.post("register", {"username": name, "password": password}).status == 201
    assert world.post("login", {"username": name, "password": password}).status == 200
    for other in (password[:-1], f"{password[:-1]}!", f"{password}!", f" {password}"):
        assert world.post("login", {"username": name, "password": other}).problem == INVALID_CREDENTIALS


# Tokens

Forge = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], str]


def with_header(**changes: Any) -> Forge:
    """Return a token whose header differs so, truly signed."""
    return lambda head, body, key: seal({**head, **changes}, body, key)


def with_claims(**changes: Any) -> Forge:
    """Return a token whose claims differ so, truly signed."""
    return lambda head, body, key: seal(head, {**body, **changes}, key)


def without(name: str) -> Forge:
    """Return a token without a claim or a member of the header, truly signed."""
    return lambda head, body, key: seal(
        {member: value for member, value in head.items() if member != name},
        {claim: value for claim, value in body.items() if claim != name},
        key,
    )


def as_it_stands(change: Callable[[str], str]) -> Forge:
    """Return our own token, changed as a text."""
    return lambda head, body, key: change(seal(head, body, key))


def by_a_stranger(head: dict[str, Any], body: dict[str, Any], _key: dict[str, Any]) -> str:
    return seal(head, body, {"alg": "HS256", "secret": base64url(b"a key of a stranger's own choice")})


def with_the_strangers_key_in_it(head: dict[str, Any], body: dict[str, Any], _key: dict[str, Any]) -> str:
    secret = base64url(b"a key of a stranger's own choice")
    jwk = {"kty": "oct", "k": secret, "kid": head["kid"]}
    return seal({**head, "jwk": jwk, "jku": "https://example.com/jwks.json"}, body, {"alg": "HS256", "secret": secret})


def with_exp_twice(head: dict[str, Any], body: dict[str, Any], key: dict[str, Any]) -> str:
    text = json.dumps(body)
    return seal(head, f'{text[:-1]}, "exp": {NOW + 10**6}}}', key)


def without_a_signature(head: dict[str, Any], body: dict[str, Any], key: dict[str, Any]) -> str:
    return seal({**head, "alg": "none"}, body, key).rpartition(".")[0] + "."


FORGERIES: Mapping[str, Forge] = {
    "a word": as_it_stands(lambda _: "x"),
    "two dots": as_it_stands(lambda _: ".."),
    "spaces": as_it_stands(lambda _: "   "),
    "NUL": as_it_stands(lambda _: "\x00"),
    "letters beyond ASCII": as_it_stands(lambda token: f"é{token}"),
    "60,000 characters": as_it_stands(lambda _: "x" * 60_000),
    "60,000 dots": as_it_stands(lambda _: "." * 60_000),
    "a fourth part": as_it_stands(lambda token: f"{token}.x"),
    "a space before": as_it_stands(lambda token: f" {token}"),
    "a line feed after": as_it_stands(lambda token: f"{token}\n"),
    "padding after the signature": as_it_stands(lambda token: f"{token}="),
    "a signature cut short": as_it_stands(lambda token: token[:-2]),
    "another signature": as_it_stands(lambda token: f"{token.rpartition('.')[0]}.{'A' * 43}"),
    "a header that is no JSON": lambda _head, body, key: seal("x", body, key),
    "a header that is an array": lambda _head, body, key: seal("[]", body, key),
    "claims that are no JSON": lambda head, _body, key: seal(head, "x", key),
    "claims that are an array": lambda head, _body, key: seal(head, "[]", key),
    "nested claims": lambda head, _body, key: seal(head, "[" * 2_000 + "]" * 2_000, key),
    "alg none": without_a_signature,
    "alg none with a signature": with_header(alg="none"),
    "another alg": with_header(alg="HS512"),
    "an alg that is a list": with_header(alg=["HS256"]),
    "no alg": without("alg"),
    "an unknown kid": with_header(kid="nobody's"),
    "kid null": with_header(kid=None),
    "a kid that is a number": with_header(kid=7),
    "a kid that is a list": with_header(kid=["x"]),
    "a kid of 10 KB": with_header(kid="x" * 10_240),
    "no kid": without("kid"),
    "an unknown crit": with_header(crit=["exp"]),
    "the typ of an access token": with_header(typ="at+jwt"),
    "another typ": with_header(typ="JWT"),
    "no typ": without("typ"),
    "a stranger's signature": by_a_stranger,
    "a stranger's key in the header": with_the_strangers_key_in_it,
    "another issuer": with_claims(iss="https://example.com"),
    "another audience": with_claims(aud="rolegate"),
    "exp twice": with_exp_twice,
    "exp a text": with_claims(exp=str(NOW + 60)),
    "exp a float": with_claims(exp=NOW + 60.5),
    "exp beyond all years": with_claims(exp=10**50),
    "exp a list": with_claims(exp=[NOW + 60]),
    "exp true": with_claims(exp=True),
    "exp negative": with_claims(exp=-1),
    "an empty jti": with_claims(jti=""),
    "a sid that is a number": with_claims(sid=1),
    "a gen that is a text": with_claims(gen="0"),
    "a gen that is true": with_claims(gen=True),
    "a gen below 0": with_claims(gen=-1),
    "a gen that no table holds": with_claims(gen=10**40),
    "a lone surrogate": lambda head, body, key: seal(head, json.dumps({**body, "sub": "\ud800"}), key),
    **{
        f"no {claim}": without(claim)
        for claim in ("iss", "aud", "sub", "uid", "sid", "jti", "gen", "iat", "exp", "auth_time", "session_exp")
    },
}


@pytest.mark.parametrize("function", ["refresh", "logout"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_refresh_token_is_invalid(somebody: Somebody, logs: Logs, function: str, forgery: str) -> None:
    token = FORGERIES[forgery](header(somebody.token), claims(somebody.token), somebody.key())
    assert token != somebody.token
    assert somebody.refused(logs, function, json.dumps({"refresh_token": token})) == INVALID_REFRESH_TOKEN
    assert token.strip("x. \x00") == "" or token not in logs.text


@pytest.mark.parametrize("function", ["refresh", "logout"])
def test_an_access_token_is_no_refresh_token(somebody: Somebody, logs: Logs, function: str) -> None:
    access = somebody.world.login()["access_token"]
    assert somebody.refused(logs, function, json.dumps({"refresh_token": access})) == INVALID_REFRESH_TOKEN


def test_a_forgery_would_be_good_but_for_what_is_forged_in_it(somebody: Somebody) -> None:
    ours = somebody.fresh().token
    true = seal(header(ours), claims(ours), somebody.key())
    ignored = seal(
        {**header(ours), "jku": "https://example.com", "x5u": "https://example.com", "jwk": {}},
        {**claims(ours), "aud": [somebody.world.issuer], "nbf": NOW + 30},
        somebody.key(),
    )
    for token in (true, ignored):
        assert somebody.world.refresh(token).status == 200
