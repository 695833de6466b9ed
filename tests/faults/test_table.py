"""The table of faults in docs/refresh.md: every row names its tests, and `make faults` runs each of them."""

import re

import pytest

from tests.conftest import ROOT

ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs/refresh.md").read_text().partition("<!-- faults -->")[2].partition("\n\n")[0].splitlines()
    if line.startswith("| ")
][2:]


def those_run() -> set[str]:
    """Return the names of the tests that `make faults` runs."""
    (paths,) = re.findall(r"^faults:.*\n.*pytest (tests.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    files = [
        file
        for path in paths.split()
        for file in ([ROOT / path], (ROOT / path).rglob("test_*.py"))[(ROOT / path).is_dir()]
    ]
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


def test_the_table_is_there() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_fault_has_its_tests_and_they_are_run(row: list[str]) -> None:
    _fault, _what, tests = row
    names = re.findall(r"`(\w+)`", tests)
    assert names
    assert set(names) <= those_run()
