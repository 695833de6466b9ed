"""The hierarchy of roles: a higher level includes every lower one."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rolegate.errors import Misconfigured

RESERVED = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
MOST = 32
_ROLE = re.compile(r"([a-z0-9_-]{1,64})=([1-9][0-9]{0,5})")
_RULE = (
    "Write name=level with commas between, such as user=1,manager=2,admin=3. A name has 1 to 64 letters a to z, "
    "digits, _ and -; a level is a whole number from 1 to 999999."
)


class Roles(NamedTuple):
    """Role names and their levels."""

    levels: Mapping[str, int]

    @property
    def lowest(self) -> str:
        """The role of whoever registers."""
        return min(self.levels, key=self.levels.__getitem__)

    def scope(self, role: str) -> str:
        """Return every role at or below `role`, lowest first: the `scope` of its access tokens (RFC 9068, 2.2.3).

        A verifier that only understands scopes enforces the hierarchy with it. Raises `Misconfigured` for a role
        that is not in the hierarchy.
        """
        top = self.level(role)
        return " ".join(
            sorted((name for name, level in self.levels.items() if level <= top), key=self.levels.__getitem__)
        )

    def level(self, role: str) -> int:
        """Return the level of `role`; raises `Misconfigured` for a role that is not in the hierarchy."""
        try:
            return self.levels[role]
        except KeyError:
            known = ", ".join(self.levels)
            raise Misconfigured(f"There is no role '{role}'. The roles are {known}.") from None

    def reaches(self, role: str, minimum: str) -> bool:
        """Tell whether `role` is `minimum` or higher; a role that the hierarchy does not know reaches nothing."""
        return role in self.levels and self.levels[role] >= self.level(minimum)


def parse(text: str) -> Roles:
    """Return the hierarchy that is written `user=1,manager=2,admin=3`; raises `Misconfigured` for what makes none.

    Two roles of one level would each let the other's holders in, so no two may share one. Names that OpenID Connect
    gives a meaning of its own as scopes are refused (OpenID Connect Core 1.0, sections 3.1.2.1, 5.4 and 11).
    """
    levels: dict[str, int] = {}
    for written in text.split(","):
        match = _ROLE.fullmatch(written)
        if match is None:
            raise Misconfigured(f"'{written}' is no role and level in the roles '{text}'. {_RULE}")
        name, level = match[1], int(match[2])
        if name in RESERVED:
            raise Misconfigured(f"No role can be named '{name}': OpenID Connect gives this scope a meaning of its own.")
        if name in levels:
            raise Misconfigured(f"The roles '{text}' name '{name}' twice.")
        if level in levels.values():
            raise Misconfigured(f"The roles '{text}' give the level {level} twice. Each role needs a level of its own.")
        levels[name] = level
    if len(levels) > MOST:
        raise Misconfigured(f"There are {len(levels)} roles. At most {MOST} fit into a token.")
    return Roles(levels)


def check(text: str, minimums: Sequence[str]) -> None:
    """Raise `Misconfigured` for a hierarchy that makes no sense, or in which the `minimums` are not in order.

    These are what the authorizers for users, managers and admins ask for. Were each lower than the one before, the
    hierarchy would be upside down, and whoever registers an admin.
    """
    hierarchy = parse(text)
    levels = [hierarchy.level(minimum) for minimum in minimums]
    if levels != sorted(levels):
        raise Misconfigured(
            f"In the roles '{text}' the authorizers for users, managers and admins would ask for "
            f"{', '.join(minimums)}, which is not from low to high. The higher the level, the more a role may."
        )


DEFAULT = parse("user=1,manager=2,admin=3")
