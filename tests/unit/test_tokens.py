import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from rolegate import tokens
from rolegate.errors import Misconfigured
from rolegate.keyring import Key
from rolegate.model import RefreshToken, Session, User

NOW = 1_800_000_000
URL = "https://auth.example.com"


def said(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return header, claims


@pytest.fixture(scope="module")
def rotated(session: Session) -> Session:
    """Alice's session an hour later: everything in it differs from what `now` and the defaults would give."""
    live = RefreshToken("the live one", "the key it was signed with", 5, NOW + 3600, NOW + 3600 + 7 * 86_400)
    return session._replace(live=live, audience="reports", client_id="app", amr=("pwd", "otp"))


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_an_access_token_says_who_it_is_and_what_belongs_to_the_sign_in(
    alg: str, mint: tokens.Issuer, alice: User, rotated: Session, keys: Mapping[str, Key]
) -> None:
    header, claims = said(mint.access_token(alice, rotated, keys[alg], NOW + 4000))
    assert header == {"typ": "at+jwt", "alg": alg, "kid": keys[alg].kid}
    assert len(claims.pop("jti")) >= 22
    assert claims == {
        "iss": URL,
        "aud": "reports",
        "sub": "alice",
        "iat": NOW + 4000,
        "exp": NOW + 4000 + 900,
        "client_id": "app",
        "sid": rotated.session_id,
        "uid": alice.user_id,
        "username": "alice",
        "role": "manager",
        "scope": "user manager",
        "auth_time": NOW,
        "amr": ["pwd", "otp"],
    }


def test_the_subject_may_be_the_user_id(
    mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, Key]
) -> None:
    _, claims = said(mint._replace(subject="user_id").access_token(alice, session, keys["EdDSA"], NOW))
    assert claims["sub"] == claims["uid"] == alice.user_id
    assert claims["username"] == "alice"


@pytest.mark.parametrize("subject", ["username", "user_id"])
def test_a_refresh_token_says_where_its_session_is_kept(
    subject: str, mint: tokens.Issuer, rotated: Session, keys: Mapping[str, Key]
) -> None:
    header, claims = said(mint._replace(subject=subject).refresh_token("alice", rotated, keys["HS256"]))
    assert header == {"typ": "rt+jwt", "alg": "HS256", "kid": keys["HS256"].kid}
    assert claims == {
        "iss": URL,
        "aud": URL,
        "sub": "alice",
        "uid": rotated.user_id,
        "sid": rotated.session_id,
        "jti": "the live one",
        "gen": 5,
        "iat": NOW + 3600,
        "exp": NOW + 3600 + 7 * 86_400,
        "auth_time": NOW,
        "session_exp": NOW + 30 * 86_400,
    }


def test_the_same_session_gives_the_same_refresh_token_to_the_byte(
    mint: tokens.Issuer, rotated: Session, keys: Mapping[str, Key]
) -> None:
    again = Session(*json.loads(json.dumps(rotated)))._replace(live=RefreshToken(*rotated.live))
    token = mint.refresh_token("alice", rotated, keys["HS256"])
    assert mint.refresh_token("alice", again, Key(*keys["HS256"])) == token
    assert (
        mint.refresh_token("alice", rotated._replace(live=rotated.live._replace(generation=6)), keys["HS256"]) != token
    )


def test_no_access_token_is_issued_twice(
    mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, Key]
) -> None:
    issued = [said(mint.access_token(alice, session, keys["EdDSA"], NOW))[1]["jti"] for _ in range(20)]
    assert len(set(issued)) == 20


def test_both_tokens_are_issued_with_the_seconds_that_they_have_left(
    mint: tokens.Issuer, alice: User, rotated: Session, keys: Mapping[str, Key]
) -> None:
    now = rotated.live.issued_at + 25  # an answer that is given again
    issued = mint.issue(alice, rotated, keys["EdDSA"], keys["HS256"], now)
    assert issued.refresh_token == mint.refresh_token("alice", rotated, keys["HS256"])
    access = said(issued.access_token)[1]
    assert access["exp"] - access["iat"] == issued.expires_in == 900
    assert access["iat"] == now
    assert issued.refresh_expires_in == 7 * 86_400 - 25
    assert issued.role == "manager"


def test_a_role_that_is_not_in_the_hierarchy_gets_no_token(
    mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, Key]
) -> None:
    with pytest.raises(Misconfigured, match="no role 'root'"):
        mint.access_token(alice._replace(role="root"), session, keys["EdDSA"], NOW)


def test_nothing_of_a_user_s_password_gets_into_a_token(
    mint: tokens.Issuer, alice: User, session: Session, keys: Mapping[str, Key]
) -> None:
    user = alice._replace(password_hash="$2b$12$secret", session_epoch="the epoch")
    issued = mint.issue(user, session, keys["EdDSA"], keys["HS256"], NOW)
    for token in (issued.access_token, issued.refresh_token):
        assert "secret" not in str(said(token))
        assert "the epoch" not in str(said(token))
