import json
from collections.abc import Mapping

import pytest
from rolegate import discovery, keyring
from rolegate.errors import NotFound, Unavailable
from rolegate.keyring import Key, Ring

NOW = 1_800_000_000
ISSUER = "https://auth.example.com"


@pytest.fixture(scope="module")
def jwks(keys: Mapping[str, Key]) -> str:
    return keyring.jwks(Ring(keys["RS256"], keys["ES256"], (keys["RS256"],)))


def test_the_key_set_is_given_as_it_was_published(jwks: str) -> None:
    assert discovery.document("jwks.json", ISSUER, jwks) == jwks


def test_what_openid_connect_s_verifiers_are_told_is_true(jwks: str) -> None:
    """No endpoint is named that is not there yet."""
    assert json.loads(discovery.document("openid-configuration", ISSUER, jwks)) == {
        "issuer": "https://auth.example.com",
        "jwks_uri": "https://auth.example.com/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    }


def test_what_oauth_s_clients_are_told_is_true_and_speaks_of_no_id_token(jwks: str) -> None:
    """An absent `grant_types_supported` would mean two grants (RFC 8414, section 2), so it is there, and empty."""
    assert json.loads(discovery.document("oauth-authorization-server", ISSUER, jwks)) == {
        "issuer": "https://auth.example.com",
        "jwks_uri": "https://auth.example.com/.well-known/jwks.json",
        "response_types_supported": [],
        "grant_types_supported": [],
    }


@pytest.mark.parametrize("name", ["", "jwks", "JWKS.json", "../jwks.json", "openid-configuration/", "security.txt"])
def test_nothing_else_is_there(name: str, jwks: str) -> None:
    with pytest.raises(NotFound):
        discovery.document(name, ISSUER, jwks)


class Store:
    def __init__(self) -> None:
        self.document = "first"
        self.reads = 0

    def __call__(self) -> str:
        self.reads += 1
        if not self.document:
            raise Unavailable
        return self.document


def test_what_was_read_is_kept_for_30_seconds() -> None:
    store = Store()
    published = discovery.Published(store)
    assert published.at(NOW) == "first"
    store.document = "second"
    assert published.at(NOW + 29) == "first"
    assert store.reads == 1
    assert published.at(NOW + 30) == "second"


def test_a_clock_that_was_set_back_keeps_no_document_alive() -> None:
    store = Store()
    published = discovery.Published(store)
    published.at(NOW)
    store.document = "second"
    assert published.at(NOW - 10_000) == "second"


def test_a_withdrawn_key_is_gone_everywhere_within_7_minutes() -> None:
    longest_fresh_key_set = 300
    assert discovery.Published.KEPT + discovery.MAX_AGE + longest_fresh_key_set <= 7 * 60


def test_a_store_out_of_reach_is_told_and_asked_again_at_once() -> None:
    store = Store()
    published = discovery.Published(store)
    published.at(NOW)
    store.document = ""
    with pytest.raises(Unavailable):
        published.at(NOW + 30)
    store.document = "second"
    assert published.at(NOW + 30) == "second"
