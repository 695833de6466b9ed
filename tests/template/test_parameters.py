"""The parameters: what may be said of a stack, and what not."""

import re
from typing import Any

import pytest

TRUTH = ["true", "false"]
RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
CHOICES = {  # name: default, allowed values
    "Architecture": ("arm64", ["arm64", "x86_64"]),
    "Registration": ("closed", ["closed", "open"]),
    "SampleRoutes": ("false", TRUTH),
    "Subject": ("username", ["username", "user_id"]),
    "SigningAlgorithm": ("RS256", ["RS256", "ES256", "EdDSA"]),
    "HttpApiResponses": ("simple", ["simple", "iam"]),
    "WebSocketQueryToken": ("false", TRUTH),
    "UserRevocationCheck": ("off", ["off", "cached", "strict"]),
    "ManagerRevocationCheck": ("cached", ["off", "cached", "strict"]),
    "AdminRevocationCheck": ("strict", ["off", "cached", "strict"]),
    "ApiLogs": ("false", TRUTH),
    "LogRetentionDays": (30, RETENTIONS),
}
RANGES = {  # name: default, least, most
    "AccessTokenMinutes": (15, 5, 15),
    "RefreshTokenDays": (7, 1, 90),
    "SessionDays": (30, 1, 365),
    "RefreshGraceSeconds": (30, 0, 60),
    "ExpiryLeewaySeconds": (0, 0, 30),
    "KeyRotationDays": (30, 1, 365),
    "KeyRingSeconds": (300, 30, 300),
    "KeySetSeconds": (300, 30, 300),
    "BcryptCost": (12, 10, 15),
    "PasswordMinLength": (8, 8, 64),
    "PasswordMaxLength": (256, 64, 256),
    "UserNetworkAttempts": (10, 1, 100),
    "UserNetworkAttemptSeconds": (900, 1, 86_400),
    "UserAttempts": (100, 1, 100),
    "UserAttemptSeconds": (900, 1, 86_400),
    "NetworkAttempts": (100, 1, 100_000),
    "NetworkAttemptSeconds": (10, 1, 86_400),
    "ReservedConcurrency": (0, 0, 1000),
    "AuthorizerCacheSeconds": (60, 0, 300),
    "RevocationCheckSeconds": (60, 1, 300),
    "ThrottlingRate": (100, 1, 10000),
    "ThrottlingBurst": (200, 1, 5000),
}
TEXTS = {
    "IssuerUrl": "",
    "Audiences": "rolegate",
    "AllowedOrigin": "*",
    "AlarmTopicArn": "",
    "EdgeSecretSha256": "",
    "EdgeAddressHeader": "CloudFront-Viewer-Address",
    "WebAclLimit": "0",
    "RotationsPerLateRetry": "20",
    "Roles": "user=1,manager=2,admin=3",
    "UserAuthorizerMinRole": "user",
    "ManagerAuthorizerMinRole": "manager",
    "AdminAuthorizerMinRole": "admin",
}


def test_there_are_these_parameters_and_no_others(source: dict[str, Any]) -> None:
    assert source["Parameters"].keys() == CHOICES.keys() | RANGES.keys() | TEXTS.keys()


def test_every_parameter_says_what_it_is_for_and_what_it_takes(source: dict[str, Any]) -> None:
    for name, parameter in source["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert parameter["ConstraintDescription"].startswith("must be "), name
        assert parameter.keys() & {"AllowedValues", "AllowedPattern", "MinValue"}, name


def test_every_parameter_is_asked_for_once_in_a_group(source: dict[str, Any]) -> None:
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = [name for group in groups for name in group["Parameters"]]
    assert sorted(asked) == sorted(source["Parameters"])


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_has_its_values(source: dict[str, Any], name: str) -> None:
    parameter = source["Parameters"][name]
    assert (parameter["Default"], parameter["AllowedValues"]) == CHOICES[name]


@pytest.mark.parametrize("name", RANGES)
def test_a_number_has_its_bounds(source: dict[str, Any], name: str) -> None:
    parameter = source["Parameters"][name]
    assert parameter["Type"] == "Number"
    assert (parameter["Default"], parameter["MinValue"], parameter["MaxValue"]) == RANGES[name]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_its_default_and_takes_it(source: dict[str, Any], name: str) -> None:
    parameter = source["Parameters"][name]
    assert parameter["Default"] == TEXTS[name]
    assert re.search(parameter["AllowedPattern"], parameter["Default"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IssuerUrl", "https://auth.example.com"),
        ("IssuerUrl", "https://auth.example.com:8443"),
        ("IssuerUrl", "http://127.0.0.1:8000"),
        ("IssuerUrl", "http://localhost"),
        ("IssuerUrl", "http://[::1]:8000"),
        ("Audiences", "https://api.example.com/orders"),
        ("AllowedOrigin", "https://app.example.com"),
        ("AllowedOrigin", "http://localhost:3000"),
        *(("RotationsPerLateRetry", number) for number in ("0", "2", "9", "10", "999", "1000")),
        ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:alarms"),
        ("EdgeSecretSha256", "0123456789abcdef" * 4),
        ("EdgeAddressHeader", "True-Client-IP"),
        ("WebAclLimit", "10"),
        ("WebAclLimit", "2000000"),
        ("AlarmTopicArn", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:alarms.fifo"),
    ],
)
def test_a_sound_text_is_taken(source: dict[str, Any], name: str, value: str) -> None:
    assert re.search(source["Parameters"][name]["AllowedPattern"], value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IssuerUrl", "http://auth.example.com"),
        ("IssuerUrl", "https://auth.example.com/"),
        ("IssuerUrl", "https://auth.example.com/v1"),
        ("IssuerUrl", "https://auth.example.com?a=b"),
        ("IssuerUrl", "https://Auth.example.com"),
        ("IssuerUrl", "https://user@auth.example.com"),
        ("IssuerUrl", "http://127.0.0.1.example.com"),
        ("IssuerUrl", "auth.example.com"),
        ("Audiences", ""),
        ("Audiences", "two words"),
        ("Audiences", "a'b"),
        ("AllowedOrigin", ""),
        ("AllowedOrigin", "https://app.example.com/"),
        ("AllowedOrigin", "https://a.example.com,https://b.example.com"),
        ("AllowedOrigin", "https://x' 'y"),
        ("AllowedOrigin", "null"),
        *(("RotationsPerLateRetry", number) for number in ("", "1", "01", "-2", "1001", "2.5", "many")),
        ("EdgeSecretSha256", "the secret itself"),
        ("EdgeSecretSha256", "0123456789ABCDEF" * 4),
        ("EdgeAddressHeader", ""),
        ("EdgeAddressHeader", "X-Real-IP: 1"),
        *(("WebAclLimit", number) for number in ("", "9", "-10", "010", "many")),
        ("AlarmTopicArn", "alarms"),
        ("AlarmTopicArn", "arn:aws:sqs:eu-central-1:123456789012:alarms"),
    ],
)
def test_an_unsound_text_is_refused(source: dict[str, Any], name: str, value: str) -> None:
    assert not re.search(source["Parameters"][name]["AllowedPattern"], value)
