"""What the unit tests share: keys of every kind, somebody who signed in, and the issuer of their tokens."""

from collections.abc import Mapping

import pytest
from rolegate import keyring, roles, sessions, tokens, users
from rolegate.model import Caller, Session, User

NOW = 1_800_000_000


@pytest.fixture(scope="session")
def keys() -> Mapping[str, keyring.Key]:
    return {alg: keyring.generate(alg, NOW) for alg in ("RS256", "ES256", "EdDSA", "HS256")}


@pytest.fixture(scope="session")
def mint() -> tokens.Issuer:
    return tokens.Issuer("https://auth.example.com", "username", 900, roles.DEFAULT)


@pytest.fixture(scope="session")
def alice() -> User:
    return users.create("alice", "no hash", "manager", NOW)


@pytest.fixture(scope="session")
def session(alice: User, keys: Mapping[str, keyring.Key]) -> Session:
    caller = Caller("192.0.2.44", "curl/8.14.1")
    return sessions.start(alice, "rolegate", caller, keys["HS256"].kid, 7 * 86_400, 30 * 86_400, NOW)
