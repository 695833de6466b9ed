"""Random histories of tokens, rotations, leaks, outages and functions with old rings, driven through the handlers.

In routine no token that has not expired is refused by anybody; after a leak none of the old ones is accepted once the
bound has passed, by an instance of any age.
"""

import json
from contextlib import ExitStack
from typing import Any, NamedTuple

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from rolegate.errors import Unauthorized, Unavailable

from tests.conftest import PASSWORD, Handler, World, claims, header, rest_event, serving_keys, stack_without_rings

DAY, HOUR, MINUTE = 86_400, 3600, 60
SIGNING, REFRESH = "SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET"
# Seconds from a leak until the old keys are nobody's: 5 minutes for a key set and the caching of its document, as many
# for a ring; and an hour more while an issuer or a store does not answer.
SET_BOUND, RING_BOUND, SILENCE = 420, 300, 3600
NEW_KEYS_SPREAD = 60  # seconds after a leak in which a verifier may not know the new keys yet

ARN = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/GET/hello"
PLAYED = settings(max_examples=12, stateful_step_count=25, phases=[Phase.generate])
PAUSES = st.sampled_from([1, 1, 29, 31, 61, 121, 299, 301, 421, 900, 2 * HOUR, 6 * HOUR, DAY, 8 * DAY, 30 * DAY])
INSTANCE = st.integers(0, 2)
WHICH = st.integers(0, 99)
AFTERMATH = st.lists(st.sampled_from([1, 59, 61, 301, 421, 900, HOUR, HOUR + 421]), max_size=4)


class Leak(NamedTuple):
    """What an attacker holds since then, and whether what spreads the news was out of reach meanwhile."""

    at: int
    kids: frozenset[str]


class KeyHistories(RuleBasedStateMachine):
    """Three instances of each function, each with rings and key sets of its own age."""

    @initialize()
    def deploy(self) -> None:
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(
            stack_without_rings(SIGNING_ALGORITHM="EdDSA", SESSION_DAYS="365", MIN_ROLE="user")
        )
        self.stack.enter_context(serving_keys(self.world))
        self.keeper()
        self.world.add_user()
        self.instances: dict[str, list[Handler]] = {}
        self.renew_all()
        self.access: list[str] = []
        self.refresh: list[str] = []
        self.leaks: list[Leak] = []
        self.signed_out_at = 0
        self.silent_last = {"GetSecretValue": -SILENCE, "GetParameter": -SILENCE}

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @property
    def now(self) -> int:
        return self.world.clock.now

    def keeper(self, **order: str) -> Any:
        return self.world.cold("rotate_keys")(order, None)

    def renew_all(self) -> None:
        self.instances = {
            name: [self.world.cold(name) for _ in range(3)] for name in ("login", "refresh", "authorizer")
        }

    # --- what happens to the stack

    @rule(pause=PAUSES)
    def wait(self, pause: int) -> None:
        self.world.clock.tick(pause)
        for operation in self.world.wire.stands_in:
            self.silent_last[operation] = self.now

    @rule()
    def run_daily(self) -> None:
        self.keeper()

    @rule()
    def rotate_early(self) -> None:
        self.keeper(action="rotate")

    @rule(pause=st.sampled_from([1, 31, 900, 2 * HOUR]))
    def rotate_twice(self, pause: int) -> None:
        self.ask_everybody()
        self.rotate_early()
        self.wait(pause)
        self.rotate_early()
        self.start_anew("login", 0)
        self.sign_in(0)
        self.sign_in(1)
        self.ask_everybody()

    @rule(which=st.sampled_from(["signing", "refresh", "both"]), retired=st.booleans(), pauses=AFTERMATH)
    def leak_and_watch(self, which: str, pauses: list[int], *, retired: bool) -> None:
        self.sign_in(0)
        self.ask_everybody()
        self.renew_everything()
        if retired:
            self.wait(1)
            self.rotate_early()
        secrets = {"signing": [SIGNING], "refresh": [REFRESH], "both": [SIGNING, REFRESH]}[which]
        kids = frozenset(kid for secret in secrets for kid in self.kids(secret))
        self.keeper(action="rotate", compromised=which)
        self.leaks.append(Leak(self.now, kids))
        if REFRESH in secrets:
            self.signed_out_at = self.now
        self.watch(pauses)

    @rule(pauses=AFTERMATH)
    def sign_everyone_out(self, pauses: list[int]) -> None:
        self.sign_in(0)
        self.wait(1)
        self.keeper(action="sign-out-everyone")
        self.signed_out_at = self.now
        self.watch(pauses)

    @rule(
        alg=st.sampled_from(["EdDSA", "ES256"]),
        minutes=st.sampled_from(["5", "15"]),
        days=st.sampled_from(["1", "7", "90"]),
    )
    def deploy_anew(self, alg: str, minutes: str, days: str) -> None:
        self.world.configure(SIGNING_ALGORITHM=alg, ACCESS_TOKEN_MINUTES=minutes, REFRESH_TOKEN_DAYS=days)
        self.keeper()
        self.renew_all()

    @rule(early=st.booleans())
    def shorten_lives(self, *, early: bool) -> None:
        self.deploy_anew("EdDSA", "15", "90")
        self.sign_in(0)
        self.deploy_anew("EdDSA", "5", "1")
        self.wait(2 * HOUR if early else 31 * DAY)
        self.keeper(**({"action": "rotate"} if early else {}))
        self.wait(2 * DAY)
        self.run_daily()
        self.renew_everything()

    @rule(
        operation=st.sampled_from(["GetSecretValue", "GetParameter"]),
        which=st.sampled_from([None, None, "signing", "both"]),
        pauses=AFTERMATH,
    )
    def fall_silent(self, operation: str, which: str | None, pauses: list[int]) -> None:
        self.ask_everybody()
        self.renew_everything()
        if which:
            self.leak_and_watch(which, [], retired=False)
        self.world.wire.stands_in[operation] = lambda _: (500, "{}")
        self.silent_last[operation] = self.now
        self.watch(pauses)
        del self.world.wire.stands_in[operation]

    def watch(self, pauses: list[int]) -> None:
        for pause in pauses:
            self.wait(pause)
            self.ask_everybody()
            self.renew_everything()

    @rule(function=st.sampled_from(["login", "refresh", "authorizer"]), instance=INSTANCE)
    def start_anew(self, function: str, instance: int) -> None:
        self.instances[function][instance] = self.world.cold(function)

    # --- what people do

    @rule(instance=INSTANCE)
    def sign_in(self, instance: int) -> None:
        body = self.post("login", instance, {"username": "alice", "password": PASSWORD})
        if body is not None:
            self.take(body)

    @precondition(lambda self: self.refresh)
    @rule(instance=INSTANCE, which=WHICH)
    def renew(self, instance: int, which: int) -> None:
        self.renew_one(instance, which % len(self.refresh))

    def renew_everything(self) -> None:
        for number in range(max(0, len(self.refresh) - 6), len(self.refresh)):
            self.renew_one(number % 3, number)

    def renew_one(self, instance: int, number: int) -> None:
        token = self.refresh[number]
        if claims(token)["exp"] > self.now:
            must, may = self.verdict_on_refresh(token)
            body = self.post("refresh", instance, {"refresh_token": token}, refused=not must)
            assert body is None or may, f"a dead refresh token was taken at {self.now}: {claims(token)}"
            if body is not None:
                self.refresh[number] = body["refresh_token"]
                self.access.append(body["access_token"])

    @precondition(lambda self: self.access)
    @rule(instance=INSTANCE, which=WHICH)
    def ask(self, instance: int, which: int) -> None:
        self.ask_one(instance, self.access[-1 - which % min(len(self.access), 20)])

    @rule()
    def ask_everybody(self) -> None:
        for instance in range(3):
            for token in self.access[-12:]:
                self.ask_one(instance, token)

    def ask_one(self, instance: int, token: str) -> None:
        must, may = self.verdict_on_access(token)
        event = {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": ARN}
        try:
            answer = self.instances["authorizer"][instance](event, None)
        except Unavailable:
            assert self.now <= self.silent_last["GetParameter"] + 2  # a pause between two tries
            return
        except Unauthorized:
            assert not must, f"refused at {self.now}: {header(token)} {claims(token)}"
            return
        assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        assert may, f"let in at {self.now}: {header(token)} {claims(token)}, {self.leaks}"

    def post(
        self, function: str, instance: int, body: dict[str, str], *, refused: bool = False
    ) -> dict[str, Any] | None:
        """Return the answer; None for an honest "not now" while the store is silent, and where a refusal is right."""
        event = rest_event(f"/{function}", json.dumps(body))
        answer = self.instances[function][instance](event, None)
        told: dict[str, Any] = json.loads(answer["body"])
        if answer["statusCode"] == 200:
            return told
        if answer["statusCode"] == 503:
            assert self.now <= self.silent_last["GetSecretValue"] + 30 or self.leaks, told  # after five tries in vain
            return None
        assert refused, told
        return None

    def take(self, body: dict[str, Any]) -> None:
        self.access.append(body["access_token"])
        self.refresh.append(body["refresh_token"])

    # --- what is promised

    def verdict_on_access(self, token: str) -> tuple[bool, bool]:
        """Say whether a token must be let in, and whether it may be."""
        alive = claims(token)["exp"] > self.now
        leaked = [leak for leak in self.leaks if header(token)["kid"] in leak.kids]
        if leaked:
            return False, alive and self.now < min(self.bound(one.at, SET_BOUND, "GetParameter") for one in leaked)
        fresh_leak = any(self.now <= leak.at + NEW_KEYS_SPREAD for leak in self.leaks)
        late_news = any(self.silent_last["GetParameter"] >= leak.at for leak in self.leaks)
        return alive and not fresh_leak and not late_news, alive

    def verdict_on_refresh(self, token: str) -> tuple[bool, bool]:
        leaked = [leak.at for leak in self.leaks if header(token)["kid"] in leak.kids]
        if claims(token)["auth_time"] < self.signed_out_at:
            leaked.append(self.signed_out_at)
        if leaked:
            return False, self.now < min(self.bound(at, RING_BOUND, "GetSecretValue") for at in leaked)
        return True, True

    def bound(self, at: int, seconds: int, operation: str) -> int:
        """Return when news of `at` has come to everyone: later if what brings it was silent."""
        return at + seconds + (SILENCE if self.silent_last[operation] >= at else 0)

    def kids(self, secret: str) -> list[str]:
        ring = self.world.ring(secret)
        return [key["kid"] for key in (ring["current"], ring["next"], *ring["retired"])]


TestKeyHistories = KeyHistories.TestCase
TestKeyHistories.settings = PLAYED
