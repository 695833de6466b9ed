"""Where a local stack keeps its things, and what its parts agree on."""

import fcntl
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STACK_NAME = "rolegate"
REGION = "us-east-1"
ARCHITECTURE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"

# The local AWS's own root user. Nothing here may ever reach a real account: no profile, no file, no instance role.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Home:
    """The folder of one local stack; tests have one each."""

    path: Path = ROOT / ".local"

    @property
    def state(self) -> Path:
        """What the local AWS remembers over a restart."""
        return self.path / "state"

    @property
    def scratch(self) -> Path:
        """Temporary files of the local AWS and of SAM; gone when it stops."""
        return self.path / "tmp"

    @property
    def log(self) -> Path:
        """The local AWS's log, with the functions'."""
        return self.path / "aws.log"

    @property
    def stack(self) -> Path:
        """What a deployed stack is made of; there as long as it is up."""
        return self.path / "stack.json"

    @property
    def functions(self) -> Path:
        """Each function's environment: the file that `sam local invoke --env-vars` takes."""
        return self.path / "env.json"

    @property
    def users(self) -> Path:
        """The demo users' passwords."""
        return self.path / "users.json"

    @property
    def process(self) -> Path:
        """Which process the local AWS is, and where it listens."""
        return self.path / "process.json"

    def lock(self) -> int | None:
        """Take the lock that a local AWS holds as long as it lives; `None` if one does."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def is_up(self) -> bool:
        """Say whether a local AWS lives here."""
        lock = self.lock()
        if lock is not None:
            os.close(lock)
        return lock is None


def aws_environment(endpoint_url: str) -> dict[str, str]:
    """Give this process's environment with the local AWS in the place of any real one."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return ours | CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint_url}


def shown(path: Path) -> str:
    """Name a file as one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def read(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def write(path: Path, content: Mapping[str, Any], *, mode: int = 0o644) -> None:
    """Write a JSON object all at once: a reader sees the old file or the new one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT, mode), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    new.replace(path)
