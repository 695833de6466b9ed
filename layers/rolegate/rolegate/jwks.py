"""A verifier's key set: fetched from the issuer, kept in bounds, never baked in."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from rolegate import strictjson, verify
from rolegate.errors import Misconfigured, Unavailable
from rolegate.model import Claims

PATH = "/.well-known/jwks.json"
TIMEOUT = 3.0  # seconds that a whole try may take; one retry
LARGEST = 65_536  # bytes
KEPT_WITHOUT_ANSWER = 3600  # seconds beyond its freshness that a set serves while the issuer does not answer
PAUSE = 30  # seconds between two fetches that an unknown `kid` or a silent issuer asks for
REMEMBERED = 1000  # verified tokens a set


class Document(NamedTuple):
    """What the issuer answered; without a body it is "not modified"."""

    body: bytes | None
    etag: str | None


Fetch = Callable[[str | None], Document]


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
    """Hand out the issuer's current key set. `fetch` brings the document, given the ETag of the last one.

    `clock` measures in seconds how long that takes.
    """

    def __init__(self, fetch: Fetch, fresh_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._fresh = fresh_seconds
        self._clock = clock
        self._set: KeySet | None = None
        self._answered_at = 0
        self._asked_at = 0
        self._rest = 0

    def current(self, now: int) -> KeySet:
        """Return the key set to verify with; raises `Unavailable` when there is none that may still be used."""
        age = now - self._answered_at
        # Below 0 the clock was set back, and nobody knows how old the keys are: they may not be used.
        kept = self._set if 0 <= age < self._fresh + KEPT_WITHOUT_ANSWER else None
        if kept is not None and (age < self._fresh or self._asked_within(PAUSE, now)):
            return kept
        if kept is None and self._asked_within(self._rest, now):
            raise Unavailable
        try:
            return self._fetched(now)
        except Unavailable:
            if kept is None:
                raise
            return kept

    def after_unknown_key(self, now: int) -> KeySet | None:
        """Return a key set fetched anew because a token names an unknown key, or None while that may not happen yet.

        Raises `Unavailable` when the issuer does not say whether the key is its own: no answer is no "no".
        """
        if not self._asked_within(PAUSE, now):
            return self._fetched(now)
        if self._answered_at != self._asked_at:
            raise Unavailable
        return None

    def _asked_within(self, seconds: int, now: int) -> bool:
        return 0 <= now - self._asked_at < seconds

    def _fetched(self, now: int) -> KeySet:
        self._asked_at = now
        began = self._clock()
        try:
            document = self._fetch(self._set.etag if self._set else None)
            if document.body is not None:
                self._set = KeySet(parse(document.body), document.etag, {})
        finally:
            # Without keys, a hanging issuer would hold every request for both time-outs, and so fill the account's
            # concurrency: wait for it half of the time at most, and ask at most once a second.
            self._rest = 1 + 2 * int(self._clock() - began)
        if self._set is None:
            raise Unavailable  # "not modified" tells nothing to somebody without keys
        self._answered_at = now
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


def fetcher(issuer: str) -> Fetch:
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
    """Ask once. All of it, from the name's resolution to the last byte, ends within `TIMEOUT`, however it is spent.

    In a thread that is left behind then: a resolution knows no time-out, and a socket's is for each read anew.
    """
    make = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = make(netloc, timeout=TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    lines: list[socket.socket] = []
    outcomes: list[Document | Exception] = []

    def ask() -> None:
        try:
            with closing(connection):
                connection.connect()
                lines.append(connection.sock)
                if time.monotonic() >= deadline:  # nobody waits any more, nor will cut this line
                    return
                connection.request("GET", PATH, headers={"If-None-Match": etag} if etag else {})
                with connection.getresponse() as response:
                    outcomes.append(_document(response, etag))
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            outcomes.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    outcome = outcomes[0] if outcomes else TimeoutError("too slow")
    for line in lines:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)  # what drips on would keep the thread for ever
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _document(response: http.client.HTTPResponse, etag: str | None) -> Document:
    if response.status == http.client.NOT_MODIFIED and etag:
        return Document(None, etag)
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"status {response.status}")
    body = b""
    while len(body) <= LARGEST and (more := response.read1(LARGEST)):  # `read` believes a chunk of -1 bytes
        body += more
    if len(body) > LARGEST:
        raise http.client.HTTPException("too large")
    if response.length:
        raise http.client.HTTPException("cut off")
    return Document(body, response.headers.get("ETag"))
