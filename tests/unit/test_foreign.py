import base64
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolegate import foreign

SIGNER = "ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw=="

# Each made at next to no cost: by Django 5.2.19, passlib 1.7.4 and Werkzeug 3.1.9 themselves; Firebase's by Node.js's
# scrypt and AES, which make supabase/auth's published hash too.
CHEAP = {
    "Django, SHA-256": "pbkdf2_sha256$3$seasalt$M0BeCB4ZHLyz2BoguDjMJttlKGwlit8RhilFsvTzOqM=",
    "Django, SHA-1": "pbkdf2_sha1$3$seasalt$ZWKnIBGGQeAMU8k0BxkBcJBB1bE=",
    "Django, scrypt": "scrypt$16$seasalt$8$2$RHTiiUFUuGVeoqmljIulFWJ0D5PgFj3bOyFSoNtAIZp2C4CnWxtJrxBglGGx5VuAr7KK2kAA5"
    "WOWLIQwvJVc6w==",
    "passlib, SHA-1": "$pbkdf2$3$........////..8QYQ$BNIa.IP5/cQGid3D9Rs0ugp8MSk",
    "passlib, SHA-256": "$pbkdf2-sha256$3$........////..8QYQ$Rf.712ILesirDqK6X1aiOvj4B/15h4zUvegvm.62nXA",
    "passlib, SHA-512": "$pbkdf2-sha512$3$........////..8QYQ$R639JT1e6bQmaW0aFBK7Etc4sJcJdUikVx8NRRDMOUNZfcvKIY24Og/x"
    "BrG3HMMoIqMx/egCf85t1R2zTajY7g",
    "passlib, scrypt": "$scrypt$ln=4,r=8,p=2$++++++++////++8QYWI$4rKSdTEel9lEB3OvypGghcw7YbTrdSXQ4MntShKv1JI",
    "Werkzeug, SHA-1": "pbkdf2:sha1:3$sälz$91728780405d28cae418075fc8b4559bb0d67b8b",
    "Werkzeug, SHA-256": "pbkdf2:sha256:3$sälz$1df49e64f4f50fefe231e77a102ab19525b04b267cab57962cd56d3c7a9f8a18",
    "Werkzeug, SHA-512": "pbkdf2:sha512:3$sälz$cf43750b1f54b4b20d581d364a6bcc75d8d9c572f5bc1adffe996732f1d67ea4b4deb"
    "54f6607901dd1c6c3d44472b946a2e403a42f761649f9edb3a820b89985",
    "Werkzeug, scrypt": "scrypt:16:8:2$sälz$c4db6d1c00e46f91316a2d6302699e4a32e2c4b734176a1643051fafecd52d537698b0cec2e"
    "e34dfc07d4f0e9433ac3f8a8f259fee0759b6e781b615eea0991c",
    "Firebase": f"$fbscrypt$v=1,n=4,r=8,p=2,ss=Bw==,sk={SIGNER}$C0sHCg9ek77hsg==$wEJUMvW6mGYjHG5Y8wLIKFzQ/4hY6FMu1mtXU"
    "HkTERYQgXGgUfD0O7eZcY3p1VBlvCpChapnkVz9E+XHkjQrrw==",
    "Firebase, no separator": f"$fbscrypt$v=1,n=4,r=8,p=2,sk={SIGNER}$C0sHCg9ek77hsg==$R6ntEY7HsIVd5yJkvqU8up/pJZ4DAHx"
    "hYppZgx5yvSGQfR75iN77iGkwV5qR5d5zgEmaEoAS6EhEcU69o8pj9Q==",
}
SECRET = "lètmein".encode()

# From the tests of passlib (its Django ones were made by Django 1.4), Django and supabase/auth, Firebase's README, and
# RFC 7914, section 12, as passlib writes it.
PUBLISHED = [
    ("not a password", "pbkdf2_sha256$10000$kjVJaVz6qsnJ$5yPHw3rwJGECpUf70daLGhOrQ5+AMxIJdz1c3bqK1Rs="),
    ("not a password", "pbkdf2_sha1$10000$wz5B6WkasRoF$atJmJ1o+XfJxKq1+Nu1f1i57Z5I="),
    (
        "lètmein",
        (
            "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite"
            "/Pw=="
        ),
    ),
    ("password", "$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI"),
    ("password", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"),
    (
        "password",
        (
            "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI."
            "BzY/YTNJOiKc5gBYFYGww"
        ),
    ),
    ("password", "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI"),
    ("password", "$scrypt$ln=8,r=2,p=1$dO6d0xoDoLT2PofQGoNQag$g/Wf2A0vhHhaJM+addK61QPBthSmYB6uVTtQzh8CM3o"),
    ("nacl", "$scrypt$ln=1,r=4,p=2$yhnD+J+Tci4lZCwFgHCuVQ$fAsEWmxSHuC0cHKMwKVFPzrQukgvK09Sj+NueTSxKds"),
    (
        "mytestpassword",
        (
            f"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk={SIGNER}$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+Cf"
            "EFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw=="
        ),
    ),
    (
        "user1password",
        (
            "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEm"
            "YUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo7"
            "8198JAdRuid5lQ=="
        ),
    ),
]


def matched(secret: bytes, stored: str) -> bool:
    try:
        return foreign.matches(secret, stored)
    except ValueError:
        return False


@pytest.mark.parametrize("stored", CHEAP.values(), ids=CHEAP)
def test_what_other_systems_made_matches_their_password_and_no_other(stored: str) -> None:
    assert foreign.matches(SECRET, stored) is True
    for other in (b"", b"letmein", SECRET + b" ", SECRET[:-1], SECRET + b"\0", stored.encode(), b"x" * 10_000):
        assert foreign.matches(other, stored) is False


@pytest.mark.parametrize("stored", CHEAP.values(), ids=CHEAP)
def test_nothing_behind_a_password_is_taken_for_it_though_hmac_does_so_with_nul(stored: str) -> None:
    for more in (b"\0", b"\0\0", b"\0" * 40, b"\0" * 1000, b"\0x", b"\n"):
        assert foreign.matches(SECRET + more, stored) is False


@pytest.mark.parametrize(("password", "stored"), PUBLISHED, ids=[stored[:24] for _, stored in PUBLISHED])
def test_what_was_published_matches(password: str, stored: str) -> None:
    assert foreign.matches(password.encode(), stored) is True
    assert foreign.matches(password.encode() + b"x", stored) is False


@pytest.mark.parametrize("stored", CHEAP.values(), ids=CHEAP)
def test_no_altered_character_matches(stored: str) -> None:
    """Not in the salt, the digest, the parameters or the keys; nor one too few or too many."""
    for index, character in enumerate(stored):
        before, after = stored[:index], stored[index + 1 :]
        assert not matched(SECRET, before + after)
        # Neighbours in the alphabet too: they may differ in no more than the bits that base64 leaves over.
        for other in {*"A01.+-=$\n", *map(chr, range(ord(character) - 3, ord(character) + 4))}:
            if other != character:
                assert not matched(SECRET, before + other + after), (index, other)
            assert not matched(SECRET, before + other + character + after), (index, other)
        assert not matched(SECRET, before + character.swapcase() + after) or not character.isalpha()


def written(digest: bytes) -> Iterator[str]:
    """Every cheap hash with `digest` in place of its own."""
    padded = base64.b64encode(digest).decode()
    bare = padded.rstrip("=")
    for form, stored in CHEAP.items():
        text = digest.hex() if "Werkzeug" in form else bare if "passlib" in form else padded
        yield f"{stored.rpartition('$')[0]}${text if 'scrypt' in form else text.replace('+', '.')}"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 8, 15, 16, 19, 24, 31, 33, 63, 65, 96])
def test_a_digest_of_another_size_is_refused_whatever_it_is(size: int) -> None:
    for stored in written(bytes(size)):
        with pytest.raises(ValueError, match=r"digest|known form"):
            foreign.matches(SECRET, stored)


def test_a_beginning_of_the_right_digest_is_refused() -> None:
    for stored in CHEAP.values():
        rest, _, digest = stored.rpartition("$")
        for short in (digest[:4], digest[:8], digest[:16], digest[:24], digest[:-4]):
            with pytest.raises(ValueError, match=r"digest|padding|known form|spelling"):
                foreign.matches(SECRET, f"{rest}${short}")


@pytest.mark.parametrize("signer", ["", "AAAA", base64.b64encode(bytes(15)).decode()])
def test_a_signer_key_that_is_too_short_to_tell_passwords_apart_is_refused(signer: str) -> None:
    size = len(base64.b64decode(signer))
    for digest in (bytes(size), bytes(16)):
        stored = f"$fbscrypt$v=1,n=4,r=8,p=2,ss=Bw==,sk={signer}$C0sHCg9ek77hsg==${base64.b64encode(digest).decode()}"
        with pytest.raises(ValueError, match=r"too short|known form"):
            foreign.matches(SECRET, stored)


DIGEST, LONG = "A" * 86 + "==", "A" * 43
TOO_MUCH = {
    "one iteration too many": f"pbkdf2_sha256$2000001$seasalt${LONG}=",
    "999,999,999 iterations": f"pbkdf2:sha512:999999999$salt${'0' * 128}",
    "999,999,999 iterations of passlib's": f"$pbkdf2-sha256$999999999$AAAA${LONG}",
    "more memory than allowed": f"scrypt$524288$seasalt$8$1${DIGEST}",
    "more memory by the blocks": f"scrypt:262144:9:1$salt${'0' * 128}",
    "more work than allowed": f"scrypt$262144$seasalt$8$5${DIGEST}",
    "2 to the 99th": f"$scrypt$ln=99,r=8,p=1$AAAA${LONG}",
    "2 to the 99th of Firebase's": f"$fbscrypt$v=1,n=99,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
}


@pytest.mark.parametrize("stored", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_would_cost_too_much_is_refused_before_any_work(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("hashlib.pbkdf2_hmac")
    monkeypatch.delattr("hashlib.scrypt")
    with pytest.raises(ValueError, match=r"^too m"):
        foreign.matches(SECRET, stored)


AT_THE_BOUND = [
    (f"pbkdf2_sha256$2000000$seasalt${LONG}=", (2_000_000,)),
    (f"scrypt$262144$seasalt$8$4${DIGEST}", (262_144, 8, 4)),
    (f"$scrypt$ln=18,r=8,p=1$AAAA${LONG}", (262_144, 8, 1)),
    (f"scrypt:32768:8:32$salt${'0' * 128}", (32_768, 8, 32)),
]


@pytest.mark.parametrize(("stored", "cost"), AT_THE_BOUND)
def test_what_costs_just_not_too_much_is_done(
    stored: str, cost: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[int, ...]] = []

    def pbkdf2(_name: str, _secret: bytes, _salt: bytes, iterations: int) -> bytes:
        done.append((iterations,))
        return b"other"

    def scrypt(_secret: bytes, *, salt: bytes, n: int, r: int, p: int, maxmem: int, dklen: int) -> bytes:
        assert salt
        assert 128 * n * r < maxmem < 258 * 2**20
        done.append((n, r, p))
        return bytes([1]) * dklen

    monkeypatch.setattr("hashlib.pbkdf2_hmac", pbkdf2)
    monkeypatch.setattr("hashlib.scrypt", scrypt)
    assert foreign.matches(SECRET, stored) is False
    assert done == [cost]


@pytest.mark.parametrize(
    ("n", "r", "p"), [(2, 1, 1), (2, 99, 99), (1024, 99, 1), (1024, 1, 99), (16_384, 8, 5), (65_536, 8, 1)]
)
def test_memory_is_enough_for_every_shape_of_scrypt(n: int, r: int, p: int) -> None:
    assert foreign.matches(SECRET, f"scrypt${n}$seasalt${r}${p}${DIGEST}") is False


MALFORMED = [
    "",
    "$",
    "lètmein",
    "!",
    "plain$$lètmein",
    "md5$salt$92105508419a81a6babfaecf876a2fa0",
    "$2b$04$" + "a" * 53,
    "$argon2id$v=19$m=16,t=2,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g",
    # Django
    f"pbkdf2_sha256$0$seasalt${LONG}=",
    f"pbkdf2_sha256$-1$seasalt${LONG}=",
    f"pbkdf2_sha256$03$seasalt${LONG}=",
    f"pbkdf2_sha256$+3$seasalt${LONG}=",
    f"pbkdf2_sha256$3_0$seasalt${LONG}=",
    f"pbkdf2_sha256$\u0663$seasalt${LONG}=",
    f"pbkdf2_sha256${'9' * 10_000}$seasalt${LONG}=",
    f"pbkdf2_sha256$3$${LONG}=",
    f"pbkdf2_sha256$3$sea$salt${LONG}=",
    f"pbkdf2_sha256$3${'a' * 1025}${LONG}=",
    f"pbkdf2_sha256$3$\ud800${LONG}=",
    f"pbkdf2_sha256$3$seasalt${LONG}",
    f"pbkdf2_sha256$3$seasalt${LONG}==",
    f"pbkdf2_sha256$3$seasalt${LONG[:-1]}B=",  # a bit that no byte has
    f"pbkdf2_sha512$3$seasalt${DIGEST}",
    f"pbkdf2_md5$3$seasalt${LONG}=",
    f"scrypt$0$seasalt$8$1${DIGEST}",
    f"scrypt$1$seasalt$8$1${DIGEST}",
    f"scrypt$3$seasalt$8$1${DIGEST}",
    f"scrypt$16383$seasalt$8$1${DIGEST}",
    f"scrypt$16$seasalt$0$1${DIGEST}",
    f"scrypt$16$seasalt$8$0${DIGEST}",
    f"scrypt$16$seasalt$100$1${DIGEST}",
    f"scrypt$16$seasalt$8$100${DIGEST}",
    f"scrypt$16$seasalt$8${DIGEST}",
    f"scrypt$65536$seasalt$1$1${DIGEST}",  # RFC 7914, section 2: N below 2 to the 16 r
    # passlib
    "$pbkdf2$01212$THDqatpidANpadlLeTeOEg$HV3oi1k5C5LQCgG1BMOL.BX4YZc",  # as its own tests have it, and the next two
    "$pbkdf2$$THDqatpidANpadlLeTeOEg$HV3oi1k5C5LQCgG1BMOL.BX4YZc",
    "$pbkdf2$1212$THDqatpidANpadlLeTeOEg$HV3oi1k5C5LQCgG1BMOL.BX4YZc$",
    "$pbkdf2$1212$THDqatpidANpadlLeTeOEg",
    "$pbkdf2$1212$THDqatpidANpadlLeTeOEg$HV3oi1k5C5LQCgG1BMOL+BX4YZc",
    f"$pbkdf2-sha1$3$AAAA${'A' * 27}",
    f"$pbkdf2-sha256$3$AAAAA${LONG}",
    f"$pbkdf2-sha256$3$AB${LONG}",
    f"$pbkdf2-sha256$3$AA==${LONG}",
    f"$pbkdf2-sha256$3$AAAA${LONG}=",
    f"$pbkdf2-sha256$3$${LONG}",
    f"$scrypt$ln=0,r=8,p=1$AAAA${LONG}",
    f"$scrypt$ln=4,r=100,p=1$AAAA${LONG}",
    f"$scrypt$ln=4,r=8,p=100$AAAA${LONG}",
    f"$scrypt$ln=4,r=8$AAAA${LONG}",
    f"$scrypt$ln=4,p=1,r=8$AAAA${LONG}",
    f"$scrypt$ln=4,r=8,p=1$AA.A${LONG}",
    f"$scrypt$ln=4,r=8,p=1$AAAA${LONG}=",
    f"$scrypt$ln=4,r=8,p=1${'AAAA' * 400}${LONG}",
    # Werkzeug
    f"pbkdf2:sha256$salt${'0' * 64}",
    f"pbkdf2:sha256:0$salt${'0' * 64}",
    f"pbkdf2:sha256:3$${'0' * 64}",
    f"pbkdf2:sha256:3$salt${'A' * 64}",
    f"pbkdf2:sha256:3$salt${'0' * 63}",
    f"pbkdf2:md5:3$salt${'0' * 32}",
    f"scrypt:16:8$salt${'0' * 128}",
    f"scrypt:16:100:1$salt${'0' * 128}",
    f"scrypt:16:8:100$salt${'0' * 128}",
    f"scrypt:15:8:1$salt${'0' * 128}",
    f"scrypt:1:8:1$salt${'0' * 128}",
    # Firebase, mostly as supabase/auth's own tests have it
    f"$fbscrypt$v=2,n=4,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=0,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4294967297,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=18446744073709551617,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=256,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=0,ss=Bw==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=!!!,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bx==,sk={SIGNER}$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk=!!!$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==$AAAA${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk={SIGNER}$!!!${DIGEST}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA$!!!",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA${DIGEST[:-2]}",
    f"$fbscrypt$v=1,n=4,r=8,p=1,ss=Bw==,sk={SIGNER}$AAAA$ZGlmZmVyZW50aGFzaA==",
]


@pytest.mark.parametrize("stored", MALFORMED, ids=lambda stored: ascii(stored)[:60])
def test_what_is_malformed_is_refused(stored: str) -> None:
    for secret in (SECRET, b"", stored.encode(errors="surrogatepass")):
        with pytest.raises(ValueError):  # noqa: PT011 - the decoders' own words are as good
            foreign.matches(secret, stored)


@pytest.mark.parametrize("stored", CHEAP.values(), ids=CHEAP)
@pytest.mark.parametrize("form", [" {}", "{} ", "{}\n", "\n{}", "{}\0", "{}$", "${}", "{0}{0}"], ids=ascii)
def test_nothing_may_stand_around_a_hash(stored: str, form: str) -> None:
    with pytest.raises(ValueError, match="known form"):
        foreign.matches(SECRET, form.format(stored))


PIECE = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "0", "1", "2", "3", "8", "16", "9" * 5000, "\ud800", "=", "AAAA", "Bw==", LONG, DIGEST, "00" * 32]
    ),
)


@settings(max_examples=500)
@given(st.binary(max_size=100), st.sampled_from(list(CHEAP.values())), st.data())
def test_nothing_but_a_value_error_is_raised_for_any_text(secret: bytes, stored: str, data: st.DataObject) -> None:
    parts = re.split(r"([$:,=])", stored)
    for index in data.draw(st.lists(st.integers(0, len(parts) - 1), max_size=3)):
        parts[index] = data.draw(PIECE)
    matched(secret, "".join(parts))


@settings(max_examples=500)
@given(st.binary(max_size=100), st.text())
def test_no_text_whatsoever_is_anybody_s_hash(secret: bytes, stored: str) -> None:
    with pytest.raises(ValueError, match="known form"):
        foreign.matches(secret, stored)
