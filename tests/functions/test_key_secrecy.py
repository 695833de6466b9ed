"""Private halves of keys stay in their secrets: no answer, line of a log, report or error holds one."""

import base64
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.conftest import ENVIRONMENT, OUT_OF_REACH, Fault, Logs, World, serving, stack_without_rings
from tests.functions.test_events import event

SECRETS = ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")
DOCUMENTS = ("jwks.json", "openid-configuration", "oauth-authorization-server")


def private_parts(key: Mapping[str, Any]) -> Iterator[str]:
    """Yield what gives a key away, in every form that it might have: as kept, and as members of a JWK."""
    if key["alg"] == "HS256":
        yield key["secret"]
        yield base64.urlsafe_b64decode(key["secret"] + "==").hex()
        return
    yield from (line for line in key["secret"].splitlines() if len(line) > 20 and "-" not in line)
    private: Any = load_pem_private_key(key["secret"].encode(), None)
    if key["alg"] == "EdDSA":
        numbers = [int.from_bytes(private.private_bytes_raw())]
    elif key["alg"] == "ES256":
        numbers = [private.private_numbers().private_value]
    else:
        of = private.private_numbers()
        numbers = [of.d, of.p, of.q, of.dmp1, of.dmq1, of.iqmp]
    for number in numbers:
        yield str(number)
        yield f"{number:x}"
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        yield base64.b64encode(raw).decode().rstrip("=")


def keys_of(world: World) -> list[Mapping[str, Any]]:
    rings = [world.ring(secret) for secret in SECRETS]
    return [key for ring in rings if ring for key in (ring["current"], ring["next"], *ring["retired"])]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_no_private_half_of_a_key_leaves_its_secret(algorithm: str, logs: Logs) -> None:
    said: list[str] = []

    def take(_request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        said.append(body.decode())
        return 200, {}, b""

    with stack_without_rings(SIGNING_ALGORITHM=algorithm) as world, serving(take) as url:
        keys: list[Mapping[str, Any]] = []
        for order in (
            {**event("rotate_keys_create"), "ResponseURL": url},
            {**event("rotate_keys_update"), "ResponseURL": url},
            event("rotate_keys_schedule"),
            *({"action": "rotate"}, {"action": "show"}, {"action": "rotate", "compromised": "both"}),
            *({"action": "sign-out-everyone"}, {"action": "nonsense"}),
            {**event("rotate_keys_delete"), "ResponseURL": url},
        ):
            world.clock.tick(60)
            said.append(attempt(world, order))
            keys += keys_of(world)
            said += documents(world)
        world.add_user()
        tokens = world.login()
        said.append(json.dumps(tokens))
        said.append(world.refresh(tokens["refresh_token"]).text)
        said.append(world.logout(tokens["refresh_token"]).text)
        for operation in ("GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "PutParameter"):
            for fault in (*OUT_OF_REACH, Fault.REFUSED):
                world.wire.order(operation, fault, fault)
                said.append(attempt(world, {"action": "rotate", "compromised": "both"}))
                said.append(attempt(world, {**event("rotate_keys_update"), "ResponseURL": url}))
                world.wire.heal()
                keys += keys_of(world)
        said.append(logs.text)
    everything = "\n".join(said)
    assert len(everything) > 10_000
    parts = {part for key in keys for part in private_parts(key)}
    assert len(parts) > 50
    assert [part for part in parts if part in everything] == []
    assert "PRIVATE KEY" not in everything


def attempt(world: World, order: Mapping[str, Any]) -> str:
    """Return what a caller of the keys' keeper is told: its report, or what Lambda makes of its error."""
    try:
        return json.dumps(world.cold("rotate_keys")(order, None))
    except Exception as error:  # noqa: BLE001 - Lambda tells of any
        return f"{type(error).__name__}: {error}"


def documents(world: World) -> list[str]:
    keys = world.cold("keys")
    return [
        json.dumps(keys({"version": "2.0", "headers": {}, "pathParameters": {"document": name}}, None))
        for name in DOCUMENTS
    ]


def test_no_function_is_given_a_key_in_its_environment() -> None:
    names = {name for setting in ENVIRONMENT.values() for name in setting.split()}
    assert {name for name in names if "KEY" in name} == {
        *SECRETS,  # the secrets' names
        *("KEY_RING_SECONDS", "KEY_ROTATION_DAYS", "KEY_SET_SECONDS"),
    }
