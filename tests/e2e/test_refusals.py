import base64
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

MEMBERS = {"type", "title", "status", "detail", "code"}
JSON = "application/json"


def send(world: Any, method: str, path: str, body: bytes | None, headers: list[tuple[str, str]]) -> tuple[int, Any]:
    """Send exactly these bytes and header lines."""
    connection = http.client.HTTPConnection(urlsplit(world.stack["api_url"]).netloc, timeout=60)
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def problem(answer: tuple[int, Any], status: int, code: str) -> None:
    assert answer[0] == status, answer
    assert set(answer[1]) == MEMBERS, answer
    assert (answer[1]["status"], answer[1]["code"]) == (status, code)


@pytest.fixture(scope="module")
def signed_in(world: Any) -> dict[str, list[tuple[str, str]]]:
    """The header lines that a path asks for, whatever the body."""
    return {"/me/password": [("Authorization", f"Bearer {world.login('alice')['access_token']}")]}


@pytest.mark.parametrize("path", ["/register", "/login", "/refresh", "/logout", "/me/password"])
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (None, JSON, 400, "invalid_request"),
        (b"", JSON, 400, "invalid_request"),
        (b"junk", JSON, 400, "invalid_request"),
        (b"[]", JSON, 400, "invalid_request"),
        (b'{"username": 1, "password": 2, "token": 3, "current_password": 4}', JSON, 400, "invalid_request"),
        (b'{"username": "", "password": "", "token": "", "current_password": ""}', JSON, 400, "invalid_request"),
        (b"{}", JSON, 400, "invalid_request"),
        (b"[" * 20_000 + b"]" * 20_000, JSON, 400, "invalid_request"),
        (b'{"n": ' + b"9" * 5_000 + b"}", JSON, 400, "invalid_request"),
        (b'{"username": "\\ud800", "password": "\\ud800", "token": "\\ud800"}', JSON, 400, "invalid_request"),
        (b'\xef\xbb\xbf{"username": "a"}', JSON, 400, "invalid_request"),
        (b'{"username": "x", "password": "' + b"y" * 1_048_576 + b'"}', JSON, 413, "payload_too_large"),
        (b"username=alice", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
    ids=[
        "none",
        "empty",
        "junk",
        "array",
        "types",
        "blank",
        "missing",
        "nested",
        "digits",
        "surrogate",
        "bom",
        "1MiB",
        "form",
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    world: Any,
    signed_in: dict[str, list[tuple[str, str]]],
    path: str,
    body: bytes | None,
    content_type: str,
    status: int,
    code: str,
) -> None:
    lines = [("Content-Type", content_type), *signed_in.get(path, [])]
    problem(send(world, "POST", path, body, lines), status, code)


def test_bad_utf8_in_a_new_password_is_refused(world: Any) -> None:
    answer = send(
        world, "POST", "/register", b'{"username": "utf", "password": "abcdefgh\xff"}', [("Content-Type", JSON)]
    )
    problem(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        ["{token}"],
        ["Basic {token}"],
        ["Bearer  {token}"],
        ["Bearer {token}", "Bearer {token}"],
        ["Bearer {token}", "Bearer junk"],
        ["Bearer {token}, Bearer {token}"],
        ["Bearer {token}="],
        ["Bearer junk"],
    ],
)
def test_anything_but_one_bearer_token_is_unauthorized(world: Any, headers: list[str]) -> None:
    token = world.login("carol")["access_token"]
    lines = [("Authorization", value.format(token=token)) for value in headers]
    problem(send(world, "GET", "/me", None, lines), 401, "unauthorized")


@pytest.mark.parametrize(("name", "scheme"), [("Authorization", "bearer"), ("authorization", "Bearer")])
def test_case_does_not_matter(world: Any, name: str, scheme: str) -> None:
    token = world.login("alice")["access_token"]
    assert send(world, "GET", "/me", None, [(name, f"{scheme} {token}")])[0] == 200


def test_an_unknown_route_is_not_found_with_or_without_a_token(world: Any) -> None:
    token = world.login("alice")["access_token"]
    problem(send(world, "GET", "/nowhere", None, []), 404, "not_found")
    problem(send(world, "GET", "/nowhere", None, [("Authorization", f"Bearer {token}")]), 404, "not_found")
    problem(send(world, "GET", "/.well-known/nothing", None, []), 404, "not_found")


def test_a_401_says_how_to_authenticate(world: Any) -> None:
    answer = world.ask("GET", "/me")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Cache-Control"] == "no-store"


class Forge:
    """Make tokens with the stack's own keys, and everything else wrong."""

    def __init__(self, world: Any) -> None:
        secrets = world.client("secretsmanager")
        self.rings = {
            name: json.loads(secrets.get_secret_value(SecretId=world.stack[f"{name}_keys_secret"])["SecretString"])
            for name in ("signing", "refresh")
        }
        self.tokens = world.login("alice")

    def good(self, ring: str) -> str:
        """Return the true token that is signed with a key of that ring."""
        return str(self.tokens["access_token" if ring == "signing" else "refresh_token"])

    def key(self, ring: str) -> Any:
        """Return the key that signed it, which may be retired by now."""
        kid, keys = jwt.get_unverified_header(self.good(ring))["kid"], self.rings[ring]
        key = next(key for key in (keys["current"], keys["next"], *keys["retired"]) if key["kid"] == kid)
        return key["secret"] if ring == "signing" else base64.urlsafe_b64decode(key["secret"] + "==")

    def make(self, ring: str, claims: Mapping[str, Any], **headers: Any) -> str:
        good = self.good(ring)
        header = {**jwt.get_unverified_header(good), **headers}
        body = {**jwt.decode(good, options={"verify_signature": False}), **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, self.key(ring), algorithm=header.pop("alg"), headers=header)

    def raw(self, ring: str, payload: str) -> str:
        """Sign a payload that no library would write."""
        header = self.good(ring).split(".")[0]
        message = f"{header}.{base64.urlsafe_b64encode(payload.encode()).rstrip(b'=').decode()}"
        algorithm = jwt.get_algorithm_by_name("RS256" if ring == "signing" else "HS256")
        seal = algorithm.sign(message.encode(), algorithm.prepare_key(self.key(ring)))
        return f"{message}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"


@pytest.fixture(scope="module")
def forge(world: Any) -> Forge:
    return Forge(world)


NOW = int(time.time())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "without exp": {"exp": None},
    "exp as string": {"exp": str(NOW + 600)},
    "exp as float": {"exp": NOW + 600.5},
    "exp beyond time": {"exp": 10**50},
    "exp as list": {"exp": [NOW + 600]},
    "another issuer": {"iss": "https://issuer.example.com"},
    "another audience": {"aud": "billing"},
    "without jti": {"jti": None},
    "without sub": {"sub": None},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_token_with_wrong_claims_is_refused_though_our_own_key_signed_it(
    world: Any, forge: Forge, claims: dict[str, Any]
) -> None:
    access = world.ask("GET", "/me", Authorization=f"Bearer {forge.make('signing', claims)}")
    problem((access.status, access.body), 401, "unauthorized")
    refresh = world.refresh(forge.make("refresh", claims))
    problem((refresh.status, refresh.body), 401, "invalid_refresh_token")


@pytest.mark.parametrize(
    "headers",
    [{"typ": "JWT"}, {"kid": "unknown"}, {"kid": ""}, {"crit": ["exp"]}],
    ids=["typ", "unknown kid", "empty kid", "crit"],
)
def test_a_token_with_a_wrong_header_is_refused(world: Any, forge: Forge, headers: dict[str, Any]) -> None:
    access = world.ask("GET", "/me", Authorization=f"Bearer {forge.make('signing', {}, **headers)}")
    problem((access.status, access.body), 401, "unauthorized")
    refresh = world.refresh(forge.make("refresh", {}, **headers))
    problem((refresh.status, refresh.body), 401, "invalid_refresh_token")


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused_as_an_access_token_and_nobody_is_signed_out_for_it(
    world: Any, forge: Forge, claim: str
) -> None:
    future = {claim: NOW + 3600}
    access = world.ask("GET", "/me", Authorization=f"Bearer {forge.make('signing', future)}")
    problem((access.status, access.body), 401, "unauthorized")
    refresh = world.refresh(forge.make("refresh", future))
    problem((refresh.status, refresh.body), 503, "unavailable")


def test_an_expired_token_is_refused(world: Any, forge: Forge) -> None:
    past = {"iat": NOW - 7200, "exp": NOW - 3600}
    access = world.ask("GET", "/me", Authorization=f"Bearer {forge.make('signing', past)}")
    problem((access.status, access.body), 401, "unauthorized")
    refresh = world.refresh(forge.make("refresh", past))
    problem((refresh.status, refresh.body), 401, "refresh_token_expired")


def test_a_token_without_a_signature_is_refused(world: Any, forge: Forge) -> None:
    header, payload, seal = forge.tokens["access_token"].split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    for token in (f"{none}.{payload}.", f"{header}.{payload}.", f"{header}.{payload}.{seal}=="):
        answer = world.ask("GET", "/me", Authorization=f"Bearer {token}")
        problem((answer.status, answer.body), 401, "unauthorized")


def test_an_expiry_that_is_named_twice_is_refused(world: Any, forge: Forge) -> None:
    good = jwt.decode(forge.tokens["access_token"], options={"verify_signature": False})
    twice = json.dumps(good)[:-1] + f', "exp": {NOW + 86_400}}}'
    answer = world.ask("GET", "/me", Authorization=f"Bearer {forge.raw('signing', twice)}")
    problem((answer.status, answer.body), 401, "unauthorized")
