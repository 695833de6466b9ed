import json
from pathlib import Path
from typing import Any

import pytest

from local.home import Home
from local.invoke import cloudformation, invoke

EVENTS = sorted((Path(__file__).parents[2] / "events").glob("*.json"))
# These end everybody's tokens, those of the tests beside this one too; tests/functions tries them.
ENDING = ("rotate_keys_compromised.json", "rotate_keys_sign_out_everyone.json")
FUNCTIONS = {
    "account": "AccountFunction",
    "authorizer": "ManagerAuthorizerFunction",
    "change": "ChangePasswordFunction",
    "hello": "HelloFunction",
    "keys": "KeysFunction",
    "login": "LoginFunction",
    "logout": "LogoutFunction",
    "refresh": "RefreshFunction",
    "register": "RegisterFunction",
    "rotate": "RotateKeysFunction",
}
EXPECTED = {  # what the samples, whose tokens are placeholders, get
    "account.json": 401,
    "change_password.json": 401,
    "hello.json": 200,
    "hello_admin.json": 200,
    "hello_manager.json": 200,
    "keys_jwks.json": 200,
    "keys_oauth_authorization_server.json": 200,
    "keys_openid_configuration.json": 200,
    "login.json": 401,
    "logout.json": 401,
    "refresh.json": 401,
    "register.json": 201,
    "authorizer_rest_token.json": "Unauthorized",
    "authorizer_rest_request.json": "Unauthorized",
    "authorizer_websocket.json": "Unauthorized",
    "authorizer_http_1.json": "Deny",
    "authorizer_http_2.json": False,
    "rotate_keys_create.json": "SUCCESS",
    "rotate_keys_update.json": "SUCCESS",
    "rotate_keys_delete.json": "SUCCESS",
    "rotate_keys_schedule.json": "report",
    "rotate_keys_show.json": "report",
    "rotate_keys_rotate.json": "report",
}


def test_every_event_has_its_outcome_here() -> None:
    assert {path.name for path in EVENTS} == {*EXPECTED, *ENDING}


@pytest.mark.parametrize("path", [path for path in EVENTS if path.name not in ENDING], ids=lambda path: path.name)
def test_every_sample_event_runs_the_built_function_in_lambda_s_own_emulator(world: Any, path: Path) -> None:
    function = FUNCTIONS[path.stem.partition("_")[0]]
    with cloudformation(path.read_bytes()) as (sent, answers):
        answer = json.loads(invoke(Home(world.folder / ".local"), function, sent))
    assert outcome(answer, answers) == EXPECTED[path.name], answer


def outcome(answer: Any, told: list[bytes]) -> Any:
    match answer:
        case {"statusCode": status}:
            return status
        case {"errorMessage": message}:
            return message
        case {"rings": {"signing": {}, "refresh": {}}}:
            return "report"
        case {"isAuthorized": allowed}:
            return allowed
        case {"policyDocument": {"Statement": [{"Effect": effect}]}}:
            return effect
        case _:
            return json.loads(told[0])["Status"] if told else answer
