import base64
import hmac
import json
import string
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st
from rolegate import keyring, verify
from rolegate.model import Presented, RefreshToken, Session, User
from rolegate.tokens import Issuer

NOW = 1_800_000_000
ISSUER = "https://auth.example.com"
SECRET = b"thirty-two bytes that nobody has"
PRIVATE = ed25519.Ed25519PrivateKey.generate()
ALPHABET = string.ascii_letters + string.digits + "-_"

Json = Mapping[str, Any] | bytes


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(json_: Json) -> str:
    return base64url(json_ if isinstance(json_, bytes) else json.dumps(json_).encode())


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(secret, message, "sha256")


def compact(head: str, body: str, sign: Callable[[bytes], bytes]) -> str:
    return f"{head}.{body}.{base64url(sign(f'{head}.{body}'.encode()))}"


class Door(NamedTuple):
    """One kind of token: what a good one holds, and the one way in."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    sign: Callable[[bytes], bytes]
    enter: Callable[[str], object]

    def token(self, *, header: Json | None = None, claims: Json | None = None) -> str:
        """Sign whatever it is told to, as only the issuer can."""
        return compact(
            part(self.header if header is None else header), part(self.claims if claims is None else claims), self.sign
        )

    def having(self, **claims: object) -> str:
        return self.token(claims={**self.claims, **claims})

    def lacking(self, claim: str) -> str:
        return self.token(claims={name: value for name, value in self.claims.items() if name != claim})

    def headed(self, **members: object) -> str:
        return self.token(header={**self.header, **members})


KEYS = {
    "ed": verify.public_key({"kty": "OKP", "crv": "Ed25519", "x": base64url(PRIVATE.public_key().public_bytes_raw())}),
    "hs": verify.hmac_key(SECRET),
}


def enter_with_access_token(token: str, now: int = NOW, leeway: int = 0) -> Mapping[str, Any]:
    return verify.access_token(token, KEYS, ISSUER, "rolegate", leeway, now)


def enter_with_refresh_token(token: str) -> Presented:
    return verify.refresh_token(token, KEYS, ISSUER)


EVERYBODYS = {"iss": ISSUER, "sub": "alice", "sid": "s1", "uid": "u1", "jti": "j1", "iat": NOW, "exp": NOW + 900}
ACCESS = Door(
    {"typ": "at+jwt", "alg": "EdDSA", "kid": "ed"},
    {**EVERYBODYS, "aud": "rolegate", "username": "alice", "role": "user", "scope": "user"},
    PRIVATE.sign,
    enter_with_access_token,
)
REFRESH = Door(
    {"typ": "rt+jwt", "alg": "HS256", "kid": "hs"},
    {**EVERYBODYS, "aud": ISSUER, "gen": 3, "auth_time": NOW - 60, "session_exp": NOW + 9000},
    hs256(SECRET),
    enter_with_refresh_token,
)


@pytest.fixture(params=[ACCESS, REFRESH], ids=["access", "refresh"])
def door(request: pytest.FixtureRequest) -> Door:
    made: Door = request.param
    return made


def assert_refused(door: Door, token: str) -> None:
    """Refused for good: neither as expired, nor as signed with a key that a newer set might have."""
    with pytest.raises(verify.Refused) as refusal:
        door.enter(token)
    assert refusal.type is verify.Refused


# --- what is right passes, here and at PyJWT


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_our_access_tokens_are_as_valid_to_pyjwt_as_to_us(
    alg: str, keys: Mapping[str, keyring.Key], mint: Issuer, alice: User, session: Session
) -> None:
    now, jwk = int(time.time()), keyring.public_jwk(keys[alg])
    token = mint.access_token(alice, session, keys[alg], now)

    ours = verify.access_token(token, {jwk["kid"]: verify.public_key(jwk)}, mint.url, "rolegate", 0, now)

    theirs = jwt.decode(
        token,
        jwt.PyJWK(dict(jwk)),
        algorithms=[alg],
        audience="rolegate",
        issuer=mint.url,
        options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"]},
    )
    assert ours == theirs


def test_our_refresh_tokens_are_as_valid_to_pyjwt_as_to_us(
    keys: Mapping[str, keyring.Key], mint: Issuer, session: Session
) -> None:
    now, key = int(time.time()), keys["HS256"]
    live = RefreshToken("the token", key.kid, 4, now, now + 60)
    token = mint.refresh_token("alice", session._replace(live=live), key)

    ours = verify.refresh_token(token, {key.kid: verify.hmac_key(keyring.secret_bytes(key))}, mint.url)

    theirs = jwt.decode(token, keyring.secret_bytes(key), algorithms=["HS256"], audience=mint.url, issuer=mint.url)
    assert theirs["jti"] == "the token"
    assert ours == Presented(live, "alice", session.user_id, session.session_id, session.auth_time, session.expires_at)


ODD = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
CLAIM_VALUES = {
    "iss": st.just(ISSUER) | ODD,
    "aud": st.just("rolegate") | st.lists(st.sampled_from(["rolegate", "other", 7]), max_size=3) | ODD,
    "sub": st.just("alice") | ODD,
    "jti": st.just("j1") | ODD,
    "exp": st.sampled_from([-3600, 3600]) | ODD,
    "iat": st.sampled_from([-3600, 3600]) | ODD,
    "nbf": st.sampled_from([-3600, 3600]) | ODD,
}


@given(st.fixed_dictionaries({}, optional=CLAIM_VALUES))
def test_whatever_we_accept_pyjwt_accepts(drawn: dict[str, Any]) -> None:
    clock = int(time.time())  # PyJWT has no other
    drawn |= {name: clock + drawn[name] for name in ("exp", "iat", "nbf") if type(drawn.get(name)) is int}
    token = ACCESS.token(claims={**ACCESS.claims, "iat": clock, "exp": clock + 3600, **drawn})
    try:
        ours = enter_with_access_token(token, now=clock)
    except verify.Refused:
        return
    assert ours == jwt.decode(token, PRIVATE.public_key(), algorithms=["EdDSA"], audience="rolegate", issuer=ISSUER)


def test_a_good_token_enters(door: Door) -> None:
    assert door.enter(door.token())


def test_a_claim_that_we_do_not_know_is_passed_over(door: Door) -> None:
    assert door.enter(door.having(cnf={"x5t#S256": "..."}, email="alice@example.com"))


# --- time


@pytest.mark.parametrize("leeway", [0, 30])
def test_an_access_token_ends_at_its_exp_and_the_leeway(leeway: int) -> None:
    token, end = ACCESS.token(), NOW + 900 + leeway
    assert enter_with_access_token(token, now=end - 1, leeway=leeway)
    with pytest.raises(verify.Expired):
        enter_with_access_token(token, now=end, leeway=leeway)


def test_an_expired_refresh_token_is_left_to_the_use_case() -> None:
    assert enter_with_refresh_token(REFRESH.having(exp=NOW - 10**6)).token.expires_at == NOW - 10**6


def test_a_refresh_token_from_the_future_is_left_to_the_use_case() -> None:
    for claim in ("iat", "nbf"):
        assert enter_with_refresh_token(REFRESH.having(**{claim: NOW + 10**6})).token.issued_at == NOW + 10**6


@pytest.mark.parametrize("wrong", [{"aud": "other"}, {"iss": "https://evil.example.com"}, {"username": 7}])
def test_only_a_token_that_is_ours_in_every_other_respect_is_called_expired(wrong: dict[str, Any]) -> None:
    assert_refused(ACCESS, ACCESS.having(exp=NOW - 1, **wrong))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_two_hosts_clocks_may_differ_by_30_seconds_and_no_more(claim: str) -> None:
    assert ACCESS.enter(ACCESS.having(**{claim: NOW + 30}))
    assert_refused(ACCESS, ACCESS.having(**{claim: NOW + 31}))


def test_a_token_without_nbf_or_with_one_in_the_past_is_valid(door: Door) -> None:
    assert door.enter(door.having(nbf=NOW - 31))


NO_DATE = {
    "string": str(NOW),
    "float": float(NOW),
    "fraction": NOW + 0.5,
    "far too large": 10**50,
    "after the year 9999": 253_402_300_800,
    "list": [NOW],
    "object": {"at": NOW},
    "true": True,
    "zero": 0,
    "negative": -NOW,
    "null": None,
}


@pytest.mark.parametrize("value", NO_DATE.values(), ids=NO_DATE)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_date_that_is_no_plain_number_of_seconds_is_refused(door: Door, claim: str, value: object) -> None:
    assert_refused(door, door.having(**{claim: value}))


@pytest.mark.parametrize("value", NO_DATE.values(), ids=NO_DATE)
@pytest.mark.parametrize("claim", ["auth_time", "session_exp"])
def test_a_session_s_dates_are_plain_numbers_of_seconds_too(claim: str, value: object) -> None:
    assert_refused(REFRESH, REFRESH.having(**{claim: value}))


@pytest.mark.parametrize("value", [-1, 1.0, "1", True, None, [1], 10**50], ids=str)
def test_a_generation_is_a_whole_number(value: object) -> None:
    assert_refused(REFRESH, REFRESH.having(gen=value))


def test_the_first_generation_is_0() -> None:
    assert enter_with_refresh_token(REFRESH.having(gen=0)).token.generation == 0


# --- claims


@pytest.mark.parametrize("claim", sorted(ACCESS.claims))
def test_an_access_token_lacks_no_claim(claim: str) -> None:
    assert_refused(ACCESS, ACCESS.lacking(claim))


@pytest.mark.parametrize("claim", sorted(REFRESH.claims))
def test_a_refresh_token_lacks_no_claim(claim: str) -> None:
    assert_refused(REFRESH, REFRESH.lacking(claim))


@pytest.mark.parametrize("value", ["", None, 7, True, ["alice"], {"a": "b"}], ids=repr)
@pytest.mark.parametrize(
    ("door", "claim"),
    [
        *((ACCESS, claim) for claim in ("iss", "sub", "jti", "username", "role", "scope", "sid", "uid")),
        *((REFRESH, claim) for claim in ("iss", "sub", "jti", "sid", "uid")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.header["typ"],
)
def test_a_name_is_a_text_with_something_in_it(door: Door, claim: str, value: object) -> None:
    assert_refused(door, door.having(**{claim: value}))


@pytest.mark.parametrize("other", ["https://evil.example.com", ISSUER + "/", ISSUER.upper(), ISSUER[:-1], [ISSUER]])
def test_another_issuer_is_refused(door: Door, other: object) -> None:
    assert_refused(door, door.having(iss=other))


@pytest.mark.parametrize("form", ["{}2", "x{}", "{} ", "other"])
def test_another_audience_is_refused(door: Door, form: str) -> None:
    other = form.format(door.claims["aud"])
    assert_refused(door, door.having(aud=other))
    assert_refused(door, door.having(aud=[other]))


def test_a_part_of_an_audience_s_name_is_another_audience(door: Door) -> None:
    assert_refused(door, door.having(aud=door.claims["aud"][:-1]))


def test_an_audience_among_others_is_enough(door: Door) -> None:
    assert door.enter(door.having(aud=["other", door.claims["aud"]]))


@pytest.mark.parametrize("value", [None, "", 7, True, {}, []], ids=repr)
def test_an_audience_is_a_text_or_a_list_of_them(door: Door, value: object) -> None:
    assert_refused(door, door.having(aud=value))


def test_a_list_of_audiences_holds_nothing_but_texts(door: Door) -> None:
    assert_refused(door, door.having(aud=[door.claims["aud"], 7]))


def test_an_object_with_the_audience_as_a_member_is_no_audience(door: Door) -> None:
    assert_refused(door, door.having(aud={door.claims["aud"]: True}))


# --- which kind of token it is


@pytest.mark.parametrize(("door", "other"), [(ACCESS, REFRESH), (REFRESH, ACCESS)], ids=["access", "refresh"])
def test_one_kind_of_token_is_never_taken_for_the_other(door: Door, other: Door) -> None:
    assert_refused(door, other.token())
    everything = {**other.claims, **door.claims}
    assert_refused(door, other.token(claims=everything))  # though it says all that is asked, and its key is known
    assert_refused(door, door.token(header={**door.header, "typ": other.header["typ"]}, claims=everything))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "", None, 7, ["at+jwt"], "application/at+jwt", "AT+JWT", "at+jwt "])
def test_another_typ_is_refused(door: Door, typ: object) -> None:
    assert_refused(door, door.headed(typ=typ))


@pytest.mark.parametrize("member", ["typ", "alg", "kid"])
def test_a_header_lacks_no_member(door: Door, member: str) -> None:
    assert_refused(door, door.token(header={name: value for name, value in door.header.items() if name != member}))


# --- which key, which algorithm


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_without_a_signature_is_refused(door: Door, alg: str, signature: str) -> None:
    header = {**door.header, "alg": alg}
    assert_refused(door, f"{part(header)}.{part(door.claims)}.{signature}")
    assert_refused(door, door.token(header=header))


@pytest.mark.parametrize("alg", ["RS256", "ES256", "HS256", "EdDSA", "Ed25519", "HS512", 7, None, ["EdDSA"]], ids=str)
def test_the_algorithm_is_the_key_s_and_never_the_header_s_word(door: Door, alg: object) -> None:
    if alg != door.header["alg"]:
        assert_refused(door, door.headed(alg=alg))


def test_a_public_key_is_no_secret_to_sign_with(keys: Mapping[str, keyring.Key]) -> None:
    jwk = keyring.public_jwk(keys["RS256"])
    public = load_pem_private_key(keys["RS256"].secret.encode(), None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), der, json.dumps(jwk).encode(), b""):
        header = {"typ": "at+jwt", "alg": "HS256", "kid": jwk["kid"]}
        forged = compact(part(header), part(ACCESS.claims), hs256(secret))
        with pytest.raises(verify.Refused):
            verify.access_token(forged, {jwk["kid"]: verify.public_key(jwk)}, ISSUER, "rolegate", 0, NOW)


@pytest.mark.parametrize("kid", ["another", "ED", "ed ", "../hs", "k" * 5000])
def test_an_unknown_key_is_told_apart_for_a_newer_set_may_have_it(door: Door, kid: str) -> None:
    with pytest.raises(verify.UnknownKey):
        door.enter(door.headed(kid=kid))


@pytest.mark.parametrize(
    "kid", [None, 7, True, "", ["ed", "hs"], {"ed": "hs"}, "k" * 10_240], ids=lambda v: repr(v)[:9]
)
def test_what_cannot_name_a_key_is_refused(door: Door, kid: object) -> None:
    assert_refused(door, door.headed(kid=kid))


def test_a_known_key_s_name_on_another_key_s_token_is_refused(door: Door) -> None:
    assert_refused(door, door.headed(kid={"ed": "hs", "hs": "ed"}[door.header["kid"]]))


def test_a_key_that_a_token_brings_along_is_ignored(door: Door) -> None:
    thief = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(thief.public_key().public_bytes_raw())}
    brought = {"jwk": jwk, "jku": "https://evil.example.com/jwks", "x5u": "https://evil.example.com/x", "x5c": ["AA=="]}
    assert door.enter(door.headed(**brought))
    assert_refused(door, door._replace(sign=thief.sign).headed(**brought))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp"], ids=repr)
def test_an_extension_that_must_be_understood_is_not(door: Door, crit: object) -> None:
    assert_refused(door, door.headed(crit=crit, b64=False, exp=NOW))


# --- one way to write it


Opened = tuple[str, Callable[[str], object]]


@pytest.fixture(scope="module")
def issued(keys: Mapping[str, keyring.Key], mint: Issuer, alice: User, session: Session) -> Callable[[str], Opened]:
    """Return a good token of an algorithm, and its way in."""

    def issue(alg: str) -> Opened:
        key = keys[alg]
        if alg == "HS256":
            secret = {key.kid: verify.hmac_key(keyring.secret_bytes(key))}
            token = mint.refresh_token("alice", session, key)
            return token, lambda token: verify.refresh_token(token, secret, ISSUER)
        public = {key.kid: verify.public_key(keyring.public_jwk(key))}
        token = mint.access_token(alice, session, key, NOW)
        return token, lambda token: verify.access_token(token, public, ISSUER, "rolegate", 0, NOW)

    return cache(issue)


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA", "HS256"])
@given(data=st.data())
def test_a_token_with_any_one_character_changed_added_or_taken_away_is_refused(
    alg: str, issued: Callable[[str], Opened], data: st.DataObject
) -> None:
    token, enter = issued(alg)
    assert enter(token)
    at = data.draw(st.integers(0, len(token) - 1), label="at")
    instead = data.draw(st.sampled_from(f"{ALPHABET}.=+/ \n\0\u00e9\u212a\ud800") | st.just(""), label="instead")
    altered = token[:at] + instead + token[at + data.draw(st.integers(0, 1), label="taken away") :]
    if altered == token:
        return
    with pytest.raises(verify.Refused):
        enter(altered)


def test_bits_that_base64url_leaves_unused_are_zero(door: Door) -> None:
    """The issuer itself may not set them: two texts would be one token."""
    for spaces in range(3):  # one of three lengths leaves four bits unused, one two, one none
        head, body = part(json.dumps(door.header).encode() + b" " * spaces), part(door.claims)
        assert door.enter(compact(head, body, door.sign))
        for other in looser(head):
            assert_refused(door, compact(other, body, door.sign))
        head, body = part(door.header), part(json.dumps(door.claims).encode() + b" " * spaces)
        for other in looser(body):
            assert_refused(door, compact(head, other, door.sign))
    rest, _, seal = door.token().rpartition(".")
    assert looser(seal)
    for other in looser(seal):
        assert_refused(door, f"{rest}.{other}")


def looser(text: str) -> list[str]:
    """Return every other spelling that careless decoders take for the same bytes."""
    raw = base64.urlsafe_b64decode(text + "==")
    return [
        other
        for last in ALPHABET
        if (other := text[:-1] + last) != text and base64.urlsafe_b64decode(other + "==") == raw
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    "form", ["{}=", "{}==", "{} ", " {}", "{}\n", "{}\r\n", "\t{}", "{}\0", "{}%3D", '"{}"', "{}é"]
)
def test_nothing_may_stand_around_a_part(door: Door, which: int, form: str) -> None:
    parts = door.token().split(".")
    parts[which] = form.format(parts[which])
    assert_refused(door, ".".join(parts))
    if which < 2 and form.isascii():
        assert_refused(door, compact(parts[0], parts[1], door.sign))  # not even when the issuer signed it


def test_the_alphabet_is_base64url_s_alone(door: Door) -> None:
    claims = part(json.dumps({**door.claims, "x": "\u07ff\u07ff\u07bf\u07bf"}, ensure_ascii=False).encode())
    assert "_" in claims
    assert "-" in claims
    head = part(door.header)
    assert door.enter(compact(head, claims, door.sign))
    assert_refused(door, compact(head, claims.replace("_", "/"), door.sign))
    assert_refused(door, compact(head, claims.replace("-", "+"), door.sign))


@pytest.mark.parametrize("form", ["", ".", "..", "...", "{0}", "{0}.{1}", "{0}.{1}.", ".{1}.{2}", "{0}..{2}"])
def test_a_token_has_three_parts_and_none_is_empty(door: Door, form: str) -> None:
    assert_refused(door, form.format(*door.token().split(".")))


@pytest.mark.parametrize("form", ["{}.", ".{}", "{}.AAAA", "{}.AAAA.AAAA", "{0}.{0}"])
def test_a_token_has_no_fourth_part(door: Door, form: str) -> None:
    assert_refused(door, form.format(door.token()))


NO_MEMBERS = {
    "empty": b"",
    "list": b"[]",
    "text": b'"alice"',
    "number": b"7",
    "null": b"null",
    "not JSON": b"{typ: at+jwt}",
    "two objects": b"{}{}",
    "byte-order mark": b"\xef\xbb\xbf{}",
    "bad UTF-8": b'{"a": "\xff"}',
    "UTF-16": "{}".encode("utf-16"),
    "20,000 deep": b"[" * 20_000 + b"]" * 20_000,
}


@pytest.mark.parametrize("raw", NO_MEMBERS.values(), ids=NO_MEMBERS)
def test_header_and_claims_are_json_objects(door: Door, raw: bytes) -> None:
    assert_refused(door, door.token(header=raw))
    assert_refused(door, door.token(claims=raw))


DOUBTS = {
    "a lone surrogate": rb'"x": "\ud800"',
    "a lone surrogate as a name": rb'"\udfff": 1',
    "two surrogates in the wrong order": rb'"x": "\udc00\ud800"',
    "NaN": b'"x": NaN',
    "infinity": b'"x": -Infinity',
    "5,000 digits": b'"x": ' + b"9" * 5000,
    "a member named twice": b'"x": 1, "x": 1',
    "a member named twice, once in disguise": rb'"x": 1, "\u0078": 1',
    "a member named twice, far inside": b'"x": [{"y": {"z": 1, "z": 2}}]',
}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
def test_a_doubt_anywhere_in_header_or_claims_is_a_refusal(door: Door, doubt: bytes) -> None:
    assert_refused(door, door.token(header=json.dumps(door.header).encode()[:-1] + b", " + doubt + b"}"))
    assert_refused(door, door.token(claims=json.dumps(door.claims).encode()[:-1] + b", " + doubt + b"}"))


@pytest.mark.parametrize("name", ["exp", "aud", "iss", "sub"])
def test_a_claim_said_twice_is_refused_whichever_is_right(door: Door, name: str) -> None:
    right, wrong = json.dumps({name: door.claims[name]})[1:-1], json.dumps({name: 253_402_300_799})[1:-1]
    others = json.dumps({other: value for other, value in door.claims.items() if other != name})[1:-1]
    for first, second in ((right, wrong), (wrong, right), (right, right)):
        assert_refused(door, door.token(claims=f"{{{first}, {others}, {second}}}".encode()))


def test_a_header_member_said_twice_is_refused(door: Door) -> None:
    for name, value in door.header.items():
        assert_refused(
            door, door.token(header=json.dumps(door.header)[:-1].encode() + f', "{name}": "{value}"}}'.encode())
        )


@pytest.mark.parametrize("intruder", ["\ud800", "é", "\U0001f511"], ids=ascii)
def test_a_token_with_a_character_that_no_token_has_is_refused(door: Door, intruder: str) -> None:
    token = door.token()
    for at in (0, len(token) // 2, len(token)):
        assert_refused(door, token[:at] + intruder + token[at:])


def test_a_token_longer_than_any_header_is_refused(door: Door) -> None:
    assert door.enter(door.having(x="a" * 5_500))
    assert_refused(door, door.having(x="a" * 6_200))


# --- keys

CLAIMS_OF_RFC_7515 = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
PUBLISHED = {
    "RS256, RFC 7515 A.2": (
        {
            "kty": "RSA",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT"
            "-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo"
            "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs9"
            "1kzk2PAcDTW9gb54h4FRWyuXpoQ",
            "e": "AQAB",
        },
        f"eyJhbGciOiJSUzI1NiJ9.{CLAIMS_OF_RFC_7515}",
        (
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr"
            "7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x"
            "i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Ioy"
            "pGlUPQGe77Rw"
        ),
    ),
    "ES256, RFC 7515 A.3": (
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        f"eyJhbGciOiJFUzI1NiJ9.{CLAIMS_OF_RFC_7515}",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    "EdDSA, RFC 8037 A.4": (
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
}
RSA, EC, OKP = (jwk for jwk, _, _ in PUBLISHED.values())


@pytest.mark.parametrize(("jwk", "message", "signature"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_signatures_fit_and_no_others(jwk: Mapping[str, str], message: str, signature: str) -> None:
    fits, seal = verify.public_key(jwk).fits, base64.urlsafe_b64decode(signature + "==")
    assert fits(seal, message.encode())
    assert not fits(seal, message.encode() + b".")
    longer = (seal + b"\0", b"\0" + seal, seal[:32] + b"\0" + seal[32:])
    for other in (b"", seal[:-1], *longer, seal[::-1], bytes(len(seal)), b"\xff" * len(seal)):
        assert not fits(other, message.encode())


def test_the_published_hmac_fits_and_no_other() -> None:
    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    message = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS_OF_RFC_7515}".encode()
    key = verify.hmac_key(base64.urlsafe_b64decode(secret))
    seal = base64.urlsafe_b64decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk=")
    assert key.alg == "HS256"
    assert key.fits(seal, message)
    for other in (b"", seal[:-1], seal + b"\0", bytes(32)):
        assert not key.fits(other, message)


@pytest.mark.parametrize("jwk", [RSA, EC, OKP], ids=["RSA", "EC", "OKP"])
def test_a_key_meant_for_what_we_do_with_it_is_taken(jwk: Mapping[str, str]) -> None:
    alg = verify.public_key(jwk).alg
    meant = {**jwk, "use": "sig", "key_ops": ["verify"], "alg": alg, "kid": "k", "x5t": "passed over"}
    assert verify.public_key(meant).alg == alg


@pytest.mark.parametrize("jwk", [RSA, EC, OKP], ids=["RSA", "EC", "OKP"])
@pytest.mark.parametrize(
    "purpose",
    [
        {"use": "enc"},
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": []},
        {"alg": "HS256"},
        {"alg": "PS256"},
        {"alg": "RSA-OAEP"},
        {"alg": "ECDH-ES"},
        {"alg": "none"},
        {"alg": None},
        {"d": "AQAB"},
        {"p": "AQAB"},
        {"dq": "AQAB"},
        {"k": "AQAB"},
    ],
    ids=str,
)
def test_a_key_meant_for_something_else_or_private_is_refused(jwk: Mapping[str, str], purpose: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="key"):
        verify.public_key({**jwk, **purpose})


def numbers(key: rsa.RSAPublicKey) -> dict[str, str]:
    public = key.public_numbers()
    return {"kty": "RSA", "n": base64url(public.n.to_bytes(key.key_size // 8)), "e": "AQAB"}


def point(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    public, size = key.public_numbers(), (key.key_size + 7) // 8
    return {"kty": "EC", "x": base64url(public.x.to_bytes(size)), "y": base64url(public.y.to_bytes(size))}


NO_KEYS = {
    "symmetric": {"kty": "oct", "k": base64url(SECRET)},
    "symmetric without its secret": {"kty": "oct"},
    "of no kind": {},
    "of an unknown kind": {**OKP, "kty": "AKP"},
    "of many kinds": {**OKP, "kty": ["OKP"]},
    "on a curve that is an object": {**OKP, "crv": {}},
    "for nothing that could be read": {**OKP, "key_ops": None},
    "RSA, 1024 bits": numbers(rsa.generate_private_key(65537, 1024).public_key()),  # noqa: S505 - it is to be refused
    "RSA, 2047 bits": {**RSA, "n": base64url((2**2047 - 1).to_bytes(256))},
    "RSA, exponent 1": {**RSA, "e": "AQ"},
    "RSA, even exponent": {**RSA, "e": "AQAA"},
    "RSA with a curve": {**RSA, "crv": "P-256"},
    "EC, P-384": {**point(ec.generate_private_key(ec.SECP384R1()).public_key()), "crv": "P-384"},
    "EC, P-384 called P-256": {**point(ec.generate_private_key(ec.SECP384R1()).public_key()), "crv": "P-256"},
    "EC, secp256k1": {**point(ec.generate_private_key(ec.SECP256K1()).public_key()), "crv": "secp256k1"},
    "EC, secp256k1 called P-256": {**point(ec.generate_private_key(ec.SECP256K1()).public_key()), "crv": "P-256"},
    "EC, off the curve": {**EC, "y": EC["x"]},
    "EC, the point at infinity": {**EC, "x": "AA", "y": "AA"},
    "OKP, X25519": {**OKP, "crv": "X25519"},
    "OKP, 31 bytes": {**OKP, "x": base64url(bytes(31))},
    "OKP, 33 bytes": {**OKP, "x": base64url(bytes(33))},
    "padded": {**OKP, "x": OKP["x"] + "="},
    "not base64url": {**EC, "x": "f83O/3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
    "a number for a text": {**OKP, "x": 7},
    "a list for a text": {**RSA, "n": [RSA["n"]]},
    "null for a text": {**EC, "y": None},
    "a lone surrogate": {**OKP, "x": "\ud800"},
}


@pytest.mark.parametrize("jwk", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_of_ours_is_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        verify.public_key(jwk)


@pytest.mark.parametrize(
    ("jwk", "member"),
    [(jwk, member) for jwk in (RSA, EC, OKP) for member in jwk],
    ids=lambda v: v if isinstance(v, str) else v["kty"],
)
def test_a_key_lacks_no_member(jwk: Mapping[str, str], member: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        verify.public_key({name: value for name, value in jwk.items() if name != member})
