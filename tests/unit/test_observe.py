"""What operators see, and what they never see."""

import subprocess
import sys

import pytest
from rolegate.errors import Unavailable
from rolegate.observe import METRICS, Log

from tests.conftest import Logs


def test_an_event_is_one_line_with_its_facts(logs: Logs) -> None:
    Log("Rolegate").event("logged_in", user_id="user-1", generation=3, source_ip=None)
    (line,) = logs.lines
    assert (line["level"], line["message"], line["service"]) == ("INFO", "logged_in", "rolegate")
    assert (line["user_id"], line["generation"]) == ("user-1", 3)
    assert "source_ip" not in line
    assert line["timestamp"].endswith("+00:00")


def test_a_line_names_the_request_it_belongs_to(logs: Logs) -> None:
    log = Log("Rolegate")
    log.request_id = "request-1"
    log.event("logged_in")
    log.failure(ValueError())
    assert [line["request_id"] for line in logs.lines] == ["request-1", "request-1"]


@pytest.mark.parametrize(("event", "metric"), METRICS.items())
def test_what_asks_for_somebodys_eyes_is_a_warning_and_counted(logs: Logs, event: str, metric: str) -> None:
    Log("Rolegate").event(event, user_id="user-1")
    count, line = logs.lines
    assert count[metric] == [1.0]
    assert count["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Rolegate"
    assert (line["level"], line["message"]) == ("WARNING", event)


def test_nothing_else_is_counted(logs: Logs) -> None:
    Log("Rolegate").event("logged_in")
    assert logs.metrics() == []


def test_a_failure_tells_what_and_where_and_none_of_the_errors_own_words(logs: Logs) -> None:
    def quote() -> None:
        raise Unavailable("battery staple") from KeyError("correct horse")

    with pytest.raises(Unavailable) as raised:
        quote()
    Log("Rolegate").failure(raised.value)
    (line,) = logs.lines
    assert (line["level"], line["error"], line["cause"]) == ("ERROR", "Unavailable", "KeyError")
    assert line["where"][-1].startswith("test_observe.py:")
    assert line["where"][-1].endswith(" quote")
    assert "horse" not in logs.text
    assert "staple" not in logs.text


def test_a_failure_without_a_cause_names_none(logs: Logs) -> None:
    Log("Rolegate").failure(ValueError("words"))
    assert "cause" not in logs.lines[0]


def test_a_function_that_says_nothing_does_not_load_the_logger() -> None:
    load = "import rolegate.observe, sys; rolegate.observe.Log('x'); sys.exit('aws_lambda_powertools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", load], check=False).returncode == 0
