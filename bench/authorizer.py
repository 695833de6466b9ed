"""The authorizer beside the usual one: `python -m bench.authorizer`.

Cold is a whole environment under AWS's Runtime Interface Emulator, from nothing to its first answer, the fetch of the
keys included on both sides. Warm is one process that has its keys. Each figure is a ratio to another of the same run,
beside the bar that the design sets for it; one that is missed says why.
"""

import http.server
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jwt
from rolegate import gate, jwks, keyring, roles, sessions
from rolegate.model import Caller
from rolegate.tokens import Issuer
from rolegate.users import create

from local.build import LAYERS, build, built
from local.home import ARCHITECTURE, ROOT, Home
from local.invoke import executable_emulator, post, runtime_environment
from local.process import child, free_port
from local.server import INTERPRETER

FUNCTION = "ManagerAuthorizerFunction"
AUDIENCE = "rolegate"
USUAL, BARE, EMPTY = "the usual one, with bytecode", "the usual one, as sam build leaves it", "an empty handler"
OURS = "Rolegate's, as it ships"
DECODE, SEEN = "a bare jwt.decode", "Rolegate's, a token seen before"
COLD_STARTS = 9
WARM_CALLS = 2_000


class Subject(NamedTuple):
    """An issuer that serves its keys, and a token of it."""

    issuer: str
    document: bytes
    token: str

    @property
    def event(self) -> bytes:
        """The event of a REST API's TOKEN authorizer."""
        arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/GET/manager"
        return json.dumps({"type": "TOKEN", "methodArn": arn, "authorizationToken": f"Bearer {self.token}"}).encode()


@contextmanager
def subject() -> Iterator[Subject]:
    """Serve an issuer's keys until the block ends."""
    now = int(time.time())
    ring = keyring.kept(None, keyring.Rule("RS256", 1, 1, keyring.generate), now)
    document = keyring.jwks(ring).encode()

    class Documents(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Documents) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        user = create("alice", "", "manager", now)
        session = sessions.start(user, AUDIENCE, Caller(), "none", 900, 900, now)
        token = Issuer(issuer, "username", 900, roles.DEFAULT).access_token(user, session, ring.current, now)
        try:
            yield Subject(issuer, document, token)
        finally:
            server.shutdown()


def cold(about: Subject, folder: Path, layer: Path, scratch: Path) -> float:
    """Return the seconds from nothing to the first answer of the handler in `folder`."""
    emulator = f"127.0.0.1:{free_port()}"
    command = [
        *(str(executable_emulator(scratch)), "--runtime-interface-emulator-address", emulator),
        *("--runtime-api-address", f"127.0.0.1:{free_port()}", "--log-level", "error"),
        *(str(INTERPRETER), "-m", "awslambdaric", "app.handler"),
    ]
    settings = {
        "ISSUER": about.issuer,
        "AUDIENCE": AUDIENCE,
        "MIN_ROLE": "manager",
        "EXPIRY_LEEWAY_SECONDS": "0",
        "KEY_SET_SECONDS": "300",
        "HTTP_API_RESPONSES": "simple",
        "ROLES": "user=1,manager=2,admin=3",
        "REVOCATION_CHECK": "off",
        "WEBSOCKET_QUERY_TOKEN": "false",
    }
    environment = runtime_environment(FUNCTION) | {"PYTHONPATH": str(layer / "python")} | settings
    with child(command, env=environment, log=scratch / "log", cwd=folder) as process:
        url = f"http://{emulator}/2015-03-31/functions/function/invocations"
        wait_for(emulator)
        started = time.perf_counter()
        answer = json.loads(post(process, url, about.event))
        seconds = time.perf_counter() - started
    if answer["policyDocument"]["Statement"][0]["Effect"] != "Allow":
        raise RuntimeError(answer)
    return seconds


def wait_for(address: str) -> None:
    """Wait until the emulator listens; it starts the runtime at the first event only."""
    import socket  # noqa: PLC0415

    host, _, port = address.partition(":")
    while True:
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.005)
        else:
            return


def cold_starts(about: Subject) -> None:
    """Print how long each takes from nothing."""
    build(Home())
    layer = built() / LAYERS[ARCHITECTURE]
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        bare = scratch / "bare"
        shutil.copytree(layer, bare, ignore=shutil.ignore_patterns("__pycache__"))
        usual, empty = ROOT / "bench" / "usual", ROOT / "bench" / "empty"
        contestants = {
            OURS: (built() / FUNCTION, layer),
            USUAL: (usual, layer),
            BARE: (usual, bare),
            EMPTY: (empty, layer),
        }
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(COLD_STARTS):
            for name, (folder, packages) in contestants.items():
                times[name].append(cold(about, folder, packages, scratch))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    report("Cold, key fetch included", medians)
    ours, empty_one = medians[OURS], medians[EMPTY]
    for name, most in ((BARE, 0.10), (USUAL, 0.18)):
        why = (
            f"An empty handler, the emulator and the interpreter alone, is {empty_one / medians[name]:.2f} of it here; "
            f"what Rolegate adds to that is {(ours - empty_one) / medians[name]:.2f}."
        )
        judge(f"cold, of {name}", ours / medians[name], most, why)


def warm_calls(about: Subject) -> None:
    """Print how long each takes once it has its keys."""
    now = int(time.time())
    sets = jwks.KeySets(lambda _: jwks.Document(about.document, None), 300)
    world = gate.Gate(gate.Verifier(sets, about.issuer, AUDIENCE, 0), "manager", roles.DEFAULT)
    kept = sets.current(now)
    key = jwt.PyJWKSet.from_dict(json.loads(about.document)).keys[0].key

    def fresh() -> None:
        kept.verified.clear()
        gate.authorize(about.token, world, now)

    def seen() -> None:
        gate.authorize(about.token, world, now)

    def usual() -> None:
        jwt.decode(about.token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=about.issuer)

    contestants = {OURS: fresh, SEEN: seen, DECODE: usual}
    times = {name: best(call) for name, call in contestants.items()}
    report("Warm", times)
    why = "Both verify one signature; the machine was busy with something else, or the rest has grown."
    judge("warm, of a bare jwt.decode", times[OURS] / times[DECODE], 1.0, why)
    judge("warm, a token seen before, of a bare jwt.decode", times[SEEN] / times[DECODE], 0.1, why)


def best(call: Callable[[], None]) -> float:
    """Return the seconds of one call, in the best of five rounds."""
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(WARM_CALLS):
            call()
        rounds.append((time.perf_counter() - started) / WARM_CALLS)
    return min(rounds)


def report(title: str, seconds: dict[str, float]) -> None:
    """Print each as a ratio of Rolegate's first to it."""
    print(f"\n{title}")
    ours = next(iter(seconds.values()))
    for name, taken in seconds.items():
        print(f"  {taken * 1000:9.3f} ms  {name:40} Rolegate's is {ours / taken:.2f} of it")


def judge(what: str, ratio: float, most: float, why: str) -> None:
    """Print a ratio beside its bar; where it is missed, also why."""
    print(f"  {ratio:.2f} {what}; the bar is {most:.2f}: {'held' if ratio <= most else f'missed. {why}'}")


if __name__ == "__main__":
    with subject() as about:
        warm_calls(about)
        cold_starts(about)
