"""The snippets of docs/authorizer.md: deployed beside a stack, or synthesised, as they stand there."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.demo import Story
from local.deploy import outputs_of, sam_deploy
from local.home import ROOT, Home
from local.server import Server, find
from tests.conftest import _Template

PAGE = (ROOT / "docs" / "authorizer.md").read_text()
CDK = ROOT / "tests" / "e2e" / "cdk"


def snippet(heading: str, language: str) -> str:
    """Return the first block of a language under a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"there is no {language} under {heading}"
    return found[1]


@pytest.fixture(scope="module")
def server(world: Any) -> Server:
    found = find(Home(world.folder / ".local"))
    assert found is not None
    return found


def ask(world: Any, url: str) -> dict[str, tuple[int, str]]:
    """Ask the snippet's one route as a user, as a manager, and as nobody; give statuses and bodies."""
    story, path = Story(url), "/drafts"
    answers = {
        name: story.ask("GET", path, Authorization=f"Bearer {world.login(name)['access_token']}")
        for name in ("alice", "bob")
    } | {"nobody": story.ask("GET", path)}
    return {name: (answer.status, answer.raw.decode()) for name, answer in answers.items()}


def problem(answer: tuple[int, str]) -> tuple[str, str]:
    """Read an answer in the form of RFC 9457; give its detail and code."""
    body = json.loads(answer[1])
    assert (body["type"], body["status"]) == ("about:blank", answer[0])
    return body["detail"], body["code"]


def test_the_sam_snippet_lets_managers_in(world: Any, server: Server, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(snippet("SAM", "yaml"))
    sam_deploy(server, {"ManagerAuthorizer": "/rolegate/authorizers/manager"}, template, "sam-snippet")
    api = outputs_of(server, "sam-snippet")["RestApiId"]
    answers = ask(world, f"{server.endpoint_url}/_aws/execute-api/{api}/v1")
    assert answers["bob"] == (200, "Reports for bob")
    assert answers["alice"][0] == 403
    assert problem(answers["alice"]) == ("manager access required", "forbidden")
    assert answers["nobody"][0] == 401
    assert problem(answers["nobody"]) == ("Unauthorized", "unauthorized")


def test_the_cloudformation_snippet_lets_managers_in(world: Any, server: Server) -> None:
    client = world.client("cloudformation")
    text = snippet("CloudFormation", "yaml")
    client.create_stack(StackName="cfn-snippet", TemplateBody=text, Capabilities=["CAPABILITY_IAM"])
    client.get_waiter("stack_create_complete").wait(StackName="cfn-snippet", WaiterConfig={"Delay": 1})
    api = outputs_of(server, "cfn-snippet")["HttpApiId"]
    answers = ask(world, f"{server.endpoint_url}/_aws/execute-api/{api}/$default")
    assert answers["bob"] == (200, "Reports for bob")
    assert (answers["alice"][0], answers["nobody"][0]) == (403, 401)


@pytest.mark.parametrize("language", ["Python", "TypeScript"])
def test_the_cdk_snippets_make_what_the_page_says(language: str, tmp_path: Path) -> None:
    program = snippet(f"CDK in {language}", language.lower())
    python = str(ROOT / ".local" / "cdk" / "bin" / "python")
    command = [python, "-"] if language == "Python" else ["node", str(CDK / "synth.cjs")]
    environment = {"PATH": os.environ["PATH"], "CDK_OUTDIR": str(tmp_path), "HOME": str(tmp_path)}
    environment["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "1"
    environment["JSII_RUNTIME_PACKAGE_CACHE_ROOT"] = str(ROOT / ".local" / "cdk" / "jsii")  # unpacked once
    run = subprocess.run(command, input=program, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    template = json.loads((tmp_path / "Reports.template.json").read_text())
    found = [(r["Type"], r["Properties"]) for r in template["Resources"].values()]
    [rest] = [p for kind, p in found if kind == "AWS::ApiGateway::Authorizer"]
    [http] = [p for kind, p in found if kind == "AWS::ApiGatewayV2::Authorizer"]
    assert (rest["Type"], rest["IdentitySource"]) == ("REQUEST", "method.request.header.Authorization")
    assert (http["AuthorizerType"], http["IdentitySource"]) == ("REQUEST", ["$request.header.Authorization"])
    assert (http["AuthorizerPayloadFormatVersion"], http["EnableSimpleResponses"]) == ("2.0", True)
    [parameter] = [name for name, p in template["Parameters"].items() if p["Default"].startswith("/rolegate/")]
    for authorizer in (rest, http):
        assert int(authorizer["AuthorizerResultTtlInSeconds"]) == 60
        assert {"Ref": parameter} in authorizer["AuthorizerUri"]["Fn::Join"][1]
    callable_ = {json.dumps(p["FunctionName"]) for kind, p in found if kind == "AWS::Lambda::Permission"}
    assert len(callable_) == 1, "of the service's own function, not of the authorizer"
    assert parameter not in callable_.pop()


def test_what_no_test_runs_can_at_least_be_read() -> None:
    serverless = yaml.safe_load(snippet("Serverless Framework", "yaml"))
    assert serverless["provider"]["httpApi"]["authorizers"]["manager"]["enableSimpleResponses"] is True
    jwt = yaml.load(snippet("API Gateway's own JWT authorizers", "yaml"), _Template)  # noqa: S506 - a safe loader that knows `!`
    assert jwt["Drafts"]["Properties"]["AuthorizationScopes"] == ["manager"]
    terraform = snippet("Terraform", "hcl")
    assert terraform.count("{") == terraform.count("}")


def test_the_guard_of_the_page_does_what_the_page_says() -> None:
    program = snippet("Inside a handler", "python") + snippet("In your tests", "python")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - our own page
    names["test_a_user_sees_no_drafts"]()
