import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from rolegate import jwks, keyring
from rolegate.errors import Misconfigured, Unavailable
from rolegate.jwks import Document, KeySets

NOW = 1_800_000_000
FRESH = 300


def document(*keys: keyring.Key) -> bytes:
    return json.dumps({"keys": [keyring.public_jwk(key) for key in keys]}).encode()


class Issuer:
    """Answers as told, and remembers which ETags it was asked with."""

    def __init__(self, *keys: keyring.Key) -> None:
        self.answer: Document | None = Document(document(*keys), '"first"')
        self.asked: list[str | None] = []

    def __call__(self, etag: str | None) -> Document:
        self.asked.append(etag)
        if self.answer is None:
            raise Unavailable
        return self.answer


@pytest.fixture
def issuer(keys: Mapping[str, keyring.Key]) -> Issuer:
    return Issuer(keys["EdDSA"])


class Stopwatch:
    """Shows the seconds that it is told."""

    def __init__(self) -> None:
        self.shows = 0.0

    def __call__(self) -> float:
        return self.shows


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def sets(issuer: Issuer, stopwatch: Stopwatch) -> KeySets:
    return KeySets(issuer, FRESH, stopwatch)


# --- how long a set is used


def test_keys_are_fetched_at_first_use_and_then_kept_while_fresh(
    sets: KeySets, issuer: Issuer, keys: Mapping[str, keyring.Key]
) -> None:
    assert issuer.asked == []
    first = sets.current(NOW)
    assert first.keys.keys() == {keys["EdDSA"].kid}
    assert sets.current(NOW + FRESH - 1) is first
    assert issuer.asked == [None]


def test_keys_that_are_fresh_no_more_are_asked_for_by_their_etag(sets: KeySets, issuer: Issuer) -> None:
    first = sets.current(NOW)
    issuer.answer = Document(None, '"first"')
    assert sets.current(NOW + FRESH) is first
    assert issuer.asked == [None, '"first"']
    assert sets.current(NOW + FRESH + FRESH - 1) is first  # not modified means fresh again
    assert len(issuer.asked) == 2


def test_a_new_set_replaces_the_old_one_and_everything_that_it_verified(
    sets: KeySets, issuer: Issuer, keys: Mapping[str, keyring.Key]
) -> None:
    sets.current(NOW).remember("token", {"sub": "alice"})
    assert sets.current(NOW + 1).verified == {"token": {"sub": "alice"}}
    issuer.answer = Document(document(keys["ES256"]), '"second"')
    second = sets.current(NOW + FRESH)
    assert second.keys.keys() == {keys["ES256"].kid}
    assert second.verified == {}


def test_the_tokens_that_are_remembered_are_bounded_and_the_oldest_go_first(sets: KeySets) -> None:
    kept = sets.current(NOW)
    for number in range(jwks.REMEMBERED + 2):
        kept.remember(f"token {number}", {"sub": str(number)})
    assert len(kept.verified) == jwks.REMEMBERED
    assert "token 1" not in kept.verified
    assert kept.verified["token 2"] == {"sub": "2"}
    assert f"token {jwks.REMEMBERED + 1}" in kept.verified


# --- an issuer that does not answer


@pytest.mark.parametrize("silence", [None, Document(b"<html>", None), Document(b'{"keys": []}', None)])
def test_keys_outlive_their_freshness_by_an_hour_while_the_issuer_is_in_trouble(
    sets: KeySets, issuer: Issuer, silence: Document | None
) -> None:
    first = sets.current(NOW)
    issuer.answer = silence
    assert sets.current(NOW + FRESH) is first
    assert sets.current(NOW + FRESH + 3599) is first
    with pytest.raises(Unavailable):
        sets.current(NOW + FRESH + 3600)


def test_a_silent_issuer_is_asked_again_every_30_seconds_and_no_oftener(sets: KeySets, issuer: Issuer) -> None:
    sets.current(NOW)
    issuer.answer = None
    for second in range(61):
        sets.current(NOW + FRESH + second)
    assert len(issuer.asked) == 1 + 3


def test_an_issuer_that_answers_again_is_believed_again(
    sets: KeySets, issuer: Issuer, keys: Mapping[str, keyring.Key]
) -> None:
    sets.current(NOW)
    issuer.answer = None
    sets.current(NOW + FRESH)
    issuer.answer = Document(document(keys["ES256"]), None)
    assert sets.current(NOW + FRESH + 30).keys.keys() == {keys["ES256"].kid}


def test_after_an_outage_longer_than_an_hour_the_first_answer_ends_it(sets: KeySets, issuer: Issuer) -> None:
    sets.current(NOW)
    answer, issuer.answer = issuer.answer, None
    with pytest.raises(Unavailable):
        sets.current(NOW + FRESH + 4000)
    with pytest.raises(Unavailable):
        sets.current(NOW + FRESH + 4001)
    issuer.answer = answer
    assert sets.current(NOW + FRESH + 4002).keys


@pytest.mark.parametrize("trouble", [None, Document(b"<html>", None), Document(None, None)])
def test_without_any_keys_there_is_an_error_and_who_retries_when_told_to_asks_anew(
    sets: KeySets, issuer: Issuer, trouble: Document | None
) -> None:
    answer, issuer.answer = issuer.answer, trouble
    for _ in range(20):
        with pytest.raises(Unavailable) as error:
            sets.current(NOW)
        assert (error.value.code, error.value.retry_after) == ("unavailable", 1)
    assert len(issuer.asked) == 1
    issuer.answer = answer
    assert sets.current(NOW + 1).keys


@pytest.mark.parametrize("age", [None, FRESH + 3600])
def test_an_issuer_that_hangs_costs_those_without_keys_at_most_half_of_their_time(
    issuer: Issuer, stopwatch: Stopwatch, age: int | None
) -> None:
    """Otherwise every request would wait for the whole time-out, and take a place of the account's concurrency."""
    hangs = False

    def fetch(etag: str | None) -> Document:
        stopwatch.shows += 6 if hangs else 0
        return issuer(etag)

    sets = KeySets(fetch, FRESH, stopwatch)
    began = NOW
    if age is not None:
        sets.current(NOW)
        began += age
    answer, issuer.answer, hangs = issuer.answer, None, True
    issuer.asked.clear()
    for second in range(6, 13):
        with pytest.raises(Unavailable):
            sets.current(began)  # its answer comes six seconds later
        with pytest.raises(Unavailable):
            sets.current(began + second)
    assert len(issuer.asked) == 1
    issuer.answer = answer
    assert sets.current(began + 13).keys


def test_not_modified_is_no_answer_to_somebody_without_keys(sets: KeySets, issuer: Issuer) -> None:
    issuer.answer = Document(None, None)
    with pytest.raises(Unavailable):
        sets.current(NOW)


# --- a token that names a key which is not there


def test_an_unknown_key_has_the_set_fetched_anew_at_most_once_in_30_seconds(
    sets: KeySets, issuer: Issuer, keys: Mapping[str, keyring.Key]
) -> None:
    sets.current(NOW)
    issuer.answer = Document(document(keys["EdDSA"], keys["ES256"]), '"second"')
    assert sets.after_unknown_key(NOW + 29) is None
    renewed = sets.after_unknown_key(NOW + 30)
    assert renewed is not None
    assert renewed.keys.keys() == {keys["EdDSA"].kid, keys["ES256"].kid}
    assert sets.current(NOW + 31) is renewed
    assert [sets.after_unknown_key(NOW + 30 + second) for second in range(30)] == [None] * 30
    assert len(issuer.asked) == 2
    assert sets.after_unknown_key(NOW + 60) is not None


@pytest.mark.parametrize("silence", [None, Document(b"<html>", None)])
def test_a_fetch_that_failed_counts_too_and_tells_nobody_that_a_key_is_not_there(
    sets: KeySets, issuer: Issuer, silence: Document | None
) -> None:
    first = sets.current(NOW)
    issuer.answer = silence
    for second in range(30, 60):
        with pytest.raises(Unavailable):  # the issuer may know that key: no answer is no "no"
            sets.after_unknown_key(NOW + second)
        assert sets.current(NOW + second) is first
    assert len(issuer.asked) == 2


def test_who_learned_a_moment_ago_that_the_issuer_is_silent_does_not_ask_for_an_unknown_key(
    sets: KeySets, issuer: Issuer
) -> None:
    first = sets.current(NOW)
    answer, issuer.answer = issuer.answer, None
    assert sets.current(NOW + FRESH) is first
    with pytest.raises(Unavailable):
        sets.after_unknown_key(NOW + FRESH)
    assert len(issuer.asked) == 2
    issuer.answer = answer
    assert sets.current(NOW + FRESH + 30).keys.keys() == first.keys.keys()
    assert sets.after_unknown_key(NOW + FRESH + 30) is None


# --- a clock that is set


@pytest.mark.parametrize("back", [2, 10_000_000])
def test_a_clock_that_was_set_back_keeps_no_key_alive(sets: KeySets, issuer: Issuer, back: int) -> None:
    first = sets.current(NOW)
    answer, issuer.answer = issuer.answer, None
    with pytest.raises(Unavailable):
        sets.current(NOW - back)
    assert sets.current(NOW) is first
    issuer.answer = answer
    renewed = sets.current(NOW - back + 1)
    assert renewed is not first
    assert sets.current(NOW - back + FRESH) is renewed
    issuer.answer = None
    with pytest.raises(Unavailable):
        sets.current(NOW - back + 1 + FRESH + 3600)


def test_a_clock_that_was_set_back_lets_an_unknown_key_be_asked_for(
    sets: KeySets, issuer: Issuer, keys: Mapping[str, keyring.Key]
) -> None:
    sets.current(NOW)
    issuer.answer = Document(document(keys["ES256"]), None)
    renewed = sets.after_unknown_key(NOW - 10_000)
    assert renewed is not None
    assert renewed.keys.keys() == {keys["ES256"].kid}
    assert sets.after_unknown_key(NOW - 9_971) is None


# --- what the issuer says


def test_every_usable_key_of_a_set_is_taken(keys: Mapping[str, keyring.Key]) -> None:
    found = jwks.parse(document(keys["RS256"], keys["ES256"], keys["EdDSA"]))
    assert {kid: key.alg for kid, key in found.items()} == {keys[alg].kid: alg for alg in ("RS256", "ES256", "EdDSA")}


UNUSABLE: Mapping[str, object] = {
    "symmetric": {"kid": "x", "kty": "oct", "k": "c2VjcmV0"},
    "private": {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "d": "A" * 43},
    "for encryption": {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "use": "enc"},
    "for signing": {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "key_ops": ["sign"]},
    "of the future": {"kid": "x", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "without a name": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    "named by a number": {"kid": 7, "kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    "named by a list": {"kid": ["x"], "kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    "half of one": {"kid": "x", "kty": "RSA", "e": "AQAB"},
    "of two kinds": {"kid": "x", "kty": ["RSA", "EC"]},
    "of strange operations": {"kid": "x", "kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "key_ops": None},
    "empty": {},
    "a number": 7,
    "a text": "key",
    "a list": ["kid", "kty"],
    "null": None,
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_what_we_cannot_use_is_passed_over_and_spoils_nothing(
    unusable: object, keys: Mapping[str, keyring.Key]
) -> None:
    good = dict(keyring.public_jwk(keys["EdDSA"]))
    listed = json.dumps({"keys": [unusable, good, unusable], "more": "members"}).encode()
    assert jwks.parse(listed).keys() == {keys["EdDSA"].kid}


NO_SET = {
    "nothing": b"",
    "no JSON": b"<html>Sign in to the network</html>",
    "bad UTF-8": b'{"keys": ["\xff"]}',
    "a list": b"[]",
    "null": b"null",
    "no keys": b"{}",
    "an empty list of keys": b'{"keys": []}',
    "keys that are none": b'{"keys": {"kid": "x"}}',
    "keys that are a number": b'{"keys": 7}',
    "keys twice": b'{"keys": [], "keys": []}',
    "nothing usable": b'{"keys": [{"kid": "x", "kty": "oct", "k": "c2VjcmV0"}]}',
    "cut off": b'{"keys": [',
    "20,000 deep": b'{"keys": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("body", NO_SET.values(), ids=NO_SET)
def test_what_is_no_key_set_is_an_issuer_in_trouble(body: bytes) -> None:
    with pytest.raises(Unavailable):
        jwks.parse(body)


# --- over the wire


Serve = Callable[[socket.socket], None]


class Server:
    """A server on this machine that gives one connection after another what it is told to, and keeps the requests."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.answers: list[bytes | Serve] = []
        self.requests: list[bytes] = []
        self._requested = threading.Semaphore(0)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def wait_for(self, requests: int) -> None:
        """Wait for the next so many: who asked may be gone before this machine gets round to it."""
        for _ in range(requests):
            assert self._requested.acquire(timeout=60)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.requests.append(connection.recv(65_536))
            self._requested.release()
            answer = self.answers.pop(0)
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
        except OSError:
            pass
        finally:
            connection.close()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(tls)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def fetch(server: Server, etag: str | None = None) -> Document:
    return jwks.fetcher(f"http://127.0.0.1:{server.port}")(etag)


def response(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_key_set_and_its_etag_are_fetched_from_the_well_known_place(server: Server) -> None:
    server.answers = [response("200 OK", b'{"keys": []}', 'ETag: "v1"')]
    assert fetch(server) == Document(b'{"keys": []}', '"v1"')
    assert server.requests[0].startswith(b"GET /.well-known/jwks.json HTTP/1.1\r\n")
    assert b"if-none-match" not in server.requests[0].lower()


def test_a_server_without_etags_is_fine(server: Server) -> None:
    server.answers = [response("200 OK", b"{}")]
    assert fetch(server) == Document(b"{}", None)


def test_not_modified_needs_no_body(server: Server) -> None:
    server.answers = [response("304 Not Modified", b"", 'ETag: "v1"')]
    assert fetch(server, '"v1"') == Document(None, '"v1"')
    assert b'\r\nIf-None-Match: "v1"\r\n' in server.requests[0]


def test_not_modified_is_no_answer_to_who_named_no_etag(server: Server) -> None:
    server.answers = [response("304 Not Modified")] * 2
    with pytest.raises(Unavailable):
        fetch(server)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
def test_a_redirect_is_not_followed(server: Server, status: str) -> None:
    there = f"Location: http://127.0.0.1:{server.port}/elsewhere"
    server.answers = [response(status, b'{"keys": []}', there)] * 2
    with pytest.raises(Unavailable):
        fetch(server)
    assert b"elsewhere" not in b"".join(server.requests)


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "403 Forbidden", "404 Not Found"])
def test_any_other_status_is_no_answer(server: Server, status: str) -> None:
    server.answers = [response(status, b"{}")] * 2
    with pytest.raises(Unavailable):
        fetch(server)


@pytest.mark.parametrize(
    "failure",
    [
        response("503 Service Unavailable"),
        response("302 Found"),
        b"",
        b"gibberish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_one_failure_is_tried_again(server: Server, failure: bytes) -> None:
    server.answers = [failure, response("200 OK", b"{}")]
    assert fetch(server) == Document(b"{}", None)
    assert len(server.requests) == 2


def test_two_failures_are_enough(server: Server) -> None:
    server.answers = [response("500 Internal Server Error"), b"", response("200 OK", b"{}")]
    with pytest.raises(Unavailable):
        fetch(server)
    assert len(server.requests) == 2


def test_nobody_there_is_no_answer() -> None:
    with serving() as server:
        pass
    with pytest.raises(Unavailable):
        fetch(server)


def test_64_kib_are_read_and_not_a_byte_more(server: Server) -> None:
    most = b" " * 65_536
    server.answers = [response("200 OK", most), *[response("200 OK", most + b" ")] * 2]
    assert fetch(server).body == most
    with pytest.raises(Unavailable):
        fetch(server)


@pytest.mark.parametrize("first_words", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"])
def test_an_endless_answer_is_cut_off(server: Server, first_words: bytes) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + first_words)
        while True:
            connection.sendall(b" " * 65_536)

    server.answers = [pour, pour]
    with pytest.raises(Unavailable):
        fetch(server)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT", 0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("scheme", "first_words"),
    [("http", b""), ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"), ("https", b"")],
)
def test_a_silent_server_is_not_waited_for(server: Server, scheme: str, first_words: bytes) -> None:
    def fall_silent(connection: socket.socket) -> None:
        connection.sendall(first_words)
        while connection.recv(65_536):
            pass  # until the other side gives up

    server.answers = [fall_silent, fall_silent]
    with pytest.raises(Unavailable):
        jwks.fetcher(f"{scheme}://127.0.0.1:{server.port}")(None)
    server.wait_for(2)


@pytest.mark.usefixtures("impatient")
def test_a_name_that_does_not_resolve_is_not_waited_for_and_nothing_is_asked_when_it_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    resolve = socket.getaddrinfo

    def resolve_late(*what: Any) -> Any:
        given_up.wait()
        return resolve(*what)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    server.answers = [b"", b""]
    try:
        with pytest.raises(Unavailable):
            fetch(server)
        assert server.requests == []
    finally:
        given_up.set()
    server.wait_for(2)
    assert server.requests == [b"", b""]


DRIPS = {
    "the first line": (b"HTTP/1.1 200 ", b"O"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n", b" "),
    "a body without an end": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("first_words", "drop"), DRIPS.values(), ids=DRIPS)
def test_a_server_that_says_a_little_now_and_then_is_not_waited_for_either(
    server: Server, first_words: bytes, drop: bytes
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(first_words)
        connection.settimeout(0.02)
        while True:
            connection.sendall(drop)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass

    server.answers = [drip, drip]
    with pytest.raises(Unavailable):
        fetch(server)
    server.wait_for(2)


def test_an_address_that_refuses_is_passed_over_for_the_next(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:  # who does not listen, refuses
        nobody.bind(("127.0.0.1", 0))
        ports = (nobody.getsockname()[1], server.port)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        server.answers = [response("200 OK", b'{"keys": []}')]
        assert fetch(server).body == b'{"keys": []}'


@pytest.mark.parametrize(
    "issuer",
    [
        "http://auth.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://0.0.0.0:8000",
        "ftp://127.0.0.1",
        "file://localhost/etc/passwd",
        "auth.example.com",
        "//auth.example.com",
        "",
    ],
)
def test_an_issuer_elsewhere_must_be_https(issuer: str) -> None:
    with pytest.raises(
        Misconfigured, check=lambda error: str(error) == f"The issuer {issuer} must be an https address."
    ):
        jwks.fetcher(issuer)


@pytest.mark.parametrize("rest", ["/", "/v1", "?a=b", "#a"])
def test_an_issuer_that_no_token_can_name_is_refused_at_the_start(rest: str) -> None:
    with pytest.raises(Misconfigured, match="no path, no query and no slash at its end"):
        jwks.fetcher(f"https://auth.example.com{rest}")


@pytest.mark.parametrize(
    "issuer", ["https://auth.example.com", "http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"]
)
def test_https_and_this_machine_are_fine(issuer: str) -> None:
    jwks.fetcher(issuer)


def certificate() -> tuple[bytes, bytes]:
    """Make a certificate of this machine that nobody trusts yet, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "us")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_an_https_issuer_is_believed_only_with_a_trusted_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, both = tmp_path / "trusted.pem", tmp_path / "both.pem"
    public, private = certificate()
    trusted.write_bytes(public)
    both.write_bytes(public + private)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(both)
    with serving(tls) as server:
        fetch: Any = jwks.fetcher(f"https://127.0.0.1:{server.port}")
        server.answers = [response("200 OK", b"{}")]
        with pytest.raises(Unavailable):
            fetch(None)
        assert server.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert fetch(None) == Document(b"{}", None)
