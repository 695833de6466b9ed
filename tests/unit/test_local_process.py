import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.process import child, end_on_signals, run, tail, uninterrupted

PYTHON = [sys.executable, "-c"]


@pytest.fixture
def _ending_on_signals() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    end_on_signals()
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_ending_on_signals")
def test_a_signal_ends_by_system_exit() -> None:
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("_ending_on_signals")
def test_a_signal_waits_for_the_end_of_what_must_not_be_interrupted() -> None:
    done = []

    def start() -> None:
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(SystemExit) as ended:
        start()
    assert (ended.value.code, done) == (128 + signal.SIGINT, ["all of it"])


def test_a_child_ends_with_its_block_and_takes_its_own_children_along(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    log = tmp_path / "log"
    with child([*PYTHON, code], env=os.environ, log=log, cwd=tmp_path) as process:
        while not log.read_text():
            time.sleep(0.01)
    assert process.poll() is not None
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", log.read_text().strip()], capture_output=True, text=True, check=False
    )
    assert listed.stdout.strip() in ("", "Z")


def test_a_command_succeeds_or_fails_and_its_log_tells_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run([*PYTHON, "print('fine')"], env={}, log=log, cwd=tmp_path)
    assert not run([*PYTHON, "print('first'); raise SystemExit('broken')"], env={}, log=log, cwd=tmp_path)
    assert tail(log, lines=1) in ("    broken", "    first")
    assert sorted(tail(log).split()) == ["broken", "first"]


def test_a_log_that_is_not_there_has_no_last_lines(tmp_path: Path) -> None:
    assert tail(tmp_path / "log") == ""
