import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from rolegate import keyring, verify
from rolegate.errors import Misconfigured
from rolegate.keyring import Key, Ring

NOW, DAY = 1_800_000_000, 86_400
PERIOD, STAY = 30 * DAY, 4500


def maker() -> Callable[[int], Key]:
    """Make keys named by their number."""
    numbers = itertools.count(1)
    return lambda now: Key(f"key {next(numbers)}", "HS256", now, "c2VjcmV0")


def names(ring: Ring) -> tuple[str, str, list[str]]:
    return ring.current.kid, ring.next.kid, [key.kid for key in ring.retired]


# --- the life of a key


def test_the_first_ring_has_a_key_to_sign_with_and_the_next_one() -> None:
    ring = keyring.kept(None, NOW, PERIOD, STAY, maker())
    assert names(ring) == ("key 1", "key 2", [])
    assert (ring.current.created_at, ring.next.created_at, ring.rotated_at, ring.sessions_not_before) == (
        NOW,
        NOW,
        NOW,
        0,
    )


def test_a_ring_is_left_alone_until_its_period_is_over() -> None:
    make = maker()
    ring = keyring.kept(None, NOW, PERIOD, STAY, make)
    for later in (0, 1, PERIOD - 1):
        assert keyring.kept(ring, NOW + later, PERIOD, STAY, make) == ring


def test_a_rotation_signs_with_the_key_that_was_published_as_next() -> None:
    make = maker()
    ring = keyring.kept(None, NOW, PERIOD, STAY, make)
    rotated = keyring.kept(ring, NOW + PERIOD, PERIOD, STAY, make)
    assert names(rotated) == ("key 2", "key 3", ["key 1"])
    assert rotated.current == ring.next
    assert rotated.retired == (ring.current._replace(retired_at=NOW + PERIOD),)
    assert rotated.rotated_at == NOW + PERIOD
    assert keyring.kept(rotated, NOW + PERIOD, PERIOD, STAY, make) == rotated  # a repetition changes nothing


def test_a_rotation_that_was_missed_for_long_is_made_up_for_once() -> None:
    make = maker()
    ring = keyring.kept(None, NOW, PERIOD, STAY, make)
    late = NOW + 5 * PERIOD + 7
    rotated = keyring.kept(ring, late, PERIOD, STAY, make)
    assert names(rotated) == ("key 2", "key 3", ["key 1"])
    assert keyring.kept(rotated, late + PERIOD - 1, PERIOD, STAY, make).rotated_at == late


def test_a_retired_key_stays_as_long_as_said_and_then_leaves() -> None:
    make = maker()
    ring = keyring.kept(keyring.kept(None, NOW, PERIOD, STAY, make), NOW + PERIOD, PERIOD, STAY, make)
    still = keyring.kept(ring, NOW + PERIOD + STAY - 1, PERIOD, STAY, make)
    assert keyring.find(still, "key 1") is not None
    gone = keyring.kept(ring, NOW + PERIOD + STAY, PERIOD, STAY, make)
    assert names(gone) == ("key 2", "key 3", [])
    assert keyring.find(gone, "key 1") is None


def test_several_retired_keys_stay_each_its_own_time() -> None:
    make, ring = maker(), None
    for day in range(4):
        ring = keyring.kept(ring, NOW + day * DAY, DAY, 2 * DAY, make)
    assert ring is not None
    assert names(ring) == ("key 4", "key 5", ["key 2", "key 3"])


def test_a_rotation_keeps_who_was_signed_out_signed_out() -> None:
    make = maker()
    ring = keyring.kept(None, NOW, PERIOD, STAY, make)._replace(sessions_not_before=NOW - 7)
    assert keyring.kept(ring, NOW + PERIOD, PERIOD, STAY, make).sessions_not_before == NOW - 7


@given(st.lists(st.integers(1, 3 * PERIOD), max_size=20))
def test_a_key_is_next_for_a_period_before_it_signs_and_verifies_for_its_stay_after(pauses: list[int]) -> None:
    make, now = maker(), NOW
    ring = keyring.kept(None, now, PERIOD, STAY, make)
    for pause in pauses:
        now, before = now + pause, ring
        ring = keyring.kept(before, now, PERIOD, STAY, make)
        assert ring.current in (before.current, before.next)
        if ring.current != before.current:
            assert now - before.rotated_at >= PERIOD
        for key in (before.current, before.next):
            assert keyring.find(ring, key.kid) is not None
        for key in before.retired:
            assert key.retired_at is not None
            assert (keyring.find(ring, key.kid) is not None) == (key.retired_at + STAY > now)


def test_what_was_signed_last_can_be_verified_to_its_end() -> None:
    assert keyring.RETIRED_SIGNING_KEY_STAYS >= 15 * 60 + 30 + 300  # the token, the leeway, a ring kept in memory
    assert keyring.RETIRED_REFRESH_KEY_STAYS >= 90 * DAY + 61 + 300


# --- keys


@pytest.mark.parametrize(
    ("alg", "kind"),
    [
        ("RS256", rsa.RSAPrivateKey),
        ("ES256", ec.EllipticCurvePrivateKey),
        ("EdDSA", ed25519.Ed25519PrivateKey),
    ],
)
def test_keys_are_of_the_kind_asked_for(alg: str, kind: type, keys: Mapping[str, Key]) -> None:
    key = keys[alg]
    private = load_pem_private_key(key.secret.encode(), None)
    assert isinstance(private, kind)
    assert (key.alg, key.created_at, key.retired_at) == (alg, NOW, None)
    if isinstance(private, rsa.RSAPrivateKey):
        assert (private.key_size, private.public_key().public_numbers().e) == (2048, 65537)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        assert private.curve.name == "secp256r1"


@pytest.mark.parametrize("alg", ["HS256", "ES256", "EdDSA"])
def test_no_key_is_made_twice(alg: str) -> None:
    made = [keyring.generate(alg, NOW) for _ in range(20)]
    assert len({key.kid for key in made}) == len({key.secret for key in made}) == 20


def test_an_hmac_key_has_32_bytes() -> None:
    """As many as its hash gives (RFC 7518, section 3.2)."""
    assert len(keyring.secret_bytes(keyring.generate("HS256", NOW))) == 32


@pytest.mark.parametrize(
    ("alg", "members"),
    [("RS256", {"n", "e"}), ("ES256", {"crv", "x", "y"}), ("EdDSA", {"crv", "x"})],
)
def test_a_public_key_has_its_public_members_and_no_others(
    alg: str, members: set[str], keys: Mapping[str, Key]
) -> None:
    jwk = keyring.public_jwk(keys[alg])
    assert jwk.keys() == {"kty", "use", "alg", "kid"} | members
    assert (jwk["use"], jwk["alg"], jwk["kid"]) == ("sig", alg, keys[alg].kid)
    assert jwk.get("e", "AQAB") == "AQAB"  # in as few bytes as it takes (RFC 7518, section 6.3.1.2)
    assert verify.public_key(jwk).alg == alg


def test_a_coordinate_keeps_its_leading_zeros() -> None:
    """Each has exactly 32 bytes (RFC 7518, section 6.2.1.2)."""
    derived = (ec.derive_private_key(secret, ec.SECP256R1()) for secret in itertools.count(1))
    private = next(key for key in derived if key.public_key().public_numbers().x.bit_length() <= 248)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    jwk = keyring.public_jwk(Key("k", "ES256", NOW, pem))
    assert base64.urlsafe_b64decode(jwk["x"] + "=")[0] == 0
    assert len(jwk["x"]) == len(jwk["y"]) == 43
    assert verify.public_key(jwk)


def test_the_key_of_rfc_8037_has_the_public_half_that_stands_there() -> None:
    secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    jwk = keyring.public_jwk(Key("k", "EdDSA", NOW, pem))
    assert jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return what RFC 7638, section 3 (and RFC 8037, section 2) says, by its letter."""
    members = ",".join(f'"{name}":"{jwk[name]}"' for name in MEMBERS[jwk["kty"]])
    return base64.urlsafe_b64encode(hashlib.sha256(f"{{{members}}}".encode()).digest()).decode().rstrip("=")


PUBLISHED = {
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": {  # RFC 7638, section 3.1
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
        "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnq"
        "DKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    },
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": {  # RFC 8037, A.3
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    },
}


def test_a_public_key_is_named_by_its_thumbprint(keys: Mapping[str, Key]) -> None:
    for published, jwk in PUBLISHED.items():
        assert thumbprint(jwk) == published  # so this page reads the RFCs rightly
    for alg in ("RS256", "ES256", "EdDSA"):
        assert keys[alg].kid == thumbprint(keyring.public_jwk(keys[alg]))


def test_the_key_set_publishes_every_key_that_may_have_signed_and_nothing_secret(keys: Mapping[str, Key]) -> None:
    retired = tuple(keyring.generate("ES256", NOW)._replace(retired_at=NOW) for _ in range(3))
    ring = Ring(keys["RS256"], keys["EdDSA"], retired, NOW)
    document = keyring.jwks(ring)
    assert json.loads(document) == {"keys": [keyring.public_jwk(key) for key in ring.keys]}
    assert [key["kid"] for key in json.loads(document)["keys"]] == [
        keys["RS256"].kid,
        keys["EdDSA"].kid,
        *(key.kid for key in retired),
    ]
    assert "PRIVATE" not in document
    assert '"d"' not in document


def test_a_parameter_of_4096_bytes_holds_a_ring_of_the_largest_keys(keys: Mapping[str, Key]) -> None:
    """In a daily rotation one retired key is left for some 75 minutes; five emergencies within the hour fit too."""
    key = keys["RS256"]
    assert len(keyring.jwks(Ring(key, key, (key,) * 5))) <= 4096


def test_a_key_is_found_wherever_it_is_in_the_ring(keys: Mapping[str, Key]) -> None:
    ring = Ring(keys["RS256"], keys["ES256"], (keys["EdDSA"],))
    assert [keyring.find(ring, key.kid) for key in ring.keys] == [keys["RS256"], keys["ES256"], keys["EdDSA"]]
    assert keyring.find(ring, "another") is None


# --- how a ring is kept

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SECONDS = st.integers(0, 2**40)
KEYS = st.builds(Key, TEXTS, TEXTS, SECONDS, TEXTS, st.none() | SECONDS)
RINGS = st.builds(Ring, KEYS, KEYS, st.lists(KEYS, max_size=3).map(tuple), SECONDS, SECONDS)


@given(RINGS)
def test_what_is_written_is_read_as_it_was(ring: Ring) -> None:
    assert keyring.load(keyring.dump(ring)) == ring


def test_a_new_stack_s_secret_holds_no_ring() -> None:
    assert keyring.load("{}") is None
    assert keyring.load(" { } ") is None


RING = Ring(Key("kid 1", "HS256", NOW, "hunter2"), Key("kid 2", "HS256", NOW, "hunter3"), (), NOW)
PLAIN = json.loads(keyring.dump(RING))
JUNK = {
    "nothing": "",
    "a text": "hunter2",
    "a JSON text": '"hunter2"',
    "a list": '["hunter2"]',
    "a number": "7",
    "null": "null",
    "a cut one": keyring.dump(RING)[:-1],
    "two": keyring.dump(RING) * 2,
    "another service's": '{"username": "hunter2", "password": "hunter2"}',
    "without a format": json.dumps({name: value for name, value in PLAIN.items() if name != "format"}),
    "of an unknown format": json.dumps({**PLAIN, "format": "hunter2"}),
    "without a current key": json.dumps({name: value for name, value in PLAIN.items() if name != "current"}),
    "without a next key": json.dumps({**PLAIN, "next": None}),
    "with half a key": json.dumps({**PLAIN, "current": {"kid": "kid 1", "secret": "hunter2"}}),
    "with more than a key": json.dumps({**PLAIN, "current": {**PLAIN["current"], "hunter2": "hunter2"}}),
    "with retired keys that are none": json.dumps({**PLAIN, "retired": ["hunter2"]}),
    "with no list of retired keys": json.dumps({**PLAIN, "retired": 7}),
    "with more than a ring": json.dumps({**PLAIN, "hunter2": "hunter2"}),
    "with a member twice": keyring.dump(RING)[:-1] + ',"rotated_at":7}',
    "with a lone surrogate": "hunter2\ud800",
}


@pytest.mark.parametrize("document", JUNK.values(), ids=JUNK)
def test_anything_else_is_a_mistake_that_is_told_without_a_word_of_the_content(document: str) -> None:
    with pytest.raises(Misconfigured) as error:
        keyring.load(document)
    assert str(error.value) in (
        "The secret does not hold a key ring.",
        "The key ring is not of format 1: a newer Rolegate wrote it.",
    )
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_ring_of_a_newer_rolegate_is_told_apart() -> None:
    with pytest.raises(Misconfigured, match="newer Rolegate"):
        keyring.load(json.dumps({**PLAIN, "format": 2, "more": "members"}))


@pytest.mark.parametrize("name", ["rotated_at", "sessions_not_before"])
@pytest.mark.parametrize("time", ["1800000000", None, 1.5, True])
def test_a_time_that_is_no_whole_number_is_no_ring(name: str, time: Any) -> None:
    key = keyring.generate("HS256", 1)
    document = json.loads(keyring.dump(Ring(key, key)))
    with pytest.raises(Misconfigured, match="does not hold a key ring"):
        keyring.load(json.dumps(document | {name: time}))


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
def test_a_ring_that_is_printed_tells_no_secret(alg: str) -> None:
    key = keyring.generate(alg, 1)
    ring = Ring(key, key, (key,))
    assert key.kid in repr(ring)
    assert not any(line in f"{ring!r} {key}" for line in key.secret.splitlines())
