"""Every function finds in the template's environment what it asks for, and nothing more."""

import pytest

from tests.conftest import ENVIRONMENT, ROOT, template


def environments() -> dict[str, list[set[str]]]:
    """Return the names of the settings that the template gives, for every function of a folder."""
    common = set(template()["Globals"]["Function"]["Environment"]["Variables"])
    found: dict[str, list[set[str]]] = {}
    for resource in template()["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            folder = properties["CodeUri"].rstrip("/").rpartition("/")[2]
            own = properties.get("Environment", {}).get("Variables", {})
            found.setdefault(folder, []).append(common | set(own))
    return found


def test_every_function_of_the_template_is_tried() -> None:
    assert set(environments()) == set(ENVIRONMENT) == {folder.name for folder in (ROOT / "functions").iterdir()}


@pytest.mark.parametrize("function", ENVIRONMENT)
def test_a_function_is_given_what_it_asks_for_and_nothing_more(function: str) -> None:
    for given in environments()[function]:
        assert given == {"METRICS_NAMESPACE", *ENVIRONMENT[function].split()}
