"""The hierarchy of roles: a higher level includes every lower one."""

from collections.abc import Mapping
from typing import NamedTuple

from rolegate.errors import Misconfigured


class Roles(NamedTuple):
    """Role names and their levels."""

    levels: Mapping[str, int]

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


DEFAULT = Roles({"user": 1, "manager": 2, "admin": 3})
LOWEST = "user"
