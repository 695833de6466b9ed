"""Read settings from an environment: each checked at a cold start, with a message that says what would be right."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from rolegate.errors import Misconfigured


class Settings(NamedTuple):
    """A function's environment; every method raises `Misconfigured` for a setting that is missing or makes no sense."""

    environ: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a setting that must be there."""
        value = self.environ.get(name, "")
        if not value:
            raise Misconfigured(f"The environment variable {name} is missing.")
        return value

    def choice(self, name: str, *allowed: str) -> str:
        """Return a setting that is one of `allowed`."""
        value = self.text(name)
        if value not in allowed:
            raise Misconfigured(f"{name} is '{value}'. It must be one of: {', '.join(allowed)}.")
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        value = self.text(name)
        if not value.isascii() or not value.isdecimal() or len(value) > 9 or not least <= int(value) <= most:  # noqa: PLR2004 - any is too many
            raise Misconfigured(f"{name} is '{value}'. It must be a whole number from {least} to {most}.")
        return int(value)

    def rate(self, name: str) -> tuple[int, int]:
        """Return a number and the seconds that it is for, written `number/seconds`."""
        match = re.fullmatch(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})", self.text(name), re.ASCII)
        if match is None:
            raise Misconfigured(f"{name} is '{self.text(name)}'. It must be two whole numbers, such as 10/900.")
        return int(match[1]), int(match[2])

    def digest(self, name: str) -> str:
        """Return a SHA-256 in hexadecimal."""
        value = self.text(name).lower()
        if not re.fullmatch(r"[0-9a-f]{64}", value):
            raise Misconfigured(f"{name} must be a SHA-256 in hexadecimal: 64 digits.")
        return value

    def several(self, name: str) -> tuple[str, ...]:
        """Return the values of a comma-separated list with something in it."""
        values = tuple(one for value in self.text(name).split(",") if (one := value.strip()))
        if not values:
            raise Misconfigured(f"The environment variable {name} names nothing.")
        return values
