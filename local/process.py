"""Child processes that end with us, whatever ends us, and the sentence to fail with."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

SECONDS_TO_END = 20


class Failure(Exception):
    """What went wrong and what to do about it, in one sentence for whoever typed the command."""


class _Signals:
    """Signals end this process by `SystemExit`, but never between the start of a child and the note of it."""

    held = 0
    waiting: int | None = None

    @classmethod
    def arrive(cls, number: int, _frame: FrameType | None = None) -> None:
        if cls.held:
            cls.waiting = number
        else:
            raise SystemExit(128 + number)


def end_on_signals() -> None:
    """Turn Ctrl-C, SIGTERM and a closed terminal into `SystemExit`, so that every `finally` runs."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _Signals.arrive)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back a signal until the block has ended."""
    _Signals.held += 1
    try:
        yield
    finally:
        _Signals.held -= 1
    if not _Signals.held and _Signals.waiting is not None:
        number, _Signals.waiting = _Signals.waiting, None
        _Signals.arrive(number)


def stop(process: subprocess.Popen[bytes], *, gently: bool = True) -> None:
    """End a child and all that it started; `gently` leaves it time to put its things in order."""
    if gently and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
    stop_group(process.pid)
    process.wait()
    if process.stdin:
        process.stdin.close()


def stop_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextlib.contextmanager
def child(command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, out of reach of the terminal's Ctrl-C, until the block ends."""
    process = None
    try:
        with uninterrupted(), log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            with uninterrupted():
                stop(process)


def run(command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path) -> bool:
    """Run a command to its end, its output to `log`, and say whether it succeeded."""
    with child(command, env=env, log=log, cwd=cwd) as process:
        return process.wait() == 0


def tail(log: Path, lines: int = 15) -> str:
    """Give the last lines of a log, indented."""
    last = log.read_text(errors="replace").strip().splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"    {line}" for line in last)


def is_free(port: int) -> bool:
    """Say whether one may listen on a port of this machine's loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
