"""The composition root: builds, once an execution environment, what a handler needs. Only it reads `os.environ`.

Each builder imports what its own function needs, for imports are most of a cold start.
"""

# ruff: noqa: PLC0415 - see above
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from rolegate import errors, model, parts, roles
from rolegate.settings import Settings

if TYPE_CHECKING:
    from rolegate import http
    from rolegate.deadline import Deadline
    from rolegate.observe import Log


def _settings() -> Settings:
    return Settings(os.environ)


def _now() -> int:
    return int(time.time())


def _clock() -> int:
    return _now()  # of this moment: tests set another one


def _wait(seconds: float) -> None:
    time.sleep(seconds)


@cache
def _log() -> "Log":
    from rolegate.observe import Log

    return Log(os.environ.get("METRICS_NAMESPACE", "rolegate"))


@cache
def _deadline() -> "Deadline":
    from rolegate.deadline import Deadline

    return Deadline()


def _stores(env: Settings) -> parts.Stores:
    return parts.Stores(env, _deadline())


def endpoint(handle: "Callable[[http.Request], http.Response]") -> "http.Handler":
    """Make a Lambda handler of a function from request to response."""
    from rolegate import http

    env = _settings()
    return http.endpoint(handle, env.text("ALLOWED_ORIGIN"), _log(), _deadline(), parts.cdn(env))


def register() -> Callable[[str, str, model.Caller], model.User]:
    """Build `POST /register`: (username, password, caller) -> the new user."""
    from rolegate import attempts, credentials

    env = _settings()
    if env.choice("REGISTRATION", "closed", "open") == "closed":
        return _closed
    stores = _stores(env)
    world = credentials.Registration(
        users=stores.users(),
        attempts=stores.attempts(),
        limit=attempts.Limit(*env.rate("NETWORK_LIMIT")),
        accept=parts.accept(env),
        make=parts.keeping(env).make,
        role=parts.roles(env).lowest,
        audit=_log().event,
    )
    return lambda name, password, caller: credentials.register(name, password, caller, world, _now())


def _closed(_name: str, _password: str, _caller: model.Caller) -> model.User:
    raise errors.Forbidden("Registration is closed.")


def login() -> Callable[[str, str, str | None, model.Caller], model.Tokens]:
    """Build `POST /login`: (username, password, audience or None, caller) -> tokens."""
    from rolegate import credentials

    env = _settings()
    world = parts.sign_in(env, _stores(env), _log().event, _clock)
    return lambda name, password, audience, caller: credentials.login(name, password, audience, caller, world, _now())


def change_password() -> Callable[[Mapping[str, str], str, str, model.Caller], model.Tokens]:
    """Build `POST /me/password`: (what the authorizer says, current and new password, caller) -> fresh tokens."""
    from rolegate import credentials

    env = _settings()
    world, accept = parts.sign_in(env, _stores(env), _log().event, _clock), parts.accept(env)

    def change(identity: Mapping[str, str], current: str, new: str, caller: model.Caller) -> model.Tokens:
        who = credentials.Identity(*(identity[name] for name in credentials.Identity._fields))
        return credentials.change_password(who, current, accept(new, who.username), caller, world, _now())

    return change


def refresh() -> Callable[[str, model.Caller], model.Tokens]:
    """Build `POST /refresh`: (refresh token, caller) -> tokens."""
    from rolegate import flows

    env = _settings()
    stores = _stores(env)
    grace, per_retry = env.whole("REFRESH_GRACE_SECONDS", 0, 60), env.whole("ROTATIONS_PER_LATE_RETRY", 0, 1000)
    if per_retry == 1:  # a thief could take turns with the owner for ever
        raise errors.Misconfigured("ROTATIONS_PER_LATE_RETRY is '1'. It must be 0, or a whole number from 2 to 1000.")
    world = flows.Refresh(
        users=stores.users(),
        sessions=stores.sessions(),
        issuer=parts.issuer(env),
        signing_keys=stores.rings("SIGNING_KEYS_SECRET"),
        refresh_keys=stores.rings("REFRESH_KEYS_SECRET"),
        audit=_log().event,
        policy=parts.policy(env, grace, per_retry),
    )
    return lambda token, caller: flows.refresh(token, caller, world, _now())


def logout() -> Callable[[str], None]:
    """Build `POST /logout`: (refresh token) -> nothing."""
    from rolegate import flows, sessions

    env = _settings()
    stores = _stores(env)
    world = flows.Logout(
        issuer_url=env.text("ISSUER"),
        sessions=stores.sessions(),
        refresh_keys=stores.rings("REFRESH_KEYS_SECRET"),
        audit=_log().event,
        leeway=env.whole("REFRESH_GRACE_SECONDS", 0, 60) + sessions.SKEW,
    )
    return lambda token: flows.logout(token, world, _now())


def account() -> Callable[[str, str], model.User]:
    """Build `GET /me`: (username, user id) -> the user."""
    from rolegate import flows

    table = _stores(_settings()).users()
    return lambda username, user_id: flows.account(username, user_id, table)


def authorizer() -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """Build the authorizer: an event of any kind of API and Lambda's context -> the answer in that API's form."""
    from rolegate import gate, jwks, policy

    env = _settings()
    issuer, hierarchy = env.text("ISSUER"), parts.roles(env)
    mode = env.choice("REVOCATION_CHECK", "off", "cached", "strict")
    world = gate.Gate(
        verifier=gate.Verifier(
            key_sets=jwks.KeySets(jwks.fetcher(issuer), env.whole("KEY_SET_SECONDS", 30, 300)),
            issuer=issuer,
            audience=env.text("AUDIENCE"),
            leeway=env.whole("EXPIRY_LEEWAY_SECONDS", 0, 30),
        ),
        minimum=env.choice("MIN_ROLE", *hierarchy.levels),
        roles=hierarchy,
        role_now=None if mode == "off" else _role_now(env, mode),
    )
    http_api = env.choice("HTTP_API_RESPONSES", "simple", "iam")
    query = env.choice("WEBSOCKET_QUERY_TOKEN", "false", "true") == "true"

    def authorize(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        if mode != "off":
            _deadline().begin(context)
        try:
            decision = gate.authorize(policy.bearer(event, query=query), world, _now())
        except errors.Unauthorized:
            decision = None
        except (errors.Unavailable, errors.Misconfigured) as error:
            _log().event("authorizer_unavailable")
            _log().failure(error)
            raise
        return policy.answer(event, decision, http_api)

    return authorize


def verifier() -> Callable[[Mapping[str, Any]], model.Claims]:
    """Build what a guard checks tokens with: a request of a REST or HTTP API -> the claims of its access token.

    It raises `Unauthorized` for a request without exactly one valid token, `Unavailable` without the issuer's keys.
    """
    env = _settings()
    return _verifier(env.text("ROLEGATE_ISSUER"), env.text("ROLEGATE_AUDIENCE"))


@cache
def _verifier(issuer: str, audience: str) -> Callable[[Mapping[str, Any]], model.Claims]:
    """Make it once: all guards of a function share the key set, and the tokens that it verified."""
    from rolegate import gate, jwks, policy

    world = gate.Verifier(jwks.KeySets(jwks.fetcher(issuer), 5 * parts.MINUTE), issuer, audience, 0)

    def claims(event: Mapping[str, Any]) -> model.Claims:
        found = gate.verified(policy.authorization(event), world, _now())
        if found is None:
            raise errors.Unauthorized
        return found

    return claims


def _role_now(env: Settings, mode: str) -> "Callable[[model.Claims, int], str | None]":
    from rolegate import revocation

    seconds = 0 if mode == "strict" else env.whole("REVOCATION_CHECK_SECONDS", 1, 300)
    return revocation.Check(_stores(env).standings().read, seconds)


def keys() -> Callable[[str], str]:
    """Build the key documents: (name) -> the document. What SSM said is kept for 30 seconds."""
    from rolegate import discovery

    env = _settings()
    issuer, published = env.text("ISSUER"), discovery.Published(_stores(env).documents().read)
    return lambda name: discovery.document(name, issuer, published.at(_now()))


def rotate_keys() -> Callable[[Mapping[str, Any]], Any]:
    """Build the keys' keeper: an event of CloudFormation, the schedule or an operator -> a report for the latter."""
    from rolegate import custom_resource, rotation

    env, log = _settings(), _log()
    hierarchy, minimums = env.text("ROLES"), env.several("MIN_ROLES")
    world = parts.rotation(env, _stores(env), log, _wait)

    def work(event: Mapping[str, Any]) -> rotation.Report:
        if "ResponseURL" in event:  # roles that make no sense stop a deployment here, before a function gets them
            roles.check(hierarchy, minimums)
        try:
            return rotation.carry_out(event, world, _now())
        except errors.InvalidRequest:
            raise
        except Exception as error:
            log.event("rotation_failed")
            log.failure(error)
            raise

    return lambda event: custom_resource.run(event, lambda: work(event))
