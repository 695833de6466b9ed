"""Reports: a service of another team, behind Rolegate's authorizers, for a REST and an HTTP API alike.

Which role a route needs stands at the route, in template.yaml. Only where that depends on the data does the code ask.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from rolegate import guard

type Event = Mapping[str, Any]
type Answer = dict[str, Any]

REPORTS: Mapping[str, Mapping[str, str]] = {
    "7": {"title": "Harvest", "state": "published"},
    "8": {"title": "Storage", "state": "published"},
    "9": {"title": "Transport", "state": "draft"},
}


def handler(event: Event, context: object) -> Answer:
    """Answer a request of either API; each names its route."""
    route = event.get("routeKey") or f"{event['httpMethod']} {event['resource']}"
    return ROUTES[route](event, context)


def published(event: Event, _context: object) -> Answer:
    """List what everybody may read (GET /reports, for users)."""
    return answer(200, {"reports": _listed("published"), "for": caller(event)["username"]})


def drafts(event: Event, _context: object) -> Answer:
    """List what is not published yet (GET /drafts, for managers)."""
    return answer(200, {"drafts": _listed("draft"), "for": caller(event)["username"]})


def audit(event: Event, _context: object) -> Answer:
    """Say who asks in which session (GET /audit, for admins)."""
    who = caller(event)
    return answer(200, {name: who[name] for name in ("username", "user_id", "role", "session_id")})


def one(event: Event, context: object) -> Answer:
    """Show one report (GET /reports/{id}, for users): a draft is for managers, which only its data can tell."""
    report = REPORTS.get((event.get("pathParameters") or {}).get("id", ""))
    if report is None:
        return answer(404, {"detail": "There is no such report."})
    return draft(event, context) if report["state"] == "draft" else answer(200, report)


@guard.require_role("manager")
def draft(event: Event, _context: object) -> Answer:
    """Show one draft."""
    return answer(200, REPORTS[event["pathParameters"]["id"]])


def caller(event: Event) -> Mapping[str, str]:
    """Return what the authorizer says of the caller: REST APIs have it flat, HTTP APIs under `lambda`."""
    told: Mapping[str, Any] = event["requestContext"]["authorizer"]
    found: Mapping[str, str] = told.get("lambda", told)
    return found


def answer(status: int, body: Mapping[str, Any]) -> Answer:
    """Return an answer in JSON."""
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


def _listed(state: str) -> list[str]:
    return [report["title"] for report in REPORTS.values() if report["state"] == state]


ROUTES: Mapping[str, Callable[[Event, object], Answer]] = {
    "GET /reports": published,
    "GET /reports/{id}": one,
    "GET /drafts": drafts,
    "GET /audit": audit,
}
