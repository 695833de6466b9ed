"""`rolegate users`: who there is, and which role each has."""

import time
from collections.abc import Iterator

from rolegate import flows, passwords
from rolegate.model import User
from rolegate.stores.users import Users
from rolegate.users import username

from rolegate_cli.stack import CommandError, Stack


def role_for(stack: Stack, given: str | None) -> str:
    """Return the role that a new user gets, the lowest unless said; raises `Misconfigured` for one there is not."""
    role = given or stack.roles.lowest
    stack.roles.level(role)
    return role


def add(stack: Stack, name: str, role: str, password: str) -> User:
    """Create a user of any role, with the same rules as registration; this is how the first admin comes to be."""
    return flows.register(
        name,
        password,
        role=role,
        users_table=_table(stack),
        hash_password=lambda typed: passwords.hash_password(passwords.accept(typed), stack.bcrypt_cost),
        audit=_silent,
        now=int(time.time()),
    )


def set_role(stack: Stack, name: str, role: str) -> User:
    """Change a user's role; raises `CommandError` for nobody's name.

    Access tokens follow at their next refresh, to a lower role sooner where the authorizer checks that.
    """
    stack.roles.level(role)
    changed = _table(stack).set_role(username(name), role, int(time.time()))
    if changed is None:
        raise CommandError(f"There is no user '{name}'. See 'rolegate users list'.")
    return changed


def every(stack: Stack) -> Iterator[User]:
    """Yield every user."""
    return _table(stack).list()


def _table(stack: Stack) -> Users:
    return Users(stack.client("dynamodb"), stack.outputs["UsersTable"])


def _silent(event: str, **facts: str | int | None) -> None:
    """Record nothing here: CloudTrail's data events for the table, where they are on, say who did it."""
