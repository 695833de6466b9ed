"""authorizer.yaml: the authorizer without the stack that signs users in."""

from typing import Any

import pytest

from tests.template.conftest import REGIONS, SOURCE, Stack, parsed

ALONE = SOURCE.parent / "authorizer.yaml"
NEEDED = {"IssuerUrl": "https://auth.example.com", "Audience": "reports", "MinRole": "manager"}


def alone(region: str = "us-east-1", **parameters: str) -> Stack:
    return Stack(region, ALONE, **NEEDED | parameters)


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return parsed(ALONE.read_text())


def test_it_needs_an_issuer_an_audience_and_a_role_and_nothing_else(source: dict[str, Any]) -> None:
    assert {name for name, declared in source["Parameters"].items() if "Default" not in declared} == set(NEEDED)


def test_what_both_templates_ask_for_they_ask_for_alike(source: dict[str, Any]) -> None:
    whole = parsed(SOURCE.read_text())["Parameters"]
    for name, declared in source["Parameters"].items():
        if name in whole and name != "IssuerUrl":
            kept = declared.keys() - {"Description"}
            assert {key: whole[name][key] for key in kept} == {key: declared[key] for key in kept}, name
    assert source["Parameters"]["IssuerUrl"]["AllowedPattern"] == whole["IssuerUrl"]["AllowedPattern"].removeprefix(
        "^$|"
    )


def test_it_keeps_nothing_and_knows_no_secret() -> None:
    kinds = {resource["Type"].removeprefix("AWS::") for resource in alone().resources.values()}
    assert kinds == {
        "Lambda::Function",
        "Lambda::LayerVersion",
        "Lambda::Permission",
        "IAM::Role",
        "Logs::LogGroup",
        "SSM::Parameter",
    }


def test_it_may_do_nothing_but_log() -> None:
    role = alone().resources["AuthorizerRole"]["Properties"]
    assert role.keys() == {"AssumeRolePolicyDocument", "Policies"}
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "<AuthorizerLogs.Arn>",
    }


def test_it_is_the_same_function_with_the_check_off() -> None:
    [function] = alone(Roles="viewer=1,manager=2").functions().values()
    [whole] = [f for name, f in Stack().functions().items() if name == "UserAuthorizer"]
    for key in ("Runtime", "Handler", "MemorySize", "Timeout", "Architectures"):
        assert function[key] == whole[key]
    assert function["Environment"]["Variables"] == {
        "METRICS_NAMESPACE": "auth-prod",
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "reports",
        "MIN_ROLE": "manager",
        "ROLES": "viewer=1,manager=2",
        "HTTP_API_RESPONSES": "simple",
        "WEBSOCKET_QUERY_TOKEN": "false",
        "KEY_SET_SECONDS": "300",
        "EXPIRY_LEEWAY_SECONDS": "0",
        "REVOCATION_CHECK": "off",
    }


@pytest.mark.parametrize("region", REGIONS)
def test_every_api_of_the_account_may_ask_it_and_find_it(region: str) -> None:
    stack = alone(region)
    [permission] = stack.of_type("AWS::Lambda::Permission").values()
    source = f"arn:{stack.partition}:execute-api:{region}:{stack.account}:*/authorizers/*"
    assert (permission["Principal"], permission["SourceArn"]) == ("apigateway.amazonaws.com", source)
    names = {p["Name"]: p["Value"] for p in stack.of_type("AWS::SSM::Parameter").values()}
    assert names["/auth-prod/authorizer"] == "<AuthorizerFunction.Arn>"
    assert stack.outputs["AuthorizerArn"]["Value"] == "<AuthorizerFunction.Arn>"
    assert "arn:aws:" not in ALONE.read_text()


@pytest.mark.parametrize(("architecture", "layer"), [("arm64", "LayerArm64"), ("x86_64", "LayerX86")])
def test_it_runs_on_either_processor(architecture: str, layer: str, source: dict[str, Any]) -> None:
    stack = alone(Architecture=architecture)
    [(name, version)] = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert name.startswith(layer)
    assert version["CompatibleArchitectures"] == [architecture]
    assert source["Resources"][layer]["Metadata"] == {"BuildMethod": "makefile", "BuildArchitecture": architecture}
