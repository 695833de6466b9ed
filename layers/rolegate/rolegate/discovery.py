"""The documents that tell verifiers about an issuer (OpenID Connect Discovery 1.0; RFC 8414)."""

import json
from collections.abc import Callable

from rolegate.errors import NotFound

JWKS = "jwks.json"
ABOUT = ("openid-configuration", "oauth-authorization-server")
MAX_AGE = 60  # seconds that anybody may keep a document, so that a leaked key is soon gone everywhere


class Published:
    """The published key set, read again when what was read is 30 seconds old."""

    KEPT = 30  # seconds

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._jwks = ""
        self._read_again_at = 0

    def at(self, now: int) -> str:
        """Return the key set; raises what the reading raises."""
        if now >= self._read_again_at:
            self._jwks, self._read_again_at = self._read(), now + self.KEPT
        return self._jwks


def document(name: str, issuer: str, jwks: str) -> str:
    """Return the document of that name; raises `NotFound` for any other. It claims only what exists."""
    if name == JWKS:
        return jwks
    if name not in ABOUT:
        raise NotFound
    algorithms = sorted({key["alg"] for key in json.loads(jwks)["keys"]})
    about = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/{JWKS}",
        "response_types_supported": [],
        "grant_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    }
    return json.dumps(about)
