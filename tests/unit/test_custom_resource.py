"""CloudFormation always gets its answer, and nothing in it but what may be told."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from rolegate import custom_resource
from rolegate.errors import Misconfigured, Unavailable

from tests.conftest import serving


class CloudFormation:
    """The place where answers are put, and the answers."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str | None]] = []

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        self.answers.append(json.loads(body))
        self.requests.append((request.command, request.headers["Content-Type"]))
        assert len(body) < 4096
        return 200, {}, b""

    def event(self, kind: str, **more: str) -> dict[str, Any]:
        ids = {"StackId": "stack-1", "RequestId": "request-1", "LogicalResourceId": "KeyRings"}
        return {"RequestType": kind, "ResponseURL": self.url, **ids, **more}


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    there = CloudFormation()
    with serving(there.take) as url:
        there.url = url
        yield there


def failing(error: Exception) -> Any:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_work_is_done_and_success_told(cloudformation: CloudFormation, kind: str) -> None:
    done: list[str] = []
    custom_resource.run(cloudformation.event(kind), lambda: done.append(kind))
    assert done == [kind]
    assert cloudformation.answers == [
        {
            "Status": "SUCCESS",
            "Reason": "done",
            "PhysicalResourceId": custom_resource.PHYSICAL_ID,
            "StackId": "stack-1",
            "RequestId": "request-1",
            "LogicalResourceId": "KeyRings",
        }
    ]


def test_the_answer_is_put_without_a_content_type_as_its_signed_address_asks(cloudformation: CloudFormation) -> None:
    custom_resource.run(cloudformation.event("Create"), lambda: None)
    assert cloudformation.requests == [("PUT", "")]


def test_the_physical_id_never_changes(cloudformation: CloudFormation) -> None:
    custom_resource.run(cloudformation.event("Update", PhysicalResourceId="the-first-one"), lambda: None)
    assert cloudformation.answers[0]["PhysicalResourceId"] == "the-first-one"


def test_a_deletion_does_nothing_and_succeeds(cloudformation: CloudFormation) -> None:
    custom_resource.run(cloudformation.event("Delete"), failing(Unavailable()))
    assert cloudformation.answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("error", [Unavailable(), Misconfigured("SIGNING_ALGORITHM is 'none'.")])
def test_an_error_in_our_own_words_is_told_as_it_is(cloudformation: CloudFormation, error: Exception) -> None:
    custom_resource.run(cloudformation.event("Create"), failing(error))
    assert (cloudformation.answers[0]["Status"], cloudformation.answers[0]["Reason"]) == ("FAILED", str(error))


def test_of_any_other_error_only_its_class_is_told(cloudformation: CloudFormation) -> None:
    custom_resource.run(cloudformation.event("Create"), failing(ValueError("-----BEGIN PRIVATE KEY-----")))
    assert cloudformation.answers[0]["Status"] == "FAILED"
    assert cloudformation.answers[0]["Reason"] == "ValueError: see the function's log."


def test_the_schedule_gets_the_error_itself() -> None:
    done: list[str] = []
    custom_resource.run({"source": "aws.events"}, lambda: done.append("daily"))
    assert done == ["daily"]
    with pytest.raises(Unavailable):
        custom_resource.run({"source": "aws.events"}, failing(Unavailable()))
