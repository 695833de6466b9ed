"""`make run`, `make up` and `make down` as one types them, each in a folder of its own and on free ports."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.home import ROOT
from local.process import free_port
from local.stack import local_stack

SECONDS = 90


def command(folder: Path, word: str, port: int) -> list[str]:
    return [sys.executable, "-m", "local.stack", word, "--folder", str(folder), "--port", str(port)]


def type_in(folder: Path, word: str, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, word, port), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@contextlib.contextmanager
def typed(folder: Path, word: str, port: int) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(folder, word, port),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    said = ""
    while words not in said:
        letter = process.stdout.read(1)
        assert letter, f"It ended before it said {words!r}:\n{said}"
        said += letter


def left_behind(folder: Path) -> list[str]:
    processes = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    alive = [line for line in processes.stdout.splitlines() if str(folder) in line]
    files = [str(path) for name in ("tmp", "process.json", "stack.json", "env.json") for path in folder.glob(name)]
    return alive + files


def ask(url: str, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - http
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".local"


def test_a_taken_port_is_said_in_one_sentence_and_nothing_is_left(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = type_in(folder, "run", port)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"Port {port} is taken. Stop what listens there, or choose another: make run PORT={port + 1}\n"
    )
    assert left_behind(folder) == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Start the local AWS", "Build", "Deploy the stack", "Make the demo users"])
def test_ending_a_start_leaves_nothing_behind(folder: Path, moment: str, end: signal.Signals) -> None:
    with typed(folder, "run", free_port()) as process:
        read_until(process, moment)
        time.sleep(0.3)
        os.killpg(process.pid, end)
        assert process.wait(SECONDS) == 128 + end
    assert left_behind(folder) == []


def test_a_local_aws_ends_when_its_parent_is_killed(folder: Path) -> None:
    with typed(folder, "run", free_port()) as process:
        read_until(process, "Build")
        process.kill()
    deadline = time.monotonic() + SECONDS
    while any("local.aws" in line for line in left_behind(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_run_up_and_down_know_of_each_other(folder: Path) -> None:
    port = free_port()
    with typed(folder, "run", port) as process:
        read_until(process, "Ready in")
        second = type_in(folder, "run", free_port())
        assert (second.returncode, second.stderr) == (
            1,
            f"The local stack is already up at http://127.0.0.1:{port}. Use it, or stop it first: make down\n",
        )
        assert type_in(folder, "up", port).returncode == 0
        assert type_in(folder, "down", port).stdout == "The local stack is stopped; what it held is kept.\n"
        assert process.wait(SECONDS) == 0
    assert left_behind(folder) == []
    assert type_in(folder, "down", port).stdout == "No local stack is up.\n"


def test_what_a_stack_holds_survives_a_restart_on_another_port(folder: Path) -> None:
    account = {"username": "erin", "password": "correct horse battery"}
    with local_stack(folder, keep_state=True) as stack:
        assert ask(stack["api_url"], "/register", account)[0] == 201
        assert ask(stack["api_url"], "/login", account)[0] == 200
    assert left_behind(folder) == []
    with local_stack(folder) as stack:
        assert ask(stack["api_url"], "/login", account)[0] == 200
        assert ask(stack["api_url"], "/.well-known/openid-configuration")[1]["issuer"] == stack["api_url"]


def test_before_a_deployment_the_stable_address_answers_503(folder: Path) -> None:
    with local_stack(folder, deployed=False) as stack:
        status, problem = ask(stack["api_url"], "/login", {})
        assert (status, problem["code"]) == (503, "unavailable")
    assert left_behind(folder) == []
