"""One deployed stack for all end-to-end tests: the built template on a local AWS of its own, on free ports."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from local.demo import Answer, Story
from local.stack import local_stack

PASSWORDS = {name: f"correct horse battery {number}" for number, name in enumerate(("alice", "bob", "carol"))}
PARAMETERS = {"BcryptCost": "10", "NetworkAttempts": "100000"}  # every test comes from one address
ROLES = {"alice": "user", "bob": "manager", "carol": "admin"}


class World(NamedTuple):
    """A deployed stack with three users, and a folder in which the operator's command finds it."""

    folder: Path
    stack: dict[str, str]
    story: Story

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.story.ask(method, path, body, **headers)

    def login(self, username: str) -> dict[str, Any]:
        answer = self.ask("POST", "/login", {"username": username, "password": PASSWORDS[username]})
        assert answer.status == 200, answer
        return dict(answer.body)

    def refresh(self, token: str) -> Answer:
        return self.ask("POST", "/refresh", {"refresh_token": token})

    def client(self, service: Any) -> Any:
        session = boto3.Session("test", "test", region_name=self.stack["region"])
        return session.client(service, endpoint_url=self.stack["endpoint_url"])

    def operate(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rolegate_cli", *arguments]
        return subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with local_stack(folder / ".local", parameters=PARAMETERS) as stack:
        here = World(folder, stack, Story(stack["api_url"]))
        for name, role in ROLES.items():
            added = here.operate("users", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORDS[name]}\n")
            assert added.returncode == 0, added.stderr
        (folder / ".local" / "venv").symlink_to(sys.prefix)
        (folder / ".local" / "users.json").write_text(json.dumps(PASSWORDS))
        yield here
