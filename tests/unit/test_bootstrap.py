"""A function with a setting that is missing or makes no sense does not start, and says which."""

import time
from collections.abc import Iterator

import pytest
from rolegate import bootstrap
from rolegate.errors import Misconfigured, Unauthorized

from tests.conftest import ENVIRONMENT, World, stack_without_rings

THE_CLOCK = bootstrap._now  # noqa: SLF001 - before a stack in memory sets another
SETTINGS = [(function, setting) for function, settings in ENVIRONMENT.items() for setting in settings.split()]
NEEDED = [(function, setting) for function, setting in SETTINGS if not setting.startswith("EDGE_")]  # few have a CDN
NONSENSE = {
    "ACCESS_TOKEN_MINUTES": ["4", "16", "fifteen", "-5", "5.0"],
    "AUDIENCES": [",", " , "],
    "BCRYPT_COST": ["3", "16"],
    "EDGE_SECRET_SHA256": ["secret", "0" * 63, "g" * 64],
    "EXPIRY_LEEWAY_SECONDS": ["31", "-1"],
    "HTTP_API_RESPONSES": ["complex"],
    "KEY_RING_SECONDS": ["29", "301"],
    "KEY_ROTATION_DAYS": ["0", "366"],
    "KEY_SET_SECONDS": ["29", "301"],
    "MIN_ROLE": ["owner", "Admin"],
    "MIN_ROLES": [",", " , "],
    "NETWORK_LIMIT": ["100", "0/10", "100/0", "1e2/10", "100/10/1", "-1/10"],
    "PASSWORD_MAX_LENGTH": ["63", "257"],
    "PASSWORD_MIN_LENGTH": ["7", "65"],
    "REFRESH_GRACE_SECONDS": ["61", "-1"],
    "REFRESH_TOKEN_DAYS": ["0", "91"],
    "REGISTRATION": ["ajar"],
    "REVOCATION_CHECK": ["on", "Off", "always"],
    "REVOCATION_CHECK_SECONDS": ["0", "301"],
    "ROLES": ["user", "user=1,user=2", "manager=2,owner=2", "email=1", "user=1,,admin=3"],
    "ROTATIONS_PER_LATE_RETRY": ["1001", "-1", "1"],
    "SESSION_DAYS": ["0", "366"],
    "SIGNING_ALGORITHM": ["none", "HS256", "rs256"],
    "SUBJECT": ["email"],
    "USER_LIMIT": ["100", "100/never"],
    "USER_NETWORK_LIMIT": ["10/", "/900"],
    "WEBSOCKET_QUERY_TOKEN": ["yes"],
}
WRONG = [
    (function, setting, value)
    for function, setting in SETTINGS
    for value in NONSENSE.get(setting, [])
    if (function, setting) != ("rotate_keys", "ROLES")  # it says so to CloudFormation (test_rotate_keys.py)
]
CHECKING = {"REVOCATION_CHECK": "cached"}  # with which an authorizer needs every one of its settings


@pytest.fixture(scope="module")
def nowhere() -> Iterator[World]:
    """A stack for all these tests: none gets as far as to ask anything of it."""
    with stack_without_rings() as world:
        yield world


@pytest.mark.parametrize(("function", "setting"), NEEDED)
def test_a_function_says_which_setting_it_lacks(nowhere: World, function: str, setting: str) -> None:
    with pytest.raises(Misconfigured, match=f"{setting} is missing"):
        nowhere.cold(function, **CHECKING | {setting: ""})


@pytest.mark.parametrize(("function", "setting", "value"), WRONG)
def test_a_function_says_which_setting_makes_no_sense(nowhere: World, function: str, setting: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=setting if setting != "ROLES" else "(?i)role"):
        nowhere.cold(function, **CHECKING | {setting: value})


@pytest.mark.parametrize("function", ["register", "login", "refresh", "change_password"])
def test_a_cdn_needs_both_its_settings(nowhere: World, function: str) -> None:
    with pytest.raises(Misconfigured, match="EDGE_ADDRESS_HEADER is missing"):
        nowhere.cold(function, EDGE_SECRET_SHA256="0" * 64, EDGE_ADDRESS_HEADER="")


def test_every_setting_with_a_rule_is_tried() -> None:
    assert set(NONSENSE) == {setting for _, setting, _ in WRONG}


@pytest.mark.parametrize("function", ENVIRONMENT)
def test_a_function_asks_nothing_of_aws_before_its_first_event(nowhere: World, function: str) -> None:
    nowhere.cold(function)
    assert nowhere.wire.calls == []


@pytest.mark.parametrize("mode", ["cached", "strict"])
def test_an_authorizer_that_asks_the_tables_asks_them_nothing_before_its_first_event(nowhere: World, mode: str) -> None:
    nowhere.cold("authorizer", REVOCATION_CHECK=mode)
    assert nowhere.wire.calls == []


def test_an_authorizer_without_tables_needs_none_that_it_does_not_ask(nowhere: World) -> None:
    nowhere.cold("authorizer", REVOCATION_CHECK="off", REVOCATION_CHECK_SECONDS="", USERS_TABLE="", SESSIONS_TABLE="")


@pytest.mark.parametrize("issuer", ["http://auth.example.com", "ftp://127.0.0.1", "auth.example.com"])
def test_an_authorizer_takes_keys_from_an_https_address_only(nowhere: World, issuer: str) -> None:
    with pytest.raises(Misconfigured, match="must be an https address"):
        nowhere.cold("authorizer", ISSUER=issuer)


@pytest.mark.parametrize("role", ["user", "manager", "admin"])
def test_an_authorizer_of_every_role_starts(nowhere: World, role: str) -> None:
    event = {"type": "TOKEN", "authorizationToken": "", "methodArn": "arn:aws:execute-api:x:1:a/v1/GET/"}
    with pytest.raises(Unauthorized):
        nowhere.cold("authorizer", MIN_ROLE=role)(event, None)


def test_the_time_is_the_machines_own() -> None:
    before = int(time.time())
    assert before <= THE_CLOCK() <= int(time.time())
