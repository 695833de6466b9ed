import json
from collections.abc import Mapping

import pytest
from rolegate import gate, keyring, roles, tokens
from rolegate.errors import Unavailable
from rolegate.gate import Gate, Verifier
from rolegate.jwks import Document, KeySets
from rolegate.model import Session, User

NOW = 1_800_000_000
LIFETIME = 900
LEVELS = roles.DEFAULT.levels


class Issuer:
    """Publishes keys, or keeps silent."""

    def __init__(self, *published: keyring.Key) -> None:
        self.published = published
        self.silent = False
        self.asked = 0

    def __call__(self, _etag: str | None) -> Document:
        self.asked += 1
        if self.silent:
            raise Unavailable
        return Document(json.dumps({"keys": [keyring.public_jwk(key) for key in self.published]}).encode(), None)


@pytest.fixture
def issuer(keys: Mapping[str, keyring.Key]) -> Issuer:
    return Issuer(keys["EdDSA"])


@pytest.fixture
def world(issuer: Issuer, mint: tokens.Issuer) -> Gate:
    return Gate(Verifier(KeySets(issuer, 300), mint.url, "rolegate", 0), "manager", roles.DEFAULT)


@pytest.fixture
def token(mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]) -> str:
    """Alice's access token; she is a manager."""
    return mint.access_token(alice, session, keys["EdDSA"], NOW)


def allowed(token: str, world: Gate, now: int = NOW) -> bool:
    decision = gate.authorize(token, world, now)
    return decision is not None and decision.allowed


@pytest.mark.parametrize("minimum", LEVELS)
@pytest.mark.parametrize("role", LEVELS)
def test_a_role_passes_where_it_or_a_lower_one_is_asked_for(
    role: str,
    minimum: str,
    world: Gate,
    mint: tokens.Issuer,
    alice: User,
    session: Session,
    keys: Mapping[str, keyring.Key],
) -> None:
    token = mint.access_token(alice._replace(role=role), session, keys["EdDSA"], NOW)
    decision = gate.authorize(token, world._replace(minimum=minimum), NOW)
    assert decision is not None
    assert decision.allowed == (LEVELS[role] >= LEVELS[minimum])
    assert decision.context["detail"] == ("" if decision.allowed else f"{minimum} access required")


def test_the_api_behind_is_told_who_it_is(world: Gate, token: str, alice: User, session: Session) -> None:
    decision = gate.authorize(token, world, NOW)
    assert decision is not None
    assert decision.context == {
        "username": "alice",
        "user_id": alice.user_id,
        "role": "manager",
        "scope": "user manager",
        "session_id": session.session_id,
        "detail": "",
    }


def test_of_a_scope_of_another_hierarchy_only_what_is_at_or_below_the_role_here_is_told(
    world: Gate, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    theirs = mint._replace(roles=roles.parse("user=1,admin=2,guest=3,manager=4"))  # where managers are above admins
    token = theirs.access_token(alice, session, keys["EdDSA"], NOW)
    decision = gate.authorize(token, world, NOW)
    assert decision is not None
    assert (decision.allowed, decision.context["scope"]) == (True, "user manager")


def test_who_is_refused_anyway_costs_no_read(world: Gate, token: str) -> None:
    asked: list[object] = []

    def role_now(*question: object) -> str:
        asked.append(question)
        return "admin"

    checked = world._replace(role_now=role_now)
    assert not allowed(token, checked._replace(minimum="admin"))
    assert asked == []
    assert allowed(token, checked)
    assert len(asked) == 1


def test_a_role_of_another_hierarchy_is_denied_however_high(
    world: Gate, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    theirs = mint._replace(roles=roles.Roles({**LEVELS, "root": 99}))
    token = theirs.access_token(alice._replace(role="root"), session, keys["EdDSA"], NOW)
    decision = gate.authorize(token, world._replace(minimum="user"), NOW)
    assert decision is not None
    assert not decision.allowed
    assert decision.context["detail"] == "user access required"


def test_what_is_no_valid_token_is_nobody_s(
    world: Gate, token: str, mint: tokens.Issuer, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    refresh_token = mint.refresh_token("alice", session, keys["HS256"])
    for other in ("", "a.b.c", token[:-1], token + "=", f"{token}.", refresh_token):
        assert gate.authorize(other, world, NOW) is None
    for verifier in (
        world.verifier._replace(issuer="https://other.example.com"),
        world.verifier._replace(audience="reports"),
    ):
        assert gate.authorize(token, world._replace(verifier=verifier), NOW) is None


# --- tokens that are remembered


@pytest.mark.parametrize("leeway", [0, 30])
def test_a_remembered_token_ends_when_it_ends(world: Gate, token: str, leeway: int) -> None:
    world = world._replace(verifier=world.verifier._replace(leeway=leeway))
    for second in (0, LIFETIME - 1, LIFETIME + leeway - 1):
        assert allowed(token, world, NOW + second)
    assert token in world.verifier.key_sets.current(NOW + LIFETIME + leeway - 1).verified
    assert gate.authorize(token, world, NOW + LIFETIME + leeway) is None


def test_only_what_was_verified_is_remembered(world: Gate, token: str) -> None:
    gate.authorize(token[:-2] + "AA", world, NOW)
    gate.authorize("a.b.c", world, NOW)
    gate.authorize(token, world, NOW + LIFETIME)
    assert world.verifier.key_sets.current(NOW).verified == {}
    gate.authorize(token, world, NOW)
    assert world.verifier.key_sets.current(NOW).verified.keys() == {token}


def test_a_decision_is_the_same_the_second_time(world: Gate, token: str) -> None:
    assert gate.authorize(token, world, NOW) == gate.authorize(token, world, NOW + 1)
    high = world._replace(minimum="admin")
    assert gate.authorize(token, high, NOW) == gate.authorize(token, high, NOW + 1)
    assert not allowed(token, high)


def test_a_token_whose_key_was_withdrawn_is_forgotten(
    world: Gate, issuer: Issuer, token: str, keys: Mapping[str, keyring.Key]
) -> None:
    assert allowed(token, world)
    issuer.published = (keys["ES256"],)
    assert allowed(token, world, NOW + 299)
    assert gate.authorize(token, world, NOW + 300) is None


# --- keys that come and go


def test_one_request_asks_a_silent_issuer_once(world: Gate, issuer: Issuer, token: str) -> None:
    world.verifier.key_sets.current(NOW)
    issuer.silent = True
    assert allowed(token, world, NOW + 300)
    assert issuer.asked == 2


def test_a_key_that_was_published_before_it_signs_needs_no_answer_of_the_issuer(
    world: Gate, issuer: Issuer, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    issuer.published = (keys["EdDSA"], keys["ES256"])
    world.verifier.key_sets.current(NOW)
    issuer.silent = True
    stray = mint.access_token(alice, session, keys["RS256"], NOW)
    for second in range(30, 91):
        with pytest.raises(Unavailable):
            gate.authorize(stray, world, NOW + second)
        for alg in ("EdDSA", "ES256"):
            assert allowed(mint.access_token(alice, session, keys[alg], NOW), world, NOW + second)
    assert issuer.asked == 1 + 3


def test_a_new_key_is_picked_up_from_the_first_token_that_names_it(
    world: Gate, issuer: Issuer, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    world.verifier.key_sets.current(NOW)
    issuer.published = (keys["EdDSA"], keys["ES256"])
    new = mint.access_token(alice, session, keys["ES256"], NOW)
    assert gate.authorize(new, world, NOW + 29) is None  # asked half a minute ago: not yet again
    assert allowed(new, world, NOW + 30)
    assert allowed(new, world, NOW + 31)
    assert issuer.asked == 2


def test_tokens_that_name_nobody_s_keys_cost_the_issuer_one_request_in_30_seconds(
    world: Gate, issuer: Issuer, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    stray = mint.access_token(alice, session, keys["ES256"], NOW)
    for second in range(61):
        assert gate.authorize(stray, world, NOW + second) is None
    assert issuer.asked == 3


def test_without_keys_there_is_an_error_and_never_a_denial(world: Gate, issuer: Issuer, token: str) -> None:
    issuer.silent = True
    for presented in (token, "a.b.c"):
        with pytest.raises(Unavailable):
            gate.authorize(presented, world, NOW)


def test_a_key_that_a_silent_issuer_may_know_is_an_error_too(
    world: Gate, issuer: Issuer, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    world.verifier.key_sets.current(NOW)
    issuer.silent = True
    unknown = mint.access_token(alice, session, keys["ES256"], NOW)
    for second in (30, 31, 59):  # asked once, and answered in none of them
        with pytest.raises(Unavailable):
            gate.authorize(unknown, world, NOW + second)
    assert issuer.asked == 2


def test_known_keys_serve_through_an_outage_of_an_hour(
    world: Gate, issuer: Issuer, mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, keyring.Key]
) -> None:
    world.verifier.key_sets.current(NOW)
    issuer.silent = True
    late = mint.access_token(alice, session, keys["EdDSA"], NOW + 3800)
    assert allowed(late, world, NOW + 3899)
    with pytest.raises(Unavailable):
        gate.authorize(late, world, NOW + 3900)
