"""Run the whole stack on this machine: `python -m local.stack run|up|down [--port PORT] [--folder FOLDER]`.

Tests start a stack of their own with `local_stack` (or only a local AWS, `deployed=False`):

    with local_stack(tmp_path) as stack:
        urlopen(stack["api_url"] + "/.well-known/jwks.json")
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from local import demo_users
from local.build import build
from local.deploy import connection, deploy
from local.home import Home, shown
from local.process import Failure, end_on_signals, free_port
from local.server import Server, find, running, shut_down

JSON = '-H "Content-Type: application/json"'
WALK = """\
Sign in, and keep the answer:
  LOGIN=$(curl -sX POST {url}/login {json} -d '{{"username": "bob", "password": "{bob}"}}'); echo "$LOGIN"
  field() {{ echo "$LOGIN" | sed "s/.*\\"$1\\": *\\"\\([^\\"]*\\)\\".*/\\1/"; }}
A route that asks for a role:
  curl {url}/manager -H "Authorization: Bearer $(field access_token)"
Refresh:
  curl -X POST {url}/refresh {json} -d "{{\\"token\\": \\"$(field refresh_token)\\"}}"
Log out:
  curl -X POST {url}/logout {json} -d "{{\\"token\\": \\"$(field refresh_token)\\"}}"
"""


@contextlib.contextmanager
def local_stack(
    folder: Path,
    *,
    port: int | None = None,
    parameters: Mapping[str, str] | None = None,
    deployed: bool = True,
    keep_state: bool = False,
) -> Iterator[dict[str, str]]:
    """Run a stack of one's own until the block ends, and give the content of its `stack.json`.

    Args:
        folder: Where it keeps its things; `folder / "aws.log"` is its log.
        port: Of its stable address; a free one unless given.
        parameters: The template's, over those of `make run` (`Registration=open SampleRoutes=true`).
        deployed: Whether to build (unless built already) and deploy the template. Without, `api_url endpoint_url region
            stack_name` are all there is.
        keep_state: Whether a later stack in the same folder goes on from where this one ended.

    Raises:
        Failure: it could not be started, built or deployed; the sentence says what to do.
    """
    home = Home(folder)
    with running(home, port or free_port()) as server:
        if deployed:
            build(home)
            stack = deploy(server, parameters or {})
        else:
            stack = connection(server)
        if keep_state:
            server.keep_state()
        yield stack


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and how many seconds it took."""
    print(f"{name} ... ", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print()
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def bring_up(server: Server) -> None:
    """Build, deploy and make the demo users; each step does only what is not done yet."""
    with step("Build the functions and their layer"):
        build(server.home)
    with step("Deploy the stack"):
        deploy(server, {})
    with step("Make the demo users"):
        passwords = demo_users.ensure(server)
    server.keep_state()
    started = float(os.environ.get("STARTED") or time.time())
    print(f"\nReady in {time.time() - started:.0f} s: {server.url}\n")
    for name, role in demo_users.ROLES.items():
        print(f"  {name:<6} {passwords.get(name, '(made elsewhere: only they know)'):<17} {role}")
    print(f"\n{WALK.format(url=server.url, json=JSON, bob=passwords.get('bob', ''))}")


def run(home: Home, port: int) -> None:
    """Bring the stack up, and serve until Ctrl-C."""
    refuse_second(home)
    with contextlib.ExitStack() as stack:
        with step("Start the local AWS"):
            server = stack.enter_context(running(home, port))
        bring_up(server)
        print(f"Logs: {shown(home.log)}. Ctrl-C stops it; what it holds is kept.", flush=True)
        with contextlib.suppress(SystemExit):
            server.wait()
    print("Stopped.")


def up(home: Home, port: int) -> None:
    """Bring the stack up, or up to date, and leave it running."""
    if server := find(home):
        if server.front_port != port:
            raise Failure(f"The local stack is already up at {server.url}. Stop it first: make down")
        bring_up(server)
        return
    with contextlib.ExitStack() as stack:
        with step("Start the local AWS"):
            server = stack.enter_context(running(home, port))
        bring_up(server)
        server.detach()
    print(f"Logs: {shown(home.log)}. Stop it with: make down")


def down(home: Home) -> None:
    """Stop the stack that `up` left running."""
    print("The local stack is stopped; what it held is kept." if shut_down(home) else "No local stack is up.")


def refuse_second(home: Home) -> None:
    """Refuse to start what is up already."""
    if server := find(home):
        raise Failure(f"The local stack is already up at {server.url}. Use it, or stop it first: make down")


def port_number(text: str) -> int:
    """Read a port; it comes from `make run PORT=...`."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:  # noqa: PLR2004 - what a port is
        raise Failure("PORT must be a number from 1 to 65535: make run PORT=8001")
    return int(text)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="local.stack", description="Run the whole stack on this machine.")
    parser.add_argument("command", choices=["run", "up", "down"])
    parser.add_argument("--port", type=port_number, default=8000, help="of the stable address (default: 8000)")
    parser.add_argument("--folder", type=Path, default=Home.path, help="where it keeps its things (default: .local)")
    arguments = parser.parse_args()
    end_on_signals()
    home = Home(arguments.folder.resolve())
    match arguments.command:
        case "run":
            run(home, arguments.port)
        case "up":
            up(home, arguments.port)
        case _:
            down(home)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
