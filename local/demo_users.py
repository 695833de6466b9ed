"""The demo users of a local stack, made as any operator makes users."""

import os
import secrets
import subprocess
from urllib.parse import urlsplit

from local.build import BIN
from local.home import aws_environment, read, write
from local.process import Failure
from local.server import Server

ROLES = {"alice": "user", "bob": "manager", "carol": "admin"}


def ensure(server: Server) -> dict[str, str]:
    """Make the demo users that are not there yet; give all their passwords.

    Raises:
        Failure: the stack is not on this machine, or the operator's command failed.
    """
    if urlsplit(server.endpoint_url).hostname != "127.0.0.1":
        raise Failure("Demo users belong on this machine alone.")
    passwords: dict[str, str] = read(server.home.users)
    there = existing(server)
    missing = [name for name in ROLES if name not in there]
    for name in missing:
        passwords.setdefault(name, secrets.token_hex(8))
    write(server.home.users, passwords, mode=0o600)
    for name in missing:
        operate(server, "users", "add", name, "--role", ROLES[name], "--password-stdin", stdin=passwords[name])
    return passwords


def existing(server: Server) -> set[str]:
    """List the users that are there."""
    lines = operate(server, "users", "list").splitlines()
    return {line.split()[0] for line in lines if line.strip()}


def operate(server: Server, *arguments: str, stdin: str = "") -> str:
    """Run the operator's command where it finds the local stack (`.local/stack.json`), and give what it prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        [str(BIN / "rolegate"), *arguments],
        env=aws_environment(server.endpoint_url),
        cwd=server.home.path.parent,
        input=stdin + os.linesep,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failure(f"rolegate {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
