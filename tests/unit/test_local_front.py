import asyncio
import json
from typing import Any

import pytest

from local.front import Routes, trusted, with_front

OUTPUTS = {"ApiUrl": "https://rest1.execute-api.us-east-1.amazonaws.com/v1", "RestApiId": "rest1", "KeysApiId": "http1"}
ROUTES = Routes("/_aws/execute-api/rest1/v1", "/_aws/execute-api/http1/$default")
PORT = 8000


def ask(scope: dict[str, Any], routes: Routes | None = ROUTES) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    reached: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []

    async def app(seen: dict[str, Any], _receive: Any, _send: Any) -> None:
        reached.append(seen)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {}

    asyncio.run(with_front(app, PORT, lambda: routes)(scope, receive, send))
    return (reached[0] if reached else None), sent


def request(path: str, *headers: tuple[bytes, bytes], port: int = PORT) -> dict[str, Any]:
    return {
        "type": "http",
        "server": ("127.0.0.1", port),
        "client": ("127.0.0.1", 50_000),
        "path": path,
        "raw_path": path.encode(),
        "headers": list(headers),
    }


def test_routes_are_read_off_the_stack_s_outputs() -> None:
    assert Routes.of(OUTPUTS) == ROUTES


@pytest.mark.parametrize("path", ["/login", "/", "/well-known/jwks.json", "/me/.well-known/x"])
def test_everything_but_the_key_documents_goes_to_the_rest_api(path: str) -> None:
    reached, _ = ask(request(path))
    assert reached
    assert reached["path"] == f"/_aws/execute-api/rest1/v1{path}"
    assert reached["raw_path"] == reached["path"].encode()


def test_key_documents_come_from_the_http_api() -> None:
    reached, _ = ask(request("/.well-known/jwks.json"))
    assert reached
    assert reached["path"] == "/_aws/execute-api/http1/$default/.well-known/jwks.json"


def test_neither_the_address_nor_the_host_that_a_client_claims_is_believed() -> None:
    claimed = [(b"X-Forwarded-For", b"203.0.113.9"), (b"Host", b"other.execute-api.localhost"), (b"accept", b"*/*")]
    assert trusted(claimed, "127.0.0.1", "127.0.0.1:8000") == [
        (b"accept", b"*/*"),
        (b"host", b"127.0.0.1:8000"),
        (b"x-forwarded-for", b"127.0.0.1"),
    ]


def test_two_authorization_headers_stay_two() -> None:
    twice = [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]
    reached, _ = ask(request("/me", *twice))
    assert reached
    assert [header for header in reached["headers"] if header[0] == b"authorization"] == twice


def test_the_other_port_goes_through_untouched() -> None:
    scope = request("/", (b"x-forwarded-for", b"203.0.113.9"), port=4566)
    assert ask(scope) == (scope, [])


@pytest.mark.parametrize("sign", [b"Origin", b"origin", b"Sec-Fetch-Mode", b"sec-fetch-site"])
def test_no_web_page_gets_through_to_the_local_aws(sign: bytes) -> None:
    reached, [start, body] = ask(request("/2015-03-31/functions", (sign, b"https://page.example"), port=4566))
    assert (reached, start["status"]) == (None, 403)
    assert json.loads(body["body"])["code"] == "forbidden"
    websocket = request("/", (sign, b"x"), port=4566) | {"type": "websocket"}
    assert ask(websocket) == (None, [{"type": "websocket.close"}])


def test_nothing_deployed_is_503() -> None:
    reached, [start, body] = ask(request("/login"), routes=None)
    assert reached is None
    assert start["status"] == 503
    assert json.loads(body["body"])["code"] == "unavailable"


def test_a_websocket_is_closed() -> None:
    assert ask(request("/") | {"type": "websocket"}) == (None, [{"type": "websocket.close"}])
