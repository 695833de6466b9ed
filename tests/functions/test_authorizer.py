"""The authorizer, over a real key document: one value of `Authorization`, one valid token, one minimum role."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

import pytest
from rolegate import jwks
from rolegate.errors import Unauthorized, Unavailable

from tests.conftest import (
    NOW,
    Answer,
    Handler,
    Logs,
    World,
    base64url,
    claims,
    client,
    header,
    seal,
    serving,
    serving_keys,
    stack_in_memory,
)
from tests.functions.test_bad_input import FORGERIES as REFRESH_FORGERIES
from tests.functions.test_bad_input import Forge

ARN = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/GET/manager"
STAGE = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*"


def rest(*values: str, name: str = "Authorization") -> dict[str, Any]:
    """Return the event of a REST API's REQUEST authorizer for a request with these values of the header."""
    headers = {name: values[-1]} if values else {}
    several = {name: list(values)} if values else {}
    return {"type": "REQUEST", "methodArn": ARN, "headers": headers, "multiValueHeaders": several}


def http_2(value: str) -> dict[str, Any]:
    return {"version": "2.0", "type": "REQUEST", "routeArn": ARN, "headers": {"authorization": value}}


class Api:
    """A REST API that asks the manager authorizer."""

    def __init__(self, world: World, token: str) -> None:
        self.world, self.token = world, token

    def allows(self, event: Mapping[str, Any]) -> bool:
        """Ask; True and False are the policy's word, and no valid token raises."""
        return allows(self.world.handler("authorizer"), event)

    def refuses(self, event: Mapping[str, Any]) -> bool:
        return refuses(self.world.handler("authorizer"), event)


def allows(authorizer: Handler, event: Mapping[str, Any]) -> bool:
    answer = authorizer(event, None)
    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("execute-api:Invoke", STAGE)
    return bool(statement["Effect"] == "Allow")


def refuses(authorizer: Handler, event: Mapping[str, Any]) -> bool:
    try:
        authorizer(event, None)
    except Unauthorized as error:
        return str(error) == "Unauthorized"
    return False


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One stack for all, whose issuer serves its real documents."""
    with stack_in_memory() as world, serving_keys(world):
        world.add_user(role="manager")
        yield Api(world, world.login()["access_token"])


def test_a_bearer_token_is_let_through(api: Api) -> None:
    assert api.allows(rest(f"Bearer {api.token}"))
    assert api.allows({"type": "TOKEN", "methodArn": ARN, "authorizationToken": f"Bearer {api.token}"})


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
def test_the_scheme_and_the_header_may_be_in_any_case(api: Api, scheme: str, name: str) -> None:
    assert api.allows(rest(f"{scheme} {api.token}", name=name))


AUTHORIZATIONS: Mapping[str, Callable[[str], list[str]]] = {
    "missing": lambda _: [],
    "empty": lambda _: [""],
    "a scheme alone": lambda _: ["Bearer"],
    "a scheme and a space": lambda _: ["Bearer "],
    "without a scheme": lambda token: [token],
    "another scheme": lambda token: [f"Basic {token}"],
    "two spaces": lambda token: [f"Bearer  {token}"],
    "a tab": lambda token: [f"Bearer\t{token}"],
    "a space before": lambda token: [f" Bearer {token}"],
    "a space after": lambda token: [f"Bearer {token} "],
    "a line feed after": lambda token: [f"Bearer {token}\n"],
    "a comma after": lambda token: [f"Bearer {token},"],
    "two joined by a comma": lambda token: [f"Bearer {token},Bearer {token}"],
    "two joined by a comma and a space": lambda token: [f"Bearer {token}, Bearer {token}"],
    "a parameter": lambda token: [f"Bearer {token}; x=y"],
    "quoted": lambda token: [f'Bearer "{token}"'],
    "twice": lambda token: [f"Bearer {token}", "Bearer another.to.ken"],
    "twice the same": lambda token: [f"Bearer {token}", f"Bearer {token}"],
    "two parts": lambda token: [f"Bearer {token.rpartition('.')[0]}"],
    "four parts": lambda token: [f"Bearer {token}.x"],
    "padding": lambda token: [f"Bearer {token}="],
    "NUL": lambda token: [f"Bearer {token}\x00"],
    "letters beyond ASCII": lambda token: [f"Bearer é{token}"],
}


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
def test_anything_but_one_bearer_token_is_unauthorized(api: Api, logs: Logs, authorization: str) -> None:
    values = AUTHORIZATIONS[authorization](api.token)
    assert api.refuses(rest(*values))
    if len(values) == 1:
        assert api.refuses({"type": "TOKEN", "methodArn": ARN, "authorizationToken": values[0]})
        denied = api.world.handler("authorizer")(http_2(values[0]), None)
        assert denied == {"isAuthorized": False, "context": {"detail": "Unauthorized"}}
    assert logs.text == ""


def test_two_headers_that_differ_in_case_alone_are_two_values(api: Api) -> None:
    event = rest(f"Bearer {api.token}")
    event["headers"]["authorization"] = "Bearer another.to.ken"
    assert api.refuses(event)


ACCESS_FORGERIES: dict[str, Forge] = {
    **{name: forge for name, forge in REFRESH_FORGERIES.items() if "gen" not in name},
    "expired": lambda head, body, key: seal(head, {**body, "exp": NOW}, key),
    "the typ of a refresh token": lambda head, body, key: seal({**head, "typ": "rt+jwt"}, body, key),
    "another audience": lambda head, body, key: seal(head, {**body, "aud": "reports"}, key),
    "no username": lambda head, body, key: seal(head, {**body, "username": None}, key),
    "no role": lambda head, body, key: seal(head, {**body, "role": None}, key),
    "a role that is a list": lambda head, body, key: seal(head, {**body, "role": ["admin"]}, key),
    "no scope": lambda head, body, key: seal(head, {**body, "scope": None}, key),
}
for _name in ("the typ of an access token", "no auth_time", "no session_exp"):
    del ACCESS_FORGERIES[_name]


@pytest.mark.parametrize("forgery", ACCESS_FORGERIES)
def test_a_forged_access_token_is_unauthorized(api: Api, logs: Logs, forgery: str) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = ACCESS_FORGERIES[forgery](header(api.token), claims(api.token), key)
    assert token != api.token
    assert api.refuses(rest(f"Bearer {token}"))
    assert logs.text == ""


def test_a_token_signed_with_the_public_key_as_a_secret_is_unauthorized(api: Api) -> None:
    (public, _) = api.world.ask("keys", {"headers": {}, "pathParameters": {"document": "jwks.json"}}).body["keys"]
    for secret in (json.dumps(public), public["n"]):
        head = {**header(api.token), "alg": "HS256"}
        key = {"alg": "HS256", "secret": base64url(secret.encode())}
        assert api.refuses(rest(f"Bearer {seal(head, claims(api.token), key)}"))


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    assert api.refuses(rest(f"Bearer {api.world.login()['refresh_token']}"))


@pytest.mark.parametrize("audience", [["rolegate"], ["reports", "rolegate"]])
def test_an_audience_may_be_a_list(api: Api, audience: list[str]) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = seal(header(api.token), {**claims(api.token), "aud": audience}, key)
    assert api.allows(rest(f"Bearer {token}"))


@pytest.mark.parametrize("arn", ["", "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5", "*", ARN + "?", None])
def test_a_policy_is_for_a_stage_or_not_at_all(api: Api, arn: str | None) -> None:
    event = {**rest(f"Bearer {api.token}"), "methodArn": arn}
    if arn == f"{ARN}?":
        assert api.allows(event)
    else:
        assert api.refuses(event)


@pytest.mark.parametrize(
    ("role", "minimum", "allowed"),
    [
        ("user", "user", True),
        ("user", "manager", False),
        ("manager", "manager", True),
        ("manager", "admin", False),
        ("admin", "user", True),
        ("admin", "admin", True),
        ("owner", "user", False),
    ],
)
def test_a_role_lets_its_own_level_and_every_lower_one_in(api: Api, role: str, minimum: str, *, allowed: bool) -> None:
    key = api.world.ring("SIGNING_KEYS_SECRET")["current"]
    token = seal(header(api.token), {**claims(api.token), "role": role}, key)
    answer = api.world.cold("authorizer", ISSUER=api.world.issuer, MIN_ROLE=minimum)(rest(f"Bearer {token}"), None)
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == ("Allow" if allowed else "Deny")
    assert answer["context"]["detail"] == ("" if allowed else f"{minimum} access required")
    assert all(isinstance(value, str) for value in answer["context"].values())


def test_a_token_is_good_up_to_its_last_second_though_it_is_remembered(api: Api) -> None:
    token = api.world.login()["access_token"]
    began = api.world.clock.now
    try:
        api.world.clock.now = claims(token)["exp"] - 1
        assert api.allows(rest(f"Bearer {token}"))
        api.world.clock.tick(1)
        assert api.refuses(rest(f"Bearer {token}"))
    finally:
        api.world.clock.now = began


def test_without_keys_nobody_is_let_in_and_nobody_turned_away(api: Api, logs: Logs) -> None:
    with serving(lambda *_: (500, {}, b"nothing here")) as url:
        handler = api.world.cold("authorizer", ISSUER=url)
        with pytest.raises(Unavailable):
            handler(rest(f"Bearer {api.token}"), None)
    assert logs.metrics() == ["AuthorizerUnavailable"]
    assert api.token not in logs.text


# The keys: what becomes of them at the issuer, and of an issuer in trouble


Reply = tuple[int, Mapping[str, str], bytes]


class Door:
    """Stands at the issuer's address: counts who asks, and gives the real documents, or whatever it is told to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked = 0
        self.instead: Callable[[], Reply] | None = None
        self.is_a_cache = False
        self._cached: Answer | None = None
        self._cached_until = 0

    def __call__(self, request: BaseHTTPRequestHandler, _body: bytes) -> Reply:
        self.asked += 1
        if self.instead is not None:
            return self.instead()
        answer = self._from_cache() if self.is_a_cache else self._document(dict(request.headers))
        return answer.status, answer.headers, answer.text.encode()

    def _document(self, headers: Mapping[str, str]) -> Answer:
        return self.world.ask("keys", {"headers": headers, "pathParameters": {"document": "jwks.json"}})

    def _from_cache(self) -> Answer:
        """Do what a content delivery network may: keep the document as long as it says itself."""
        if self._cached is None or self.world.clock.now >= self._cached_until:
            self._cached = self._document({})
            self._cached_until = self.world.clock.now + int(self._cached.headers["Cache-Control"].split("max-age=")[1])
        return self._cached


class Scene(NamedTuple):
    """A stack with a manager, and what stands at its issuer's address."""

    world: World
    door: Door
    token: str

    def another(self, secret: Mapping[str, Any] | None = None, **header_and_claims: Any) -> dict[str, Any]:
        """Return a request with a token of this moment, by the key that signs or by the stored key `secret`."""
        now = self.world.clock.now
        key = secret or self.world.ring("SIGNING_KEYS_SECRET")["current"]
        head = {**header(self.token), "kid": key["kid"]}
        body = {**claims(self.token), "iat": now, "exp": now + 900, "jti": f"{now} {self.door.asked}"}
        return rest(f"Bearer {seal({**head, **header_and_claims}, body, key)}")

    def publish(self, *published: object) -> None:
        client("ssm").put_parameter(
            Name="/rolegate/jwks", Value=json.dumps({"keys": published}), Type="String", Overwrite=True
        )

    def published(self) -> list[dict[str, Any]]:
        """Return the public keys of the parameter: the one that signs, and the next."""
        keys: list[dict[str, Any]] = json.loads(
            client("ssm").get_parameter(Name="/rolegate/jwks")["Parameter"]["Value"]
        )["keys"]
        return keys


@pytest.fixture
def scene(api: Api) -> Iterator[Scene]:
    """The one stack, at another address for a while; what a test does to it ends with the test."""
    world, before = api.world, api.world.issuer
    door = Door(world)
    with serving(door) as url:
        world.configure(ISSUER=url)
        scene = Scene(world, door, world.login()["access_token"])
        published = scene.published()
        yield scene
    scene.publish(*published)
    world.clock.now = NOW
    world.configure(ISSUER=before)


def test_a_removed_key_is_refused_everywhere_within_seven_minutes(scene: Scene) -> None:
    """With everything in between as old as it may be: 30 seconds here, 60 in a cache, and 300 in the authorizer."""
    world, remembered, unseen = scene.world, rest(f"Bearer {scene.token}"), scene.another()
    scene.door.is_a_cache = True
    world.ask("keys", {"headers": {}, "pathParameters": {"document": "jwks.json"}})
    _, following = scene.published()
    scene.publish(following)  # nobody ever sees the other one in the parameter again
    world.clock.tick(29)
    assert allows(world.cold("authorizer"), remembered)  # which puts the document into the cache
    world.clock.tick(59)
    warm = world.handler("authorizer")
    assert allows(warm, remembered)
    world.clock.tick(299)
    assert allows(warm, remembered)  # the longest that it may last
    world.clock.tick(420 - 29 - 59 - 299)
    for authorizer in (warm, world.cold("authorizer")):
        assert refuses(authorizer, remembered)
        assert refuses(authorizer, unseen)
        assert allows(authorizer, scene.another(world.ring("SIGNING_KEYS_SECRET")["next"]))


def test_a_removed_key_outlives_an_issuer_that_falls_silent_by_an_hour_and_no_more(scene: Scene) -> None:
    world, warm = scene.world, scene.world.handler("authorizer")
    assert allows(warm, rest(f"Bearer {scene.token}"))
    scene.publish(scene.published()[1])
    scene.door.instead = lambda: (503, {}, b"")
    with pytest.raises(Unavailable):
        world.cold("authorizer")(rest(f"Bearer {scene.token}"), None)
    world.clock.tick(300 + 3600 - 1)
    last = scene.another()
    assert allows(warm, last)
    world.clock.tick(1)
    for event in (last, scene.another(), http_2(last["headers"]["Authorization"])):
        for authorizer in (warm, world.cold("authorizer")):
            with pytest.raises(Unavailable):  # never a denial, which an API may keep
                authorizer(event, None)
    scene.door.instead = None
    world.clock.tick(1)
    assert refuses(warm, last)


def redirect(scene: Scene) -> Reply:
    return 302, {"Location": f"{scene.world.issuer}/elsewhere"}, json.dumps({"keys": scene.published()}).encode()


def too_much(scene: Scene) -> Reply:
    return 200, {}, json.dumps({"keys": scene.published()}).encode().ljust(65_537)


def hang(_scene: Scene) -> Reply:
    time.sleep(0.3)
    return 200, {}, b""


def private(scene: Scene) -> Reply:
    return 200, {}, json.dumps({"keys": [{**key, "d": "AQAB"} for key in scene.published()]}).encode()


def symmetric(scene: Scene) -> Reply:
    keys = [{"kty": "oct", "k": "c2VjcmV0", "kid": key["kid"], "alg": "HS256"} for key in scene.published()]
    return 200, {}, json.dumps({"keys": keys}).encode()


TROUBLES: Mapping[str, Callable[[Scene], Reply]] = {
    "fails": lambda _: (500, {}, b""),
    "knows no keys": lambda _: (404, {}, b""),
    "redirects": redirect,
    "says too much": too_much,
    "hangs": hang,
    "gives a page": lambda _: (200, {}, b"<html>Sign in to the network</html>"),
    "gives half a document": lambda _: (200, {}, b'{"keys": ['),
    "has no keys": lambda _: (200, {}, b'{"keys": []}'),
    "gives private keys": private,
    "gives symmetric keys": symmetric,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_issuer_in_trouble_costs_known_keys_nothing_for_an_hour(
    scene: Scene, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, warm = scene.world, scene.world.handler("authorizer")
    assert allows(warm, rest(f"Bearer {scene.token}"))
    monkeypatch.setattr(jwks, "TIMEOUT", 0.1 if trouble == "hangs" else 3)
    scene.door.instead = lambda: TROUBLES[trouble](scene)
    for age in (300, 329, 330, 3899):
        world.clock.now = NOW + age
        assert allows(warm, scene.another())
        assert refuses(warm, rest("Bearer a.b.c"))
    # After 300, 330 and 3,899 seconds: two tries each, but for a document that makes no sense.
    assert scene.door.asked - 1 in (3, 3 * 2)
    world.clock.tick(1)
    with pytest.raises(Unavailable):
        warm(scene.another(), None)
    with pytest.raises(Unavailable):
        world.cold("authorizer")(scene.another(), None)
    scene.door.instead = None
    monkeypatch.undo()
    world.clock.tick(1)
    assert allows(warm, scene.another())


def test_an_authorizer_without_keys_asks_a_failing_issuer_once_a_second(scene: Scene) -> None:
    scene.door.instead = lambda: (503, {}, b"")
    authorizer = scene.world.cold("authorizer")
    for _ in range(20):
        with pytest.raises(Unavailable):
            authorizer(rest(f"Bearer {scene.token}"), None)
    assert scene.door.asked == 2  # one try and its retry
    scene.door.instead = None
    scene.world.clock.tick(1)
    assert allows(authorizer, rest(f"Bearer {scene.token}"))


def test_a_flood_of_tokens_with_made_up_keys_costs_the_issuer_one_request_in_thirty_seconds_and_nobody_else_a_thing(
    scene: Scene,
) -> None:
    ring = scene.world.ring("SIGNING_KEYS_SECRET")
    warm = scene.world.handler("authorizer")
    _, body, signature = scene.token.split(".")
    for second in range(61):
        for number in range(20):
            head = {**header(scene.token), "kid": f"junk {second} {number}"}
            junk = f"{base64url(json.dumps(head).encode())}.{body}.{signature}"
            assert refuses(warm, rest(f"Bearer {junk}"))
        assert allows(warm, rest(f"Bearer {scene.token}"))
        if second % 10 == 0:
            for key in (ring["current"], ring["next"]):  # the latter was published long before it signs
                assert allows(warm, scene.another(key))
        scene.world.clock.tick(1)
    assert scene.door.asked == 3


def test_a_flood_does_not_hide_a_key_that_is_new_for_longer_than_thirty_seconds(scene: Scene) -> None:
    current, following = scene.published()
    scene.publish(current)
    warm = scene.world.handler("authorizer")
    event = scene.another(scene.world.ring("SIGNING_KEYS_SECRET")["next"])
    assert refuses(warm, event)
    scene.world.clock.tick(30)
    assert refuses(warm, scene.another(kid="junk"))  # which the issuer is asked about
    scene.publish(current, following)
    scene.world.clock.tick(29)
    assert refuses(warm, event)
    scene.world.clock.tick(1)
    assert allows(warm, event)


def test_a_secret_that_the_issuer_shows_signs_nothing(scene: Scene) -> None:
    """Whoever can read the document could sign with it."""
    known, shown = scene.published()
    shared = {"kid": "shared", "alg": "HS256", "secret": base64url(b"for everybody to see" * 2)}
    symmetric = {"kty": "oct", "k": shared["secret"], "kid": "shared", "alg": "HS256"}
    scene.publish(symmetric, {**shown, "d": "AQAB"}, known)
    warm = scene.world.handler("authorizer")
    assert allows(warm, scene.another())
    assert refuses(warm, scene.another(shared, alg="HS256"))
    assert refuses(warm, scene.another(scene.world.ring("SIGNING_KEYS_SECRET")["next"]))


def test_tokens_of_another_issuer_are_nothing_however_much_its_name_resembles(scene: Scene) -> None:
    """The issuer is compared byte by byte; what serves the keys is that very address."""
    key = scene.world.ring("SIGNING_KEYS_SECRET")["current"]
    said = claims(scene.token)
    assert said["iss"] == scene.world.issuer
    for name in (f"{said['iss']}/", said["iss"].upper(), said["iss"].replace("127.0.0.1", "localhost")):
        token = seal(header(scene.token), {**said, "iss": name}, key)
        assert refuses(scene.world.handler("authorizer"), rest(f"Bearer {token}"))
