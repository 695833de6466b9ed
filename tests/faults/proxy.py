"""A TCP proxy that knows where one call of AWS's protocol ends and the next begins, so that it can lose parts of it."""

import contextlib
import socket
import struct
import threading
from collections import defaultdict, deque
from enum import Enum, auto
from typing import BinaryIO, Self
from urllib.parse import urlsplit


class Loss(Enum):
    """What may happen to one call between a function and its store."""

    RESET = auto()  # the connection is reset before anything arrived
    SILENCE = auto()  # nothing arrives, and nothing is ever said
    ANSWER_RESET = auto()  # it was done; the connection is reset in place of the answer
    ANSWER_SILENCE = auto()  # it was done, and nothing is ever said
    TWICE = auto()  # delivered twice, one right after the other; the second answer is the one that is heard
    DRIP = auto()  # the answer's head comes line by line, for longer than any function has
    KEPT = auto()  # done and answered; a copy of it waits on the way, and arrives when `redeliver` is called


class Proxy:
    """Stands in front of an address of HTTP; `order` says what happens to the next calls of an operation."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "", address.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.calls: list[str] = []
        self._ordered: dict[str, deque[Loss]] = defaultdict(deque)
        self._kept: list[bytes] = []
        self._open: set[socket.socket] = set()
        self._deaf: set[socket.socket] = set()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        self.cut()

    def order(self, operation: str, *losses: Loss) -> None:
        """Have something happen to the next calls of an operation, one each."""
        self._ordered[operation].extend(losses)

    def heal(self) -> None:
        """Forget what was ordered, and the calls so far."""
        self._ordered.clear()
        self.calls.clear()

    def redeliver(self) -> None:
        """Deliver what was kept, once more."""
        while self._kept:
            self._ask(self._kept.pop(0))

    def cut(self) -> None:
        """Reset every connection that is open: as a function finds them that was frozen for long."""
        for connection in list(self._open):
            _reset(connection)

    def deafen(self) -> None:
        """Let nothing pass any more on the connections that are open, without a word to either end."""
        self._deaf |= self._open

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while call := _message(stream):
                if connection in self._deaf:
                    self._ended.wait(60)
                answer = self._answer(call, connection)
                if answer is None:
                    _reset(connection)
                    return
                connection.sendall(answer)
        self._open.discard(connection)

    def _answer(self, call: bytes, connection: socket.socket) -> bytes | None:
        """Bring a call, or lose it; None where the connection is to be reset."""
        operation = _operation(call)
        self.calls.append(operation)
        loss = self._ordered[operation].popleft() if self._ordered[operation] else None
        answer = None if loss in (Loss.RESET, Loss.SILENCE) else self._ask(call)
        match loss:
            case Loss.TWICE:
                return self._ask(call)
            case Loss.KEPT:
                self._kept.append(call)
            case Loss.DRIP:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(90):  # 9 s; a client that waits gets an empty answer in the end
                    self._ended.wait(0.1)
                    connection.sendall(b"X-Drip: drop\r\n")
                return b"Content-Length: 2\r\n\r\n{}"
            case Loss.SILENCE | Loss.ANSWER_SILENCE:
                self._ended.wait(60)
        return answer if loss in (None, Loss.KEPT) else None

    def _ask(self, call: bytes) -> bytes:
        with socket.create_connection(self._target, timeout=30) as upstream, upstream.makefile("rb") as stream:
            upstream.sendall(call)
            return _message(stream)


def _message(stream: BinaryIO) -> bytes:
    """Read one message of HTTP/1.1 whose length is told; nothing at the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head + stream.read(int(_header(head, b"content-length") or 0))


def _header(head: bytes, name: bytes) -> bytes | None:
    found = (line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(name + b":"))
    return next(found, None)


def _operation(call: bytes) -> str:
    return (_header(call.partition(b"\r\n\r\n")[0], b"x-amz-target") or b"").rpartition(b".")[2].decode()


def _reset(connection: socket.socket) -> None:
    """Close a connection the hard way, with a RST."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not close alone: a thread that reads from it would keep it open.
        connection.shutdown(socket.SHUT_RD)
    connection.close()
