"""What lets the template be deployed twice in an account, and in every partition of AWS."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cfnlint.api import lint  # type: ignore[import-untyped] # it ships no types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Stack

# Names that live inside something of the stack's own, or name something else.
INNER = {
    ("AWS::ApiGateway::Stage", "StageName"),
    ("AWS::ApiGatewayV2::Stage", "StageName"),
    ("AWS::CloudWatch::Alarm", "MetricName"),
    ("AWS::Lambda::Permission", "FunctionName"),
}
# What the linter finds in SAM's own work: it says a conditional route's condition three times, and puts its value in
# the place of this parameter.
SAMS_OWN = (
    ("W1028", ["Resources", "Api", "Properties", "Body", "paths"]),
    ("W2001", ["Parameters", "AuthorizerCacheSeconds"]),
)
SERVICES = {"apigateway.amazonaws.com", "events.amazonaws.com", "lambda.amazonaws.com"}  # the same in every partition


def texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield from (*texts(key), *texts(item))
        case list():
            for item in value:
                yield from texts(item)


def needs(value: Any, names: set[str]) -> set[str]:
    """Find the resources that a value refers to."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name} & names
        case {"Fn::Sub": inner}:
            text, variables = inner if isinstance(inner, list) else (inner, {})
            return set(re.findall(r"\$\{(\w+)", text)) & names | needs(variables, names)
        case {"DependsOn": before, **rest}:
            return set([before] if isinstance(before, str) else before) | needs(rest, names)
        case dict():
            return set().union(*(needs(item, names) for item in value.values()))
        case list():
            return set().union(*(needs(item, names) for item in value))
        case _:
            return set()


def test_no_name_is_fixed(everything: Stack) -> None:
    for name, resource in everything.resources.items():
        for key, value in resource["Properties"].items():
            if re.search(r"(?<!User)Name$", key) and (resource["Type"], key) not in INNER:
                assert everything.name in value, f"{name}: {key}"


def test_two_stacks_share_no_name(everything: Stack) -> None:
    assert all("LogGroupName" not in group for group in everything.of_type("AWS::Logs::LogGroup").values())
    assert all("TableName" not in table for table in everything.of_type("AWS::DynamoDB::Table").values())
    assert all("Name" not in secret for secret in everything.of_type("AWS::SecretsManager::Secret").values())
    assert all(p["Name"].startswith("/auth-prod/") for p in everything.of_type("AWS::SSM::Parameter").values())


def test_nothing_is_exported(everything: Stack) -> None:
    assert all(output.keys() == {"Description", "Value"} for output in everything.outputs.values())


def test_the_source_names_no_partition_and_no_url_suffix(written: str) -> None:
    assert "arn:aws:" not in written
    assert set(re.findall(r"[\w.-]*amazonaws[\w.-]*", written)) <= SERVICES


def test_every_arn_is_of_the_partition_where_it_is_deployed(abroad: Stack) -> None:
    partitions = set(re.findall(r"arn:(aws[a-z-]*):", json.dumps([abroad.resources, abroad.outputs])))
    assert partitions == {abroad.partition}


def test_every_address_is_of_the_partition_where_it_is_deployed(abroad: Stack) -> None:
    fixed = {text for text in texts(abroad.template) if "amazonaws" in text}
    assert fixed <= SERVICES
    addresses = {text for text in texts([abroad.resources, abroad.outputs]) if "amazonaws" in text} - SERVICES
    assert addresses == {f"https://<Api>.execute-api.{abroad.region}.{abroad.suffix}/v1"}


def test_no_resource_waits_for_itself(abroad: Stack) -> None:
    resources = abroad.template["Resources"]
    waiting = {name: needs(resource, set(resources)) for name, resource in resources.items()}
    while free := {name for name, others in waiting.items() if not others & waiting.keys()}:
        waiting = {name: others for name, others in waiting.items() if name not in free}
    assert not waiting


def test_the_linter_finds_nothing_in_the_source(written: str) -> None:
    assert lint(written, regions=["us-east-1"]) == []


def test_the_linter_finds_nothing_in_what_it_is_transformed_to(abroad: Stack) -> None:
    matches = lint(json.dumps(abroad.template), regions=[abroad.region])
    ours = [m for m in matches if not any(m.rule.id == rule and m.path[: len(at)] == at for rule, at in SAMS_OWN)]
    assert ours == []
