"""The documents that tell verifiers about an issuer (OpenID Connect Discovery 1.0; RFC 8414)."""

import json
from collections.abc import Callable

from rolegate.errors import NotFound

JWKS, OPENID, OAUTH = "jwks.json", "openid-configuration", "oauth-authorization-server"
MAX_AGE = 60  # seconds that anybody may keep a document, so that a leaked key is soon gone everywhere


class Published:
    """The published key set, read again when what was read is 30 seconds old."""

    KEPT = 30  # seconds

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._jwks = ""
        self._read_at = 0

    def at(self, now: int) -> str:
        """Return the key set; raises what the reading raises."""
        if not 0 <= now - self._read_at < self.KEPT:  # below 0 the clock was set back, and no age is known
            self._jwks, self._read_at = self._read(), now
        return self._jwks


def document(name: str, issuer: str, jwks: str) -> str:
    """Return the document of that name; raises `NotFound` for any other. It claims only what exists."""
    if name == JWKS:
        return jwks
    if name not in (OPENID, OAUTH):
        raise NotFound
    about: dict[str, str | list[str]] = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/{JWKS}",
        # Empty, and said all the same: RFC 8414, section 2, requires the one (erratum 7793 doubts that it should), and
        # without the other its default would stand: two grants that are not there.
        "response_types_supported": [],
        "grant_types_supported": [],
    }
    if name == OPENID:  # Discovery 1.0, section 3, requires these; libraries take the algorithms for every token's
        about["subject_types_supported"] = ["public"]
        about["id_token_signing_alg_values_supported"] = sorted({key["alg"] for key in json.loads(jwks)["keys"]})
    return json.dumps(about)
