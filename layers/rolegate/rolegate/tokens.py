"""Issue both kinds of token: access tokens (RFC 9068) and refresh tokens."""

import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jwt

from rolegate import keyring, verify
from rolegate.errors import Misconfigured
from rolegate.model import Session, Tokens, User
from rolegate.roles import Roles


class Issuer(NamedTuple):
    """Who issues: `subject` says which of `username` and `user_id` is `sub`, `lifetime` is in seconds."""

    url: str
    subject: str
    lifetime: int
    roles: Roles

    def prepare(self, user: User, signing: keyring.Key) -> None:
        """Make sure, before a write that cannot be undone, that `issue` will not fail for want of a role or a key.

        Raises `Misconfigured`.
        """
        self.roles.level(user.role)
        try:
            _private(signing)
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Misconfigured(f"The signing key {signing.kid} cannot be read.") from None

    def issue(self, user: User, session: Session, signing: keyring.Key, sealing: keyring.Key, now: int) -> Tokens:
        """Return the session's live refresh token and a new access token, signed with `sealing` and `signing`."""
        return Tokens(
            access_token=self.access_token(user, session, signing, now),
            expires_in=self.lifetime,
            refresh_token=self.refresh_token(user.username, session, sealing),
            refresh_expires_in=session.live.expires_at - now,
            role=user.role,
        )

    def access_token(self, user: User, session: Session, key: keyring.Key, now: int) -> str:
        """Return a signed access token with the user's role of this moment.

        What belongs to the sign-in (`auth_time amr client_id aud`) comes from the session.
        """
        claims = {
            "iss": self.url,
            "aud": session.audience,
            "sub": user.user_id if self.subject == "user_id" else user.username,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_urlsafe(16),
            "client_id": session.client_id,
            "sid": session.session_id,
            "uid": user.user_id,
            "username": user.username,
            "role": user.role,
            "scope": self.roles.scope(user.role),
            "auth_time": session.auth_time,
            "amr": list(session.amr),
        }
        return _encode(claims, key, verify.ACCESS)

    def refresh_token(self, username: str, session: Session, key: keyring.Key) -> str:
        """Return the live refresh token of a session; the same session gives the same bytes: HS256 is deterministic."""
        claims = {
            "iss": self.url,
            "aud": self.url,
            "sub": username,
            "uid": session.user_id,
            "sid": session.session_id,
            "jti": session.live.id,
            "gen": session.live.generation,
            "iat": session.live.issued_at,
            "exp": session.live.expires_at,
            "auth_time": session.auth_time,
            "session_exp": session.expires_at,
        }
        return _encode(claims, key, verify.REFRESH)


def _encode(claims: Mapping[str, Any], key: keyring.Key, typ: str) -> str:
    return jwt.encode(dict(claims), _private(key), algorithm=key.alg, headers={"typ": typ, "kid": key.kid})


@lru_cache(maxsize=8)
def _private(key: keyring.Key) -> Any:  # noqa: ANN401 - what PyJWT takes
    if key.alg == keyring.HMAC:
        return keyring.secret_bytes(key)
    private = jwt.get_algorithm_by_name(key.alg).prepare_key(key.secret)
    if not hasattr(private, "sign"):  # PyJWT takes the public half as well
        raise TypeError
    return private
