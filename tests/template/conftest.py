"""The template as CloudFormation would see it: transformed by SAM, all conditions and references resolved, offline."""

import copy
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped] # it ships no types
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped] # the same
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped] # the same

SOURCE = Path(__file__).parents[2] / "template.yaml"


def parsed(template: str) -> dict[str, Any]:
    """Read a template as SAM does, without what SAM's reader does to every other reader of YAML in this process."""
    constructors = dict(yaml.SafeLoader.yaml_constructors)
    try:
        return dict(yaml_parse(template))
    finally:
        yaml.SafeLoader.yaml_constructors = constructors


REGIONS = {  # region: partition, URL suffix
    "us-east-1": ("aws", "amazonaws.com"),
    "us-gov-west-1": ("aws-us-gov", "amazonaws.com"),
    "cn-north-1": ("aws-cn", "amazonaws.com.cn"),
}
ABSENT = object()


class Stack:
    """A template deployed in thought: `resources` and `outputs` hold what each property comes to.

    What only exists once it is deployed is written `<Users>` for a reference and `<Users.Arn>` for an attribute.
    """

    def __init__(self, region: str = "us-east-1", written: Path = SOURCE, **parameters: str) -> None:
        source = parsed(written.read_text())
        for resource in source["Resources"].values():
            for key in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
                resource["Properties"][key] = "s3://bucket/built"  # where `sam deploy` puts it
        declared_values = {name: d["Default"] for name, d in source["Parameters"].items() if "Default" in d}
        values = {name: str(value) for name, value in declared_values.items()} | parameters
        translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
        self.template = translator.translate(source, parameter_values=dict(values))
        self.name, self.account, self.region = "auth-prod", "123456789012", region
        self.partition, self.suffix = REGIONS[region]
        self.values: dict[str, Any] = values | {
            "AWS::StackName": self.name,
            "AWS::Region": region,
            "AWS::AccountId": self.account,
            "AWS::Partition": self.partition,
            "AWS::URLSuffix": self.suffix,
            "AWS::NoValue": ABSENT,
        }
        for name, declared in source["Parameters"].items():
            if declared["Type"] == "CommaDelimitedList":
                self.values[name] = values[name].split(",")
        self.resources: dict[str, dict[str, Any]] = {
            name: self.resolve(copy.deepcopy(resource))
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        self.outputs: dict[str, dict[str, str]] = self.resolve(copy.deepcopy(self.template["Outputs"]))

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Pick the properties of all resources of a type."""
        return {name: r["Properties"] for name, r in self.resources.items() if r["Type"] == kind}

    def functions(self) -> dict[str, dict[str, Any]]:
        """Pick the functions, by their names without `Function`."""
        return {name.removesuffix("Function"): f for name, f in self.of_type("AWS::Lambda::Function").items()}

    def body(self) -> dict[str, Any]:
        """Pick the REST API's own description."""
        [api] = self.of_type("AWS::ApiGateway::RestApi").values()
        body: dict[str, Any] = api["Body"]
        return body

    def holds(self, condition: str) -> bool:
        """Say whether a condition is true."""
        return self.truth(self.template["Conditions"][condition])

    def truth(self, expression: Any) -> bool:
        match expression:
            case {"Fn::Equals": [left, right]}:
                return bool(self.resolve(left) == self.resolve(right))
            case {"Fn::Not": [inner]}:
                return not self.truth(inner)
            case _:
                raise NotImplementedError(expression)

    def resolve(self, value: Any) -> Any:
        """Work out the intrinsic functions in a value."""
        match value:
            case list():
                return [item for item in map(self.resolve, value) if item is not ABSENT]
            case dict() if len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::")):
                return self.work_out(*next(iter(value.items())))
            case dict():
                pairs = ((key, self.resolve(item)) for key, item in value.items())
                return {key: item for key, item in pairs if item is not ABSENT}
            case _:
                return value

    def work_out(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", name:
                result = self.look_up(name)
            case "Fn::GetAtt", [resource, attribute]:
                result = self.look_up(f"{resource}.{attribute}")
            case "Fn::If", [condition, yes, no]:
                result = self.resolve(yes if self.holds(condition) else no)
            case "Fn::Join", [glue, parts]:
                result = glue.join(self.resolve(parts))
            case "Fn::Select", [index, choices]:
                result = self.resolve(choices)[int(index)]
            case "Fn::Sub", [text, variables]:
                result = self.fill(text, self.resolve(variables))
            case "Fn::Sub", text:
                result = self.fill(text, {})
            case _:
                raise NotImplementedError(function, argument)
        return result

    def look_up(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        assert name.partition(".")[0] in self.template["Resources"], f"{name} is nowhere"
        return f"<{name}>"

    def fill(self, text: str, variables: Mapping[str, str]) -> str:
        return re.sub(r"\$\{([^!}]+)\}", lambda m: variables.get(m[1]) or self.look_up(m[1]), text)


type Transform = Callable[..., Stack]


@pytest.fixture(scope="session")
def transform_anew() -> Transform:
    """Transform the template for a region and parameters."""
    return Stack


@pytest.fixture(scope="session")
def transform() -> Transform:
    """Transform the template for a region and parameters, each such pair once."""
    return cache(Stack)


@pytest.fixture(scope="session")
def stack(transform: Transform) -> Stack:
    """Transform the template as it is deployed by default."""
    return transform()


@pytest.fixture(scope="session")
def everything(transform: Transform) -> Stack:
    """Transform the template with every optional part."""
    return transform(SampleRoutes="true", ApiLogs="true", AlarmTopicArn="arn:aws:sns:us-east-1:123456789012:alarms")


@pytest.fixture(scope="session")
def written() -> str:
    """Read the template's text."""
    return SOURCE.read_text()


@pytest.fixture(scope="session")
def source() -> dict[str, Any]:
    """Read the template as it is written."""
    template: dict[str, Any] = parsed(SOURCE.read_text())
    return template


@pytest.fixture(params=REGIONS)
def abroad(request: pytest.FixtureRequest, transform: Transform) -> Stack:
    """Transform the template for each partition of AWS."""
    return transform(region=request.param, SampleRoutes="true", ApiLogs="true")
