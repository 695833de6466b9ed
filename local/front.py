"""The one stable local address: what a custom domain is on AWS, mapped to both of the stack's APIs."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
type Header = tuple[bytes, bytes]

NOT_DEPLOYED = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The local stack is not deployed yet.",
        "code": "unavailable",
    }
).encode()
FORBIDDEN = json.dumps(
    {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "No web page may use the local AWS.",
        "code": "forbidden",
    }
).encode()


@dataclass(frozen=True)
class Routes:
    """Where the local AWS serves the deployed stack's two APIs, as paths."""

    rest: str
    keys: str

    @classmethod
    def of(cls, outputs: dict[str, str]) -> "Routes":
        """Read them off the stack's outputs."""
        stage = outputs["ApiUrl"].rstrip("/").rpartition("/")[2]
        return cls(
            rest=f"/_aws/execute-api/{outputs['RestApiId']}/{stage}",
            keys=f"/_aws/execute-api/{outputs['KeysApiId']}/$default",
        )

    def base(self, path: str) -> str:
        """Say which of them serves a path of the front."""
        return self.keys if path.startswith("/.well-known/") else self.rest


def trusted(headers: Iterable[Header], client: str, host: str) -> list[Header]:
    """Drop what a client says about its own address, and of the host, by which the local AWS would route."""
    untrusted = (b"x-forwarded-for", b"host")
    kept = [(name, value) for name, value in headers if name.lower() not in untrusted]
    return [*kept, (b"host", host.encode()), (b"x-forwarded-for", client.encode())]


def with_front(app: App, port: int, routes: Callable[[], Routes | None]) -> App:
    """Serve the stack's APIs at the root of `port`; at another port goes through whatever no web page has sent.

    There the local AWS takes anybody for its root, of any origin, and runs code: a page that found the port would run
    its own. Browsers mark what a page sends by these headers; SDKs and SAM send neither.
    """

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["server"][1] != port:
            if any(name.lower() == b"origin" or name.lower().startswith(b"sec-fetch-") for name, _ in scope["headers"]):
                await (refuse(send, FORBIDDEN) if scope["type"] == "http" else send({"type": "websocket.close"}))
            else:
                await app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif (deployed := routes()) is None:
            await refuse(send, NOT_DEPLOYED)
        else:
            base = deployed.base(scope["path"])
            await app(
                {
                    **scope,
                    "path": base + scope["path"],
                    "raw_path": base.encode() + scope["raw_path"],
                    "headers": trusted(scope["headers"], scope["client"][0], f"127.0.0.1:{port}"),
                },
                receive,
                send,
            )

    return front


async def refuse(send: Send, problem: bytes) -> None:
    """Answer with a problem of ours."""
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": json.loads(problem)["status"], "headers": headers})
    await send({"type": "http.response.body", "body": problem})
