"""What a stack must never lose, and how it comes to its first keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Stack

KEPT = {
    "Users": "AWS::DynamoDB::Table",
    "Sessions": "AWS::DynamoDB::Table",
    "Attempts": "AWS::DynamoDB::Table",
    "SigningKeys": "AWS::SecretsManager::Secret",
    "RefreshKeys": "AWS::SecretsManager::Secret",
}
KEYS = {
    "Users": [{"AttributeName": "username", "KeyType": "HASH"}],
    "Sessions": [
        {"AttributeName": "user_id", "KeyType": "HASH"},
        {"AttributeName": "session_id", "KeyType": "RANGE"},
    ],
    "Attempts": [{"AttributeName": "limiter", "KeyType": "HASH"}],
}


def test_these_and_only_these_hold_what_must_not_get_lost(everything: Stack) -> None:
    kinds = {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"}
    assert {name: r["Type"] for name, r in everything.resources.items() if r["Type"] in kinds} == KEPT


@pytest.mark.parametrize("name", KEPT)
def test_state_outlives_the_stack_and_a_replacement(stack: Stack, name: str) -> None:
    resource = stack.resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("name", KEYS)
def test_a_table_has_its_keys_is_paid_by_use_backed_up_and_encrypted(stack: Stack, name: str) -> None:
    table = stack.resources[name]["Properties"]
    assert table["KeySchema"] == KEYS[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_sessions_expire_and_users_do_not(stack: Stack) -> None:
    ttl = {"AttributeName": "session_expires_at", "Enabled": True}
    assert stack.resources["Sessions"]["Properties"]["TimeToLiveSpecification"] == ttl
    guesses = stack.resources["Attempts"]["Properties"]["TimeToLiveSpecification"]
    assert guesses == {"AttributeName": "expires_at", "Enabled": True}
    assert "TimeToLiveSpecification" not in stack.resources["Users"]["Properties"]


@pytest.mark.parametrize("name", ["SigningKeys", "RefreshKeys"])
def test_a_secret_starts_as_no_ring_so_that_there_is_a_version_to_swap(stack: Stack, name: str) -> None:
    assert stack.resources[name]["Properties"].keys() == {"Description", "SecretString"}
    assert stack.resources[name]["Properties"]["SecretString"] == "{}"


def test_the_public_keys_start_as_none(stack: Stack) -> None:
    jwks = stack.resources["Jwks"]["Properties"]
    assert jwks["Name"] == "/auth-prod/jwks"
    assert jwks["Type"] == "String"
    assert json.loads(jwks["Value"]) == {"keys": []}


def test_the_first_keys_are_made_with_the_stack_within_two_minutes(stack: Stack) -> None:
    assert stack.resources["KeyRings"] == {
        "Type": "Custom::KeyRings",
        "Properties": {
            "ServiceToken": "<RotateKeysFunction.Arn>",
            "ServiceTimeout": 120,
            "SigningAlgorithm": "RS256",
            "AccessTokenMinutes": "15",
            "RefreshTokenDays": "7",
            "Roles": "user=1,manager=2,admin=3",
            "MinRoles": "user,manager,admin",
        },
    }
    assert stack.functions()["RotateKeys"]["Timeout"] < 120


def test_the_key_rings_are_looked_after_anew_when_what_they_depend_on_changes(transform: Any) -> None:
    for name, value in {
        "SigningAlgorithm": "ES256",
        "AccessTokenMinutes": "5",
        "RefreshTokenDays": "90",
        "Roles": "viewer=10,editor=20,owner=30",
    }.items():
        assert transform(**{name: value}).resources["KeyRings"]["Properties"][name] == value


@pytest.mark.parametrize("slot", ["User", "Manager", "Admin"])
def test_roles_are_looked_at_before_any_authorizer_gets_them(transform: Any, slot: str) -> None:
    stack = transform(**{f"{slot}AuthorizerMinRole": "owner"})
    assert "owner" in stack.resources["KeyRings"]["Properties"]["MinRoles"].split(",")
    assert stack.resources[f"{slot}AuthorizerFunction"]["DependsOn"] in ("KeyRings", ["KeyRings"])
    variables = stack.functions()[f"{slot}Authorizer"]["Environment"]["Variables"]
    assert variables["MIN_ROLE"] == "owner"


def test_nobody_registers_before_the_roles_were_looked_at(everything: Stack) -> None:
    assert everything.resources["RegisterFunction"]["DependsOn"] in ("KeyRings", ["KeyRings"])


def test_nothing_issues_tokens_before_the_rings_know_how_long_these_live(stack: Stack) -> None:
    """Else a key that signed a longer-lived token might leave too soon."""
    for name in ("LoginFunction", "RefreshFunction", "ChangePasswordFunction"):
        assert stack.resources[name]["DependsOn"] in ("KeyRings", ["KeyRings"])


def test_the_keys_are_rotated_daily(stack: Stack) -> None:
    [rule] = stack.of_type("AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert [target["Arn"] for target in rule["Targets"]] == ["<RotateKeysFunction.Arn>"]
    assert rule.get("State", "ENABLED") == "ENABLED"
