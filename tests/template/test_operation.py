"""What operators see of a stack: alarms and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Stack, Transform

ALARMS = {  # name: namespace, metric, dimensions
    "AuthorizerUnavailableAlarm": ("auth-prod", "AuthorizerUnavailable", []),
    "RefreshTokenReusedAlarm": ("auth-prod", "RefreshTokenReused", []),
    "RotationFailedAlarm": ("AWS/Lambda", "Errors", [{"Name": "FunctionName", "Value": "<RotateKeysFunction>"}]),
}
OUTPUTS = {
    "ApiUrl": "https://<Api>.execute-api.us-east-1.amazonaws.com/v1",
    "RestApiId": "<Api>",
    "KeysApiId": "<KeysApi>",
    "IssuerUrl": "<KeysApi.ApiEndpoint>",
    "JwksUrl": "<KeysApi.ApiEndpoint>/.well-known/jwks.json",
    "UsersTable": "<Users>",
    "AttemptsTable": "<Attempts>",
    "SessionsTable": "<Sessions>",
    "SigningKeysSecret": "<SigningKeys.Id>",
    "RefreshKeysSecret": "<RefreshKeys.Id>",
    "JwksParameter": "<Jwks>",
    "RotateKeysFunctionName": "<RotateKeysFunction>",
    "UserAuthorizerArn": "<UserAuthorizerFunction.Arn>",
    "ManagerAuthorizerArn": "<ManagerAuthorizerFunction.Arn>",
    "AdminAuthorizerArn": "<AdminAuthorizerFunction.Arn>",
}


def test_there_are_these_alarms(stack: Stack) -> None:
    found = {
        name: (alarm["Namespace"], alarm["MetricName"], alarm.get("Dimensions", []))
        for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items()
        if name != "KeyAgeAlarm"
    }
    assert found == ALARMS


def test_keys_that_are_older_than_they_should_be_ring_and_so_does_silence_about_them(transform: Transform) -> None:
    alarm = transform(KeyRotationDays="7").resources["KeyAgeAlarm"]["Properties"]
    overdue, age = alarm["Metrics"]
    assert overdue["Expression"] == "age - 7"
    assert (age["Id"], age["ReturnData"]) == ("age", False)
    assert age["MetricStat"]["Metric"] == {"Namespace": "auth-prod", "MetricName": "KeyAgeDays"}
    assert (age["MetricStat"]["Stat"], age["MetricStat"]["Period"]) == ("Maximum", 86_400)
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (2, "GreaterThanOrEqualToThreshold")
    assert (alarm["TreatMissingData"], alarm["EvaluationPeriods"]) == ("breaching", 2)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_rings_at_the_first_and_is_still_while_nothing_happens(stack: Stack, name: str) -> None:
    alarm = stack.resources[name]["Properties"]
    assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmDescription"].endswith(".")


@pytest.mark.parametrize("name", [*ALARMS, "KeyAgeAlarm"])
def test_alarms_tell_the_topic_if_there_is_one(stack: Stack, everything: Stack, name: str) -> None:
    assert "AlarmActions" not in stack.resources[name]["Properties"]
    assert everything.resources[name]["Properties"]["AlarmActions"] == ["arn:aws:sns:us-east-1:123456789012:alarms"]


def test_the_stack_says_what_it_made(stack: Stack) -> None:
    [layer] = stack.of_type("AWS::Lambda::LayerVersion")
    assert {name: output["Value"] for name, output in stack.outputs.items()} == OUTPUTS | {"LayerArn": f"<{layer}>"}
    assert all(output["Description"].endswith(".") for output in stack.outputs.values())


def test_an_issuer_of_ones_own_is_said(transform: Transform) -> None:
    outputs = transform(IssuerUrl="https://auth.example.com").outputs
    assert outputs["IssuerUrl"]["Value"] == "https://auth.example.com"
    assert outputs["JwksUrl"]["Value"] == "https://auth.example.com/.well-known/jwks.json"
