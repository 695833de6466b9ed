"""The parts that several builders of the composition root need: the stores, and the rules that settings say.

Each part imports what it needs itself, for imports are most of a cold start.
"""

# ruff: noqa: PLC0415 - see above
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from rolegate.model import Audit
from rolegate.roles import Roles, parse
from rolegate.settings import Settings

if TYPE_CHECKING:
    from rolegate import attempts, credentials, edge, sessions, tokens
    from rolegate import rotation as rotations
    from rolegate.deadline import Deadline
    from rolegate.observe import Log
    from rolegate.stores.attempts import Attempts
    from rolegate.stores.documents import Documents
    from rolegate.stores.rings import Rings, RingStore
    from rolegate.stores.sessions import Sessions
    from rolegate.stores.standings import Standings
    from rolegate.stores.users import Users

DAY, MINUTE = 86_400, 60


class Stores:
    """The stores of one function. A client takes a good part of a cold start, so each is made once, if at all."""

    def __init__(self, env: Settings, deadline: "Deadline") -> None:
        from rolegate.stores import aws

        self._env = env
        self._client = cache(lambda service: aws.client(service, deadline))

    def users(self) -> "Users":
        """Make the store of users."""
        from rolegate.stores.users import Users

        return Users(self._client("dynamodb"), self._env.text("USERS_TABLE"))

    def attempts(self) -> "Attempts":
        """Make the store of guesses."""
        from rolegate.stores.attempts import Attempts

        return Attempts(self._client("dynamodb"), self._env.text("ATTEMPTS_TABLE"))

    def sessions(self) -> "Sessions":
        """Make the store of sessions."""
        from rolegate.stores.sessions import Sessions

        return Sessions(self._client("dynamodb"), self._env.text("SESSIONS_TABLE"))

    def standings(self) -> "Standings":
        """Make the store of what an authorizer asks about a user and a session."""
        from rolegate.stores.standings import Standings

        return Standings(self._client("dynamodb"), self._env.text("USERS_TABLE"), self._env.text("SESSIONS_TABLE"))

    def rings(self, secret: str) -> "Rings":
        """Make what reads the key ring in a secret, named by its setting, and remembers it a while."""
        from rolegate import keyring
        from rolegate.stores.rings import Rings

        return Rings(self.ring_store(secret), self._env.whole("KEY_RING_SECONDS", 30, keyring.FRESH_AT_MOST))

    def ring_store(self, secret: str) -> "RingStore":
        """Make the store of the key ring in a secret, named by its setting."""
        from rolegate.stores.rings import RingStore

        return RingStore(self._client("secretsmanager"), self._env.text(secret))

    def documents(self) -> "Documents":
        """Make the store of the public key documents."""
        from rolegate.stores.documents import Documents

        return Documents(self._client("ssm"), self._env.text("JWKS_PARAMETER"))


def policy(env: Settings, grace: int, rotations_per_late_retry: int) -> "sessions.Policy":
    """Say how sessions of this deployment live; the grace is in seconds."""
    from rolegate import sessions

    return sessions.Policy(refresh_lifetime(env), grace, rotations_per_late_retry, env.several("AUDIENCES"))


def limits(env: Settings) -> "attempts.Limits":
    """Say how often a password may be guessed."""
    from rolegate import attempts

    names = ("USER_NETWORK_LIMIT", "USER_LIMIT", "NETWORK_LIMIT")
    return attempts.Limits(*(attempts.Limit(*env.rate(name)) for name in names))


def keeping(env: Settings) -> "credentials.Passwords":
    """Say how passwords are kept and checked."""
    from rolegate import credentials, passwords

    cost = env.whole("BCRYPT_COST", 4, passwords.HIGHEST)
    return credentials.Passwords(
        make=lambda password: passwords.hash_password(password, cost),
        matches=lambda password, user: passwords.matches(
            password, user.password_hash if user else None, cost, imported=bool(user and user.password_imported)
        ),
        renewed=lambda password, user: passwords.renewed(
            password, user.password_hash, cost, imported=user.password_imported
        ),
    )


def accept(env: Settings) -> Callable[[str, str], str]:
    """Say which new passwords are accepted: (password, username) -> the password as it is kept."""
    from rolegate import passwords

    shortest, longest = env.whole("PASSWORD_MIN_LENGTH", 8, 64), env.whole("PASSWORD_MAX_LENGTH", 64, passwords.LONGEST)
    return partial(passwords.accept, rule=passwords.Rule(shortest, longest))


def cdn(env: Settings) -> "edge.Edge | None":
    """Say how one's own CDN proves itself, if there is one."""
    if not env.environ.get("EDGE_SECRET_SHA256"):
        return None
    from rolegate import edge

    return edge.Edge(env.digest("EDGE_SECRET_SHA256"), env.text("EDGE_ADDRESS_HEADER").lower())


def issuer(env: Settings) -> "tokens.Issuer":
    """Say what stands in this deployment's access tokens."""
    from rolegate import tokens

    return tokens.Issuer(
        url=env.text("ISSUER"),
        subject=env.choice("SUBJECT", "username", "user_id"),
        lifetime=access_lifetime(env),
        roles=roles(env),
    )


def roles(env: Settings) -> Roles:
    """Read the hierarchy of roles."""
    return parse(env.text("ROLES"))


def access_lifetime(env: Settings) -> int:
    """Read how many seconds an access token lives."""
    return env.whole("ACCESS_TOKEN_MINUTES", 5, 15) * MINUTE


def refresh_lifetime(env: Settings) -> int:
    """Read how many seconds a refresh token lives."""
    return env.whole("REFRESH_TOKEN_DAYS", 1, 90) * DAY


def sign_in(env: Settings, stores: Stores, audit: Audit, clock: Callable[[], int]) -> "credentials.SignIn":
    """Say what a sign-in needs, and a change of a password."""
    from rolegate import credentials

    return credentials.SignIn(
        users=stores.users(),
        sessions=stores.sessions(),
        attempts=stores.attempts(),
        limits=limits(env),
        passwords=keeping(env),
        issuer=issuer(env),
        signing_keys=stores.rings("SIGNING_KEYS_SECRET"),
        refresh_keys=stores.rings("REFRESH_KEYS_SECRET"),
        audit=audit,
        policy=policy(env, grace=0, rotations_per_late_retry=0),
        session_lifetime=env.whole("SESSION_DAYS", 1, 365) * DAY,
        clock=clock,
    )


def rotation(env: Settings, stores: Stores, log: "Log", wait: Callable[[float], None]) -> "rotations.Rotation":
    """Say what keeping the rings needs."""
    from rolegate import keyring
    from rolegate import rotation as rotations

    period = env.whole("KEY_ROTATION_DAYS", 1, 365) * DAY
    algorithm = env.choice("SIGNING_ALGORITHM", "RS256", "ES256", "EdDSA")
    return rotations.Rotation(
        stores={
            "signing": stores.ring_store("SIGNING_KEYS_SECRET"),
            "refresh": stores.ring_store("REFRESH_KEYS_SECRET"),
        },
        rules={
            "signing": keyring.Rule(algorithm, period, access_lifetime(env), keyring.generate),
            "refresh": keyring.Rule(keyring.HMAC, period, refresh_lifetime(env), keyring.generate),
        },
        documents=stores.documents(),
        audit=log.event,
        measure=log.measure,
        wait=wait,
    )
