"""The service by itself: no AWS, no token, only the events that reach it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from rolegate import testing


def load() -> Any:
    spec = importlib.util.spec_from_file_location("reports_app", Path(__file__).parent / "reports" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


APP = load()


def ask(api: str, role: str, path: str, route: str | None = None) -> tuple[int, dict[str, Any]]:
    event = testing.request_event(api, role, username="bob", path=path, route=route)
    answer = APP.handler(event, None)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("api", ["rest", "http"])
def test_everybody_reads_what_is_published(api: str) -> None:
    assert ask(api, "user", "/reports") == (200, {"reports": ["Harvest", "Storage"], "for": "bob"})
    assert ask(api, "user", "/reports/7", "/reports/{id}") == (200, {"title": "Harvest", "state": "published"})


@pytest.mark.parametrize("api", ["rest", "http"])
def test_a_draft_is_for_managers(api: str) -> None:
    assert ask(api, "manager", "/reports/9", "/reports/{id}") == (200, {"title": "Transport", "state": "draft"})
    assert ask(api, "manager", "/drafts") == (200, {"drafts": ["Transport"], "for": "bob"})
    status, problem = ask(api, "user", "/reports/9", "/reports/{id}")
    assert (status, problem["detail"]) == (403, "manager access required")


@pytest.mark.parametrize("api", ["rest", "http"])
def test_an_audit_says_who_asks(api: str) -> None:
    status, who = ask(api, "admin", "/audit")
    assert (status, who["username"], who["role"]) == (200, "bob", "admin")


def test_a_report_that_there_is_not_is_not_found() -> None:
    assert ask("rest", "user", "/reports/1", "/reports/{id}")[0] == 404
