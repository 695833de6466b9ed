"""`rolegate users`: who there is, and which role each has."""

import ipaddress
import time
from collections.abc import Iterator

from rolegate import attempts, passwords, users
from rolegate.model import Caller, User
from rolegate.stores.attempts import Attempts
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
    name = username(name)
    accepted = passwords.accept(password, name, stack.password_rule)
    user = users.create(name, passwords.hash_password(accepted, stack.bcrypt_cost), role, int(time.time()))
    _table(stack).create(user)
    return user


def set_role(stack: Stack, name: str, role: str) -> User:
    """Change a user's role; raises `CommandError` for nobody's name.

    Access tokens follow at their next refresh, to a lower role sooner where the authorizer checks that.
    """
    stack.roles.level(role)
    changed = _table(stack).set_role(username(name), role, int(time.time()))
    if changed is None:
        raise CommandError(f"There is no user '{name}'. See 'rolegate users list'.")
    return changed


def unlock(stack: Stack, typed: str, address: str | None) -> str:
    """Let a user whom too many guesses keep out try again: from everywhere, and from the network of an address too.

    Return the username; raises `CommandError` for what is no address, and for a stack without limits.
    """
    try:
        caller = Caller(str(ipaddress.ip_address(address)) if address is not None else "")
    except ValueError:
        raise CommandError(f"'{address}' is no address. Give one such as 192.0.2.44 or 2001:db8::7.") from None
    if "AttemptsTable" not in stack.outputs:
        raise CommandError("This stack is of an older version, which counts no guesses. Deploy the new one first.")
    name = username(typed)
    guess = attempts.guess(name, caller, attempts.DEFAULT)
    table = Attempts(stack.client("dynamodb"), stack.outputs["AttemptsTable"])
    for limiter in guess if address is not None else (guess.user,):
        table.forgive(limiter)
    return name


def every(stack: Stack) -> Iterator[User]:
    """Yield every user."""
    return _table(stack).list()


def _table(stack: Stack) -> Users:
    return Users(stack.client("dynamodb"), stack.outputs["UsersTable"])
