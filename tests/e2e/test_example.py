"""Another team's APIs beside Rolegate's: let in and refused by role, whatever becomes of Rolegate meanwhile."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from rolegate import testing

from local import example
from local.build import BIN, LAYERS, sam_environment
from local.demo import Story
from local.deploy import outputs_of, sam_deploy
from local.home import ARCHITECTURE, ROOT, Home
from local.process import run
from local.server import Server, find
from tests.e2e.conftest import PARAMETERS

USERS = {"user": "alice", "manager": "bob", "admin": "carol"}


@pytest.fixture(scope="module")
def server(world: Any) -> Server:
    found = find(Home(world.folder / ".local"))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def addresses(server: Server) -> dict[str, str]:
    return example.deploy(server)


@pytest.fixture(scope="module")
def tokens(world: Any) -> dict[str, str]:
    return {role: world.login(name)["access_token"] for role, name in USERS.items()}


@pytest.mark.parametrize("api", ["REST", "HTTP"])
def test_everybody_is_let_in_or_refused_by_role(
    addresses: Mapping[str, str], tokens: Mapping[str, str], api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(addresses[api])
    example.tell_all(api, story, tokens)
    assert story.surprises == 0, capsys.readouterr().out
    assert example.ask(story, "/audit", tokens["admin"]).body["username"] == "carol"


def test_a_refusal_of_the_rest_api_has_its_owners_form(addresses: Mapping[str, str], tokens: Mapping[str, str]) -> None:
    story = Story(addresses["REST"])
    for path, token, status, detail in (
        ("/drafts", tokens["user"], 403, "manager access required"),
        ("/drafts", None, 401, "Unauthorized"),
    ):
        answer = example.ask(story, path, token)
        assert (answer.status, answer.body["detail"]) == (status, detail)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("api", ["REST", "HTTP"])
def test_who_signed_out_is_refused_at_once_where_the_check_is_strict(
    world: Any, addresses: Mapping[str, str], api: str
) -> None:
    story, signed_in = Story(addresses[api]), world.login("carol")
    assert example.ask(story, "/audit", signed_in["access_token"]).status == 200
    assert world.ask("POST", "/logout", {"refresh_token": signed_in["refresh_token"]}).status == 200
    assert example.ask(story, "/audit", signed_in["access_token"]).status == (401 if api == "REST" else 403)


def test_rolegate_is_updated_while_others_are_attached(
    server: Server, addresses: Mapping[str, str], tokens: Mapping[str, str]
) -> None:
    before = outputs_of(server, "rolegate")
    parameters = {"IssuerUrl": server.url, "Registration": "open", "SampleRoutes": "true", **PARAMETERS}
    sam_deploy(server, {**parameters, "Architecture": ARCHITECTURE, "RevocationCheckSeconds": "30"})
    after = outputs_of(server, "rolegate")
    arns = ("UserAuthorizerArn", "ManagerAuthorizerArn", "AdminAuthorizerArn")
    assert [before[name] for name in arns] == [after[name] for name in arns]
    for url in addresses.values():
        assert example.ask(Story(url), "/audit", tokens["admin"]).status == 200
        assert example.ask(Story(url), "/audit", tokens["manager"]).status == 403
    sam_deploy(server, {**parameters, "Architecture": ARCHITECTURE})


def test_a_second_rolegate_in_the_account_is_another_one(
    world: Any, server: Server, addresses: Mapping[str, str], tokens: Mapping[str, str]
) -> None:
    sam_deploy(
        server,
        {"IssuerUrl": server.url, "Registration": "open", "SampleRoutes": "true", "Architecture": ARCHITECTURE}
        | PARAMETERS,
        stack_name="another",
    )
    outputs = outputs_of(server, "another")
    second = Story(f"{server.endpoint_url}/_aws/execute-api/{outputs['RestApiId']}/v1")
    account = {"username": "alice", "password": "correct horse battery another"}
    assert second.ask("POST", "/register", account).status == 201
    assert world.ask("POST", "/login", account).status == 401  # her password here is another
    stranger = second.ask("POST", "/login", account).body["access_token"]
    for story in (world.story, Story(addresses["REST"])):
        path = "/hello" if story is world.story else "/reports"
        assert story.ask("GET", path, Authorization=f"Bearer {stranger}").status == 401
        assert story.ask("GET", path, Authorization=f"Bearer {tokens['user']}").status == 200
    found = world.client("ssm").get_parameters(Names=["/rolegate/authorizers/user", "/another/authorizers/user"])
    assert len({parameter["Value"] for parameter in found["Parameters"]}) == 2


# --- the authorizer alone


@pytest.fixture(scope="module")
def alone(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build and deploy authorizer.yaml as its page says; give its function's name."""
    folder = tmp_path_factory.mktemp("alone")
    others = [layer for name, layer in LAYERS.items() if name != ARCHITECTURE]
    command = [str(BIN / "sam"), "build", "--template", "authorizer.yaml", "--build-dir", str(folder / "built")]
    command += ["--exclude", *others, "--parameter-overrides", f"Architecture={ARCHITECTURE}"]
    assert run(command, env=sam_environment(server.home), log=folder / "log", cwd=ROOT), (folder / "log").read_text()
    parameters = {"IssuerUrl": server.url, "Audience": "rolegate", "MinRole": "manager", "Architecture": ARCHITECTURE}
    sam_deploy(server, parameters, folder / "built" / "template.yaml", "gate")
    return outputs_of(server, "gate")["AuthorizerArn"]


@pytest.mark.parametrize("form", testing.FORMS)
def test_the_authorizer_alone_judges_the_first_stacks_tokens(
    world: Any, alone: str, tokens: Mapping[str, str], form: str
) -> None:
    client = world.client("lambda")
    for role, token in tokens.items():
        question = json.dumps(testing.authorizer_event(form, token))
        answer = json.load(client.invoke(FunctionName=alone, Payload=question)["Payload"])
        if form == "http_2":
            assert answer["isAuthorized"] is (role != "user")
        else:
            [statement] = answer["policyDocument"]["Statement"]
            assert statement["Effect"] == ("Deny" if role == "user" else "Allow")
        assert answer["context"]["role"] == role


# --- a WebSocket API


@pytest.fixture(scope="module")
def socket(world: Any) -> Iterator[str]:
    """Make a WebSocket API whose $connect asks the manager authorizer; give its path at the local AWS."""
    client, arn = world.client("apigatewayv2"), outputs(world)["ManagerAuthorizerArn"]
    api = client.create_api(Name="news", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")[
        "ApiId"
    ]
    authorizer = client.create_authorizer(
        ApiId=api,
        Name="manager",
        AuthorizerType="REQUEST",
        AuthorizerUri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
        IdentitySource=[],
    )["AuthorizerId"]
    client.create_route(ApiId=api, RouteKey="$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer)
    client.create_stage(ApiId=api, StageName="live", AutoDeploy=True)
    yield f"/_aws/execute-api/{api}/live"
    client.delete_api(ApiId=api)


def outputs(world: Any) -> dict[str, str]:
    [stack] = world.client("cloudformation").describe_stacks(StackName=world.stack["stack_name"])["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def shake_hands(world: Any, path: str, **headers: str) -> int:
    """Ask for a WebSocket; return the status, which is 101 for one that opens (RFC 6455, section 4)."""
    connection = http.client.HTTPConnection(urlsplit(world.stack["endpoint_url"]).netloc, timeout=30)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request("GET", path, headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **named})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_websocket_opens_for_who_may(world: Any, socket: str, tokens: Mapping[str, str]) -> None:
    for role, status in (("admin", 101), ("manager", 101), ("user", 403)):
        assert shake_hands(world, socket, Authorization=f"Bearer {tokens[role]}") == status
        assert shake_hands(world, socket, Sec_WebSocket_Protocol=f"bearer, {tokens[role]}") == status
    for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"Sec_WebSocket_Protocol": tokens["admin"]}):
        assert shake_hands(world, socket, **headers) == 401
    assert shake_hands(world, f"{socket}?access_token={tokens['admin']}") == 401
