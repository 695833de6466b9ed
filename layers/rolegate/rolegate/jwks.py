"""A verifier's key set: fetched from the issuer, kept in bounds, never baked in."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from rolegate import strictjson, verify
from rolegate.errors import Misconfigured, Unavailable
from rolegate.model import Claims

PATH = "/.well-known/jwks.json"
TIMEOUT = 3  # seconds that a whole try may take; one retry
LARGEST = 65_536  # bytes
KEPT_WITHOUT_ANSWER = 3600  # seconds beyond its freshness that a set serves while the issuer does not answer
PAUSE = 30  # seconds between two fetches that an unknown `kid` or a silent issuer asks for
REMEMBERED = 1000  # verified tokens a set


class Document(NamedTuple):
    """What the issuer answered; without a body it is "not modified"."""

    body: bytes | None
    etag: str | None


class KeySet(NamedTuple):
    """The keys of one answer. `verified` remembers the claims of tokens that they verified, and dies with them."""

    keys: Mapping[str, verify.Key]
    etag: str | None
    verified: dict[str, Claims]

    def remember(self, token: str, claims: Claims) -> None:
        """Spare the next request with this token the signature; the oldest memories go first."""
        if len(self.verified) >= REMEMBERED:
            del self.verified[next(iter(self.verified))]
        self.verified[token] = claims


class KeySets:
    """Hand out the issuer's current key set. `fetch` brings the document, given the ETag of the last one."""

    def __init__(self, fetch: Callable[[str | None], Document], fresh_seconds: int) -> None:
        self._fetch = fetch
        self._fresh = fresh_seconds
        self._set: KeySet | None = None
        self._answered_at = 0
        self._next_fetch_at = 0

    def current(self, now: int) -> KeySet:
        """Return the key set to verify with; raises `Unavailable` when there is none that may still be used."""
        kept = self._set
        if kept is None:
            return self._fetched(now)
        age = now - self._answered_at
        if age < self._fresh or (age < self._fresh + KEPT_WITHOUT_ANSWER and now < self._next_fetch_at):
            return kept
        try:
            return self._fetched(now)
        except Unavailable:
            if age < self._fresh + KEPT_WITHOUT_ANSWER:
                return kept
            raise

    def after_unknown_key(self, now: int) -> KeySet | None:
        """Return a key set fetched anew because a token names an unknown key, or None while that may not happen yet."""
        return None if now < self._next_fetch_at else self._fetched(now)

    def _fetched(self, now: int) -> KeySet:
        self._next_fetch_at = now + PAUSE
        document = self._fetch(self._set.etag if self._set else None)
        if document.body is None and self._set is None:
            raise Unavailable
        if document.body is not None:
            self._set = KeySet(parse(document.body), document.etag, {})
        self._answered_at = now
        assert self._set is not None  # noqa: S101 - for the type checker
        return self._set


def parse(body: bytes) -> Mapping[str, verify.Key]:
    """Return the usable keys of a JWK set by `kid` (RFC 7517, section 5); what we cannot use is passed over.

    Raises `Unavailable` for what is no JWK set, or has no usable key: an issuer in trouble, never "nobody may in".
    """
    try:
        listed = strictjson.loads(body)["keys"]
        keys = {jwk["kid"]: key for jwk in listed if (key := _usable(jwk)) is not None}
    except (ValueError, TypeError, KeyError):
        keys = {}
    if not keys:
        raise Unavailable
    return keys


def _usable(jwk: Claims) -> verify.Key | None:
    try:
        return verify.public_key(jwk) if isinstance(jwk["kid"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def fetcher(issuer: str) -> Callable[[str | None], Document]:
    """Return what fetches the issuer's key set: two tries, no redirects, bounded in time and size.

    Raises `Misconfigured` for an issuer that is not https, loopback excepted.
    """
    url = urlsplit(issuer)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")):
        raise Misconfigured(f"The issuer {issuer} must be an https address.")
    if issuer != f"{url.scheme}://{url.netloc}":
        raise Misconfigured(f"The issuer {issuer} must have no path, no query and no slash at its end.")

    def fetch(etag: str | None) -> Document:
        try:
            return _get(url.scheme, url.netloc, etag)
        except (OSError, http.client.HTTPException):
            pass
        try:
            return _get(url.scheme, url.netloc, etag)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable from error

    return fetch


def _get(scheme: str, netloc: str, etag: str | None) -> Document:
    """Ask once. All of it, from the connection to the last byte, ends within `TIMEOUT`, however slowly bytes drip."""
    deadline = time.monotonic() + TIMEOUT
    make = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = make(netloc, timeout=TIMEOUT)
    with _Line(deadline) as line:
        connection._create_connection = line.connect  # type: ignore[attr-defined] # noqa: SLF001 - http.client's one hook
        try:
            connection.request("GET", PATH, headers={"If-None-Match": etag} if etag else {})
            return _document(connection.getresponse(), deadline, etag)
        finally:
            connection.close()


def _document(response: http.client.HTTPResponse, deadline: float, etag: str | None) -> Document:
    if response.status == http.client.NOT_MODIFIED:
        return Document(None, etag)
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"status {response.status}")
    body = b""
    while chunk := response.read1(LARGEST):
        body += chunk
        if len(body) > LARGEST:
            raise http.client.HTTPException("too large")
    if time.monotonic() >= deadline:  # what was cut off looks like an end
        raise http.client.HTTPException("too slow")
    return Document(body, response.headers.get("ETag"))


class _Line:
    """A connection that is cut at its deadline, whatever is going on: a socket's own time-out is for each read anew."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._watch = threading.Timer(max(0, deadline - time.monotonic()), self._cut)
        self._watch.daemon = True
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        if self._socket is not None:
            self._socket.close()

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Connect to the first address that answers; all of them share the one deadline."""
        failure = OSError("no address")
        for family, kind, protocol, _name, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            connected = socket.socket(family, kind, protocol)
            try:
                connected.settimeout(max(0.001, self._deadline - time.monotonic()))
                connected.connect(where)
            except OSError as error:
                connected.close()
                failure = error
            else:
                connected.settimeout(TIMEOUT)
                self._socket = connected.dup()  # TLS takes the first one away
                return connected
        raise failure

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
