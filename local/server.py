"""The local AWS as a process: start it, wait for it, stop it, find it again."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

from local.home import ROOT, STACK_NAME, Home, read, shown, write
from local.process import Failure, free_port, is_free, stop, stop_group, tail, uninterrupted

INTERPRETER = ROOT / ".local" / "aws" / "bin" / "python"
SECONDS_TO_START = 60
SECONDS_TO_STOP = 20


@dataclass
class Server:
    """A local AWS that runs.

    It ends with the block that started it, unless it was `detach`ed. It saves its state only once that is worth
    keeping: what a deployment left half done is better forgotten.
    """

    home: Home
    gateway_port: int
    front_port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    detached: bool = False
    saves: bool = False

    @property
    def endpoint_url(self) -> str:
        """Where AWS's own APIs are served."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def url(self) -> str:
        """The stable address of what is deployed."""
        return f"http://127.0.0.1:{self.front_port}"

    def keep_state(self) -> None:
        """Let it save its state when it stops."""
        self.saves = True
        write(self.home.process, read(self.home.process) | {"saves": True})

    def detach(self) -> None:
        """Let it live on when this process ends."""
        if self.process and self.process.stdin:
            self.process.stdin.write(b"!")
            self.process.stdin.close()
        self.detached = True

    def wait(self) -> None:
        """Wait until it ends.

        Raises:
            Failure: nobody told it to.
        """
        if self.process and self.process.wait():
            raise Failure(f"The local AWS ended by itself. Its log says why: {shown(self.home.log)}")

    def stop(self) -> None:
        """End it with all its workers, and remove what it leaves."""
        if self.process:
            stop(self.process, gently=self.saves)
        forget(self.home)


@contextlib.contextmanager
def running(home: Home, front_port: int) -> Iterator[Server]:
    """Run a local AWS in `home` until the block ends.

    Raises:
        Failure: the port is taken, a local AWS lives there already, or it does not start.
    """
    lock = home.lock()
    if lock is None:
        raise Failure("The local stack is already up, or starts or stops just now. Stop it first: make down")
    server = Server(home, free_port(), front_port)
    try:
        if not is_free(front_port):
            another = f"make run PORT={front_port + 1}"
            raise Failure(f"Port {front_port} is taken. Stop what listens there, or choose another: {another}")
        with uninterrupted():
            server.process = launch(server, lock)
            where = {"pid": server.process.pid, "gateway_port": server.gateway_port, "front_port": front_port}
            write(home.process, where)
        wait_until_ready(server)
        yield server
    finally:
        with uninterrupted():
            if not server.detached:
                server.stop()
            os.close(lock)


def launch(server: Server, lock: int) -> subprocess.Popen[bytes]:
    """Start the process; it inherits the lock, and nothing of our environment, which its functions would see."""
    home = server.home
    forget(home)
    home.scratch.mkdir()
    home.state.mkdir(mode=0o700, exist_ok=True)
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TMPDIR": str(home.scratch),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(server.gateway_port),
        "FRONT_PORT": str(server.front_port),
        "STACK_NAME": STACK_NAME,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(home.state),
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
    }
    with home.log.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own command
            [str(INTERPRETER), "-m", "local.aws"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )


def wait_until_ready(server: Server) -> None:
    """Wait until the local AWS answers.

    Raises:
        Failure: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + SECONDS_TO_START
    while server.process and server.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{server.endpoint_url}/_ministack/ready", timeout=2).close()  # noqa: S310 - http
            return
        time.sleep(0.05)
    raise Failure(
        f"The local AWS did not start. If what it saved is broken, start afresh: rm -r {shown(server.home.state)}\n"
        f"{tail(server.home.log)}"
    )


def find(home: Home) -> Server | None:
    """Find the local AWS that was left running in `home`."""
    where = read(home.process)
    if not where or not home.is_up():
        return None
    return Server(home, where["gateway_port"], where["front_port"], detached=True)


def shut_down(home: Home) -> bool:
    """Stop the local AWS that was left running in `home`, its state saved; say whether there was one.

    Raises:
        Failure: it does not stop.
    """
    lock = home.lock()
    if lock is not None:
        forget(home)
        os.close(lock)
        return False
    where = read(home.process)
    if not where:
        raise Failure("The local stack is being started or stopped by another command: wait for that one, or end it.")
    group = where["pid"]
    with contextlib.suppress(ProcessLookupError):
        os.kill(group, signal.SIGTERM if where.get("saves") else signal.SIGKILL)
    deadline = time.monotonic() + SECONDS_TO_STOP
    while home.is_up():
        if time.monotonic() > deadline:
            raise Failure(
                f"The local AWS does not stop. End it yourself, which loses its last changes: kill -9 {group}"
            )
        time.sleep(0.05)
    stop_group(group)
    forget(home)
    return True


def forget(home: Home) -> None:
    """Remove what is only true while a local AWS runs."""
    for path in (home.process, home.stack, home.functions):
        path.unlink(missing_ok=True)
    shutil.rmtree(home.scratch, ignore_errors=True)
