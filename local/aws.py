"""Start the pinned local AWS in one process, with what it drops put back, and the stack's stable address beside it.

Run as `python -m local.aws` in the local AWS's own virtual environment. Its environment variables say where it listens
and keeps its state (`local/server.py` sets them all); `FRONT_PORT` and `STACK_NAME` are ours. SIGTERM makes it save
its state and end; so does the end of whoever holds the other end of its standard input, unless a byte came first.
"""

# What it starts is neither public nor typed, not installed where types are checked, and only to be imported once its
# version is known to be ours.
# ruff: noqa: ANN401, PLC0415, SLF001
# mypy: disable-error-code="import-not-found"

import importlib.metadata
import os
import signal
import sys
import threading
from typing import Any

PINNED = "1.5.33"


def check_version() -> None:
    """Refuse any other ministack, whose inside the mends do not know."""
    found = importlib.metadata.version("ministack")
    if found != PINNED:
        sys.exit(f"The local AWS must be ministack {PINNED}, not {found}: its mends (local/mends.py) fit no other.")


def end_with_parent() -> None:
    """End this process when its parent has gone without a word."""
    if os.read(sys.stdin.fileno(), 1) == b"":
        os.kill(os.getpid(), signal.SIGTERM)


def serve() -> None:
    """Serve until told to stop."""
    import hypercorn.asyncio
    from ministack.app import main
    from ministack.services import cloudformation

    from local import mends
    from local.front import Routes, with_front

    port, stack_name = int(os.environ["FRONT_PORT"]), os.environ["STACK_NAME"]

    def routes() -> Routes | None:
        for (_account, _region, name), stack in cloudformation._stacks.all_items():
            if name == stack_name and stack.get("Outputs"):
                return Routes.of({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})
        return None

    async def serve_both(app: Any, config: Any, **options: Any) -> None:
        config.bind = [*config.bind, f"127.0.0.1:{port}"]
        await serve_one(with_front(app, port, routes), config, **options)

    mends.apply()
    serve_one, hypercorn.asyncio.serve = hypercorn.asyncio.serve, serve_both
    main()


if __name__ == "__main__":
    check_version()
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve()
