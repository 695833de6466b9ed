import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
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
from rolegate.keyring import Key, Ring, Rule

NOW, DAY = 1_800_000_000, 86_400
PERIOD, LIFETIME = 30 * DAY, 900
HOUR = 3600


def rule(alg: str = "HS256", period: int = PERIOD, lifetime: int = LIFETIME) -> Rule:
    """Make keys named by their number."""
    numbers = itertools.count(1)
    return Rule(alg, period, lifetime, lambda alg, now: Key(f"key {next(numbers)}", alg, now, "c2VjcmV0" * 6))


def names(ring: Ring) -> tuple[str, str, list[str]]:
    return ring.current.kid, ring.next.kid, [key.kid for key in ring.retired]


# --- the life of a key


def test_the_first_ring_has_a_key_to_sign_with_and_the_next_one() -> None:
    ring = keyring.kept(None, rule(), NOW)
    assert names(ring) == ("key 1", "key 2", [])
    assert (ring.current.created_at, ring.next.created_at, ring.rotated_at, ring.sessions_not_before) == (
        NOW,
        NOW,
        NOW,
        0,
    )


def test_a_ring_is_left_alone_until_its_period_is_over() -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)
    for later in (0, 1, PERIOD - 1):
        assert keyring.kept(ring, by, NOW + later) == ring


def test_a_rotation_signs_with_the_key_that_was_published_as_next() -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)
    rotated = keyring.kept(ring, by, NOW + PERIOD)
    assert names(rotated) == ("key 2", "key 3", ["key 1"])
    assert rotated.current == ring.next._replace(lifetime=LIFETIME)
    assert rotated.retired == (ring.current._replace(retired_at=NOW + PERIOD),)
    assert rotated.rotated_at == NOW + PERIOD
    assert keyring.kept(rotated, by, NOW + PERIOD) == rotated  # a repetition changes nothing


def test_a_rotation_that_was_missed_for_long_is_made_up_for_once() -> None:
    by = rule()
    late = NOW + 5 * PERIOD + 7
    rotated = keyring.kept(keyring.kept(None, by, NOW), by, late)
    assert names(rotated) == ("key 2", "key 3", ["key 1"])
    assert keyring.kept(rotated, by, late + PERIOD - 1).rotated_at == late


@pytest.mark.parametrize("lifetime", [300, 900, 7 * DAY, 90 * DAY])
def test_a_retired_key_leaves_when_the_last_token_that_it_can_have_signed_has_expired(lifetime: int) -> None:
    """Signed by a function with an old ring, 65 minutes later; expired with every leeway, 2 minutes after its end."""
    by = rule(period=400 * DAY, lifetime=lifetime)
    ring = keyring.kept(keyring.kept(None, by, NOW), by, NOW + 400 * DAY)
    leaves_at = NOW + 400 * DAY + 65 * 60 + lifetime + 120
    assert [key.leaves_at for key in ring.retired] == [leaves_at]
    assert keyring.find(keyring.kept(ring, by, leaves_at - 1), "key 1") is not None
    gone = keyring.kept(ring, by, leaves_at)
    assert names(gone) == ("key 2", "key 3", [])
    assert keyring.find(gone, "key 1") is None


def test_several_retired_keys_stay_each_its_own_time() -> None:
    by, ring = rule(period=DAY, lifetime=2 * DAY - 65 * 60 - 120), None
    for day in range(4):
        ring = keyring.kept(ring, by, NOW + day * DAY)
    assert ring is not None
    assert names(ring) == ("key 4", "key 5", ["key 2", "key 3"])


def test_a_key_outlives_the_longest_lived_token_that_it_signed_whatever_the_lifetime_is_now() -> None:
    long, short = rule(lifetime=90 * DAY), rule(lifetime=7 * DAY)
    ring = keyring.kept(keyring.kept(keyring.kept(None, short, NOW), long, NOW + 1), short, NOW + 2)
    assert (ring.current.lifetime, ring.next.lifetime) == (90 * DAY, 90 * DAY)
    ring = keyring.kept(ring, short, NOW + PERIOD)
    assert [key.lifetime for key in ring.keys] == [90 * DAY, 7 * DAY, 90 * DAY]
    ring = keyring.kept(ring, short, NOW + 2 * PERIOD)  # a period later the longer life of then is over
    assert [key.lifetime for key in ring.keys][:2] == [7 * DAY, 7 * DAY]


@pytest.mark.parametrize(("after", "noted"), [(0, 90), (65 * 60 - 1, 90), (65 * 60, 7)])
def test_a_longer_life_is_noted_on_a_retired_key_while_an_old_ring_may_still_sign_with_it(
    after: int, noted: int
) -> None:
    short = rule(lifetime=7 * DAY)
    ring = keyring.kept(keyring.kept(None, short, NOW), short, NOW + PERIOD)
    ring = keyring.kept(ring, rule(lifetime=90 * DAY), NOW + PERIOD + after)
    assert [key.lifetime for key in ring.keys] == [90 * DAY, 90 * DAY, noted * DAY]


def test_a_rotation_keeps_who_was_signed_out_signed_out() -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)._replace(sessions_not_before=NOW - 7)
    assert keyring.kept(ring, by, NOW + PERIOD).sessions_not_before == NOW - 7


@given(st.lists(st.tuples(st.integers(1, 3 * PERIOD), st.booleans()), max_size=20))
def test_a_key_is_next_until_it_is_known_before_it_signs_and_verifies_to_its_end_after(
    runs: list[tuple[int, bool]],
) -> None:
    by, now = rule(), NOW
    ring = keyring.kept(None, by, now)
    for pause, early in runs:
        now, before = now + pause, ring
        ring = keyring.kept(before, by, now, early=early)
        assert ring.current.kid in (before.current.kid, before.next.kid)
        if ring.current.kid != before.current.kid:
            assert early or now - before.rotated_at >= PERIOD
            assert (
                now - before.next.created_at >= 2 * HOUR or before.current.created_at == before.next.created_at == NOW
            )
        for key in (before.current, before.next):
            assert keyring.find(ring, key.kid) is not None
        for key in before.retired:
            assert (keyring.find(ring, key.kid) is not None) == (now < key.leaves_at)


# --- a rotation before its time


def test_whoever_knows_the_first_key_knows_the_next_so_a_new_ring_may_rotate_at_once() -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)
    assert keyring.kept(ring, by, NOW, early=True) == ring  # one step a second, or the order of keys could not be told
    assert names(keyring.kept(ring, by, NOW + 1, early=True)) == ("key 2", "key 3", ["key 1"])


@pytest.mark.parametrize(("after", "rotates"), [(0, False), (1, False), (2 * HOUR - 1, False), (2 * HOUR, True)])
def test_the_next_key_signs_only_when_every_verifier_can_know_it(after: int, *, rotates: bool) -> None:
    by = rule()
    ring = keyring.kept(keyring.kept(None, by, NOW - 1), by, NOW, early=True)
    assert (names(keyring.kept(ring, by, NOW + after, early=True))[0] == "key 3") is rotates


@pytest.mark.parametrize("early", [True, False])
def test_a_key_that_was_not_published_does_not_sign(*, early: bool) -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)
    late = keyring.kept(ring, by, NOW + PERIOD, '{"keys":["key 1"]}', early=early)
    assert names(late) == names(ring)
    assert late.next.created_at == NOW + PERIOD  # from now on it is published, and from then on known
    published = '["key 1", "key 2"]'
    assert keyring.kept(late, by, NOW + PERIOD + 2 * HOUR - 1, published, early=early) == late
    assert names(keyring.kept(late, by, NOW + PERIOD + 2 * HOUR, published, early=early))[0] == "key 2"
    assert names(keyring.kept(ring, by, NOW + PERIOD, published, early=early))[0] == "key 2"


# --- another algorithm


def test_a_changed_algorithm_replaces_the_next_key_at_once_and_signs_when_its_turn_comes() -> None:
    ring = keyring.kept(None, rule("RS256"), NOW)
    by = rule("ES256")
    changed = keyring.kept(ring, by, NOW + DAY)
    assert [key.alg for key in changed.keys] == ["RS256", "ES256"]
    assert (changed.current, changed.rotated_at) == (ring.current, NOW)
    assert keyring.kept(changed, by, NOW + PERIOD - 1) == changed
    rotated = keyring.kept(changed, by, NOW + PERIOD)
    assert [key.alg for key in rotated.keys] == ["ES256", "ES256", "RS256"]


def test_a_key_of_a_new_algorithm_is_made_known_first_though_the_rotation_is_due() -> None:
    ring, by = keyring.kept(None, rule("RS256"), NOW), rule("ES256")
    changed = keyring.kept(ring, by, NOW + PERIOD)
    assert changed.current == ring.current
    assert keyring.kept(changed, by, NOW + PERIOD + 2 * HOUR - 1) == changed
    assert keyring.kept(changed, by, NOW + PERIOD + 2 * HOUR).current.alg == "ES256"


# --- a leak


def test_leaked_keys_are_replaced_by_one_that_is_published_first_and_then_none_of_them_is_left() -> None:
    by = rule()
    ring = keyring.kept(keyring.kept(None, by, NOW), by, NOW + PERIOD)
    leaked = {key.kid for key in ring.keys}
    marked = keyring.compromised(ring, by, NOW + PERIOD + 60)
    assert marked.is_compromised
    assert marked.current == ring.current
    assert marked.next.kid not in leaked
    assert marked.retired == ()
    assert names(keyring.kept(marked, by, NOW + PERIOD + 60, "not that key")) == names(marked)
    ring = keyring.kept(marked, by, NOW + PERIOD + 60, f"with {marked.next.kid}")
    assert ring.current.kid == marked.next.kid
    assert not leaked & {key.kid for key in ring.keys}
    assert (ring.rotated_at, ring.is_compromised) == (NOW + PERIOD + 60, False)


@pytest.mark.parametrize("later", [-30, 0, 1, PERIOD])
def test_the_next_run_ends_what_a_compromise_began(later: int) -> None:
    by = rule()
    marked = keyring.compromised(keyring.kept(None, by, NOW), by, NOW)
    ring = keyring.kept(marked, by, NOW + later)
    assert names(ring) == ("key 3", "key 4", [])
    assert not ring.is_compromised


def test_a_compromise_that_is_told_again_before_it_is_over_drops_the_key_that_waited_too() -> None:
    """Whoever reads the secret still, has read that key."""
    by = rule()
    marked = keyring.compromised(keyring.kept(None, by, NOW), by, NOW)
    again = keyring.compromised(marked, by, NOW + 1)
    assert again.next.kid not in {key.kid for key in marked.keys}
    assert marked.next.kid not in {key.kid for key in keyring.kept(again, by, NOW + 1).keys}


def test_after_a_leak_the_next_key_is_made_known_as_after_any_rotation() -> None:
    """Its predecessor was published a moment earlier, so some verifiers may know that one alone."""
    by = rule()
    ring = keyring.kept(keyring.compromised(keyring.kept(None, by, NOW), by, NOW), by, NOW)
    assert keyring.kept(ring, by, NOW + 2 * HOUR - 1, early=True) == ring
    assert names(keyring.kept(ring, by, NOW + 2 * HOUR, early=True))[0] == ring.next.kid


def test_after_a_leak_keys_are_of_the_algorithm_of_the_day() -> None:
    ring = keyring.kept(None, rule("RS256"), NOW)
    by = rule("EdDSA")
    assert {key.alg for key in keyring.kept(keyring.compromised(ring, by, NOW), by, NOW).keys} == {"EdDSA"}


def test_a_ring_that_does_not_exist_has_nothing_to_leak_and_is_made() -> None:
    assert names(keyring.compromised(None, rule(), NOW)) == ("key 1", "key 2", [])


def test_a_compromise_leaves_who_was_signed_out_signed_out() -> None:
    by = rule()
    ring = keyring.kept(None, by, NOW)._replace(sessions_not_before=7)
    assert keyring.kept(keyring.compromised(ring, by, NOW), by, NOW).sessions_not_before == 7


# --- what an operator is told


def test_an_operator_is_told_what_each_key_is_and_when_that_changes_and_nothing_secret() -> None:
    by = rule()
    ring = keyring.kept(keyring.kept(None, by, NOW), by, NOW + PERIOD)
    due = NOW + 2 * PERIOD
    assert keyring.described(ring, by) == [
        {"state": "current", "kid": "key 2", "alg": "HS256", "created_at": NOW, "changes_at": due},
        {"state": "next", "kid": "key 3", "alg": "HS256", "created_at": NOW + PERIOD, "changes_at": due},
        {
            "state": "retired",
            "kid": "key 1",
            "alg": "HS256",
            "created_at": NOW,
            "changes_at": NOW + PERIOD + 65 * 60 + LIFETIME + 120,
        },
    ]


def test_an_operator_is_told_that_a_key_leaked_until_it_is_thrown_away() -> None:
    by = rule()
    told = keyring.described(keyring.compromised(keyring.kept(None, by, NOW), by, NOW + 7), by)
    assert [(key["state"], key["changes_at"]) for key in told] == [("leaked", NOW + 7), ("next", NOW + 7)]


def test_a_next_key_that_is_not_known_yet_delays_the_change() -> None:
    by = rule("ES256")
    ring = keyring.kept(keyring.kept(None, rule("RS256"), NOW), by, NOW + PERIOD - 60)
    assert {key["changes_at"] for key in keyring.described(ring, by)} == {NOW + PERIOD - 60 + 2 * HOUR}


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
    """A retired key is left for some 80 minutes, and no two rotations are closer than two hours."""
    key = keys["RS256"]
    assert len(keyring.jwks(Ring(key, key, (key,) * 5))) <= 4096


def test_a_key_set_that_the_parameter_cannot_hold_is_refused_with_its_size(keys: Mapping[str, Key]) -> None:
    key = keys["RS256"]
    with pytest.raises(Misconfigured) as refusal:
        keyring.jwks(Ring(key, key, (key,) * 9))
    assert str(refusal.value) == (
        "The 11 public keys take 4982 bytes, and their parameter holds 4096. Nothing was changed. "
        "Try again when a retired key has left."
    )


def test_a_key_is_found_wherever_it_is_in_the_ring(keys: Mapping[str, Key]) -> None:
    ring = Ring(keys["RS256"], keys["ES256"], (keys["EdDSA"],))
    assert [keyring.find(ring, key.kid) for key in ring.keys] == [keys["RS256"], keys["ES256"], keys["EdDSA"]]
    assert keyring.find(ring, "another") is None


# --- how a ring is kept

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SECONDS = st.integers(0, 2**40)
SECRETS = st.binary(min_size=32, max_size=64).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def keys(alg: str) -> st.SearchStrategy[Key]:
    secrets = SECRETS if alg == keyring.HMAC else TEXTS
    return st.builds(Key, TEXTS, st.just(alg), SECONDS, secrets, st.none() | SECONDS, SECONDS)


KEYS = st.sampled_from(keyring.ALGORITHMS).flatmap(keys)
RINGS = st.builds(Ring, KEYS, KEYS, st.lists(KEYS, max_size=3).map(tuple), SECONDS, SECONDS, SECONDS)


@given(RINGS)
def test_what_is_written_is_read_as_it_was(ring: Ring) -> None:
    assert keyring.load(keyring.dump(ring)) == ring


def test_a_new_stack_s_secret_holds_no_ring() -> None:
    assert keyring.load("{}") is None
    assert keyring.load(" { } ") is None


RING = Ring(Key("kid 1", "HS256", NOW, "hunter2-" * 6), Key("kid 2", "HS256", NOW, "hunter3-" * 6), (), NOW)
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


def test_a_ring_of_before_lifetimes_were_noted_loses_nothing_that_was_signed() -> None:
    by = rule(lifetime=7 * DAY)
    ring = keyring.kept(keyring.kept(None, by, NOW), by, NOW + PERIOD)
    old = json.loads(keyring.dump(ring))
    del old["compromised_at"]
    for key in (old["current"], old["next"], *old["retired"]):
        del key["lifetime"]
    read = keyring.load(json.dumps(old))
    assert read is not None
    later = keyring.kept(read, by, NOW + PERIOD + 90 * DAY)
    assert keyring.find(later, ring.retired[0].kid) is not None
    assert read.compromised_at == 0


@pytest.mark.parametrize("secret", ["", "A", "nonsense", "c2VjcmV0" * 5])
@pytest.mark.parametrize("place", ["current", "next"])
def test_a_refresh_key_that_is_spoilt_or_too_short_is_no_ring(secret: str, place: str) -> None:
    plain = json.loads(keyring.dump(RING))
    plain[place]["secret"] = secret
    with pytest.raises(Misconfigured, match="does not hold a key ring"):
        keyring.load(json.dumps(plain))


@pytest.mark.parametrize("name", ["rotated_at", "sessions_not_before", "compromised_at"])
@pytest.mark.parametrize("time", ["1800000000", None, 1.5, True])
def test_a_time_that_is_no_whole_number_is_no_ring(name: str, time: Any) -> None:
    key = keyring.generate("HS256", 1)
    document = json.loads(keyring.dump(Ring(key, key)))
    with pytest.raises(Misconfigured, match="does not hold a key ring"):
        keyring.load(json.dumps(document | {name: time}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kid": 7},
        {"alg": "none"},
        {"alg": ["HS256"]},
        {"secret": None},
        {"created_at": "1800000000"},
        {"lifetime": 1.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["current", "next"])
def test_a_key_that_makes_no_sense_is_no_key(place: str, wrong: Mapping[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="does not hold a key ring"):
        keyring.load(json.dumps({**PLAIN, place: {**PLAIN[place], **wrong}}))


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
def test_a_ring_that_is_printed_tells_no_secret(alg: str) -> None:
    key = keyring.generate(alg, 1)
    ring = Ring(key, key, (key,))
    assert key.kid in repr(ring)
    assert not any(line in f"{ring!r} {key}" for line in key.secret.splitlines())
