"""Every function finds in the template's environment what it asks for, and nothing more."""

from typing import Any

import pytest
import yaml

from tests.conftest import ENVIRONMENT, ROOT


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms of functions as nothing in particular."""


Template.add_multi_constructor("!", lambda _loader, _tag, _node: None)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    with (ROOT / "template.yaml").open() as file:
        loaded: dict[str, Any] = yaml.load(file, Template)  # noqa: S506 - a safe loader that knows `!`
    return loaded


def environments(template: dict[str, Any]) -> dict[str, list[set[str]]]:
    """Return the names of the settings that the template gives, for every function of a folder."""
    common = set(template["Globals"]["Function"]["Environment"]["Variables"])
    found: dict[str, list[set[str]]] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            folder = properties["CodeUri"].rstrip("/").rpartition("/")[2]
            own = properties.get("Environment", {}).get("Variables", {})
            found.setdefault(folder, []).append(common | set(own))
    return found


def test_every_function_of_the_template_is_tried(template: dict[str, Any]) -> None:
    assert set(environments(template)) == set(ENVIRONMENT) == {folder.name for folder in (ROOT / "functions").iterdir()}


@pytest.mark.parametrize("function", ENVIRONMENT)
def test_a_function_is_given_what_it_asks_for_and_nothing_more(template: dict[str, Any], function: str) -> None:
    for given in environments(template)[function]:
        assert given == {"METRICS_NAMESPACE", *ENVIRONMENT[function].split()}
