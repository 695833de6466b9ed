"""What deployments do to the keys, and that no private half of one comes to light, on the local AWS."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from local.build import build
from local.deploy import client, deploy
from local.home import STACK_NAME, Home
from local.process import Failure, free_port
from local.server import Server, running
from tests.functions.test_key_secrecy import private_parts


class Keys(NamedTuple):
    """Both rings as they are stored, and the document that verifiers see."""

    signing: dict[str, Any]
    refresh: dict[str, Any]
    published: list[str]

    @property
    def kids(self) -> set[str]:
        return {key["kid"] for key in self.everything}

    @property
    def everything(self) -> list[dict[str, Any]]:
        rings = (self.signing, self.refresh)
        return [key for ring in rings for key in (ring["current"], ring["next"], *ring["retired"])]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = Home(tmp_path_factory.mktemp("keys") / ".local")
    with running(home, free_port()) as server:
        build(home)
        deploy(server, {})
        yield server


def keys_of(server: Server) -> Keys:
    outputs = outputs_of(server)
    secrets = client(server, "secretsmanager")
    signing, refresh = (
        json.loads(secrets.get_secret_value(SecretId=outputs[name])["SecretString"])
        for name in ("SigningKeysSecret", "RefreshKeysSecret")
    )
    parameter = client(server, "ssm").get_parameter(Name=outputs["JwksParameter"])["Parameter"]
    return Keys(signing, refresh, [key["kid"] for key in json.loads(parameter["Value"])["keys"]])


def outputs_of(server: Server) -> dict[str, str]:
    [stack] = client(server, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_a_stack_that_is_deployed_again_keeps_its_rings(server: Server) -> None:
    before = keys_of(server)
    deploy(server, {})
    assert keys_of(server) == before
    deploy(server, {"AccessTokenMinutes": "5"})
    after = keys_of(server)
    assert (after.kids, after.published) == (before.kids, before.published)


def test_a_deployment_with_another_algorithm_publishes_its_key_and_signs_as_before(server: Server) -> None:
    before = keys_of(server)
    deploy(server, {"SigningAlgorithm": "ES256"})
    after = keys_of(server)
    assert after.signing["current"]["kid"] == before.signing["current"]["kid"]
    assert (after.signing["current"]["alg"], after.signing["next"]["alg"]) == ("RS256", "ES256")
    assert after.published == [after.signing["current"]["kid"], after.signing["next"]["kid"]]
    assert after.refresh == before.refresh


def test_an_issuer_that_no_verifier_could_name_is_refused_at_the_deployment(server: Server) -> None:
    """One for all: tests/template holds the pattern against everything that is wrong."""
    before = keys_of(server)
    with pytest.raises(Failure, match="without path, query or trailing slash"):
        deploy(server, {"IssuerUrl": "https://auth.example.com/"})
    assert keys_of(server) == before


def test_no_private_half_of_a_key_comes_to_light(server: Server) -> None:
    keys = keys_of(server)
    functions, names = client(server, "lambda"), outputs_of(server)
    for order in ({"action": "show"}, {"action": "rotate", "compromised": "both"}, {"action": "sign-out-everyone"}):
        answer = functions.invoke(FunctionName=names["RotateKeysFunctionName"], Payload=json.dumps(order))
        assert "FunctionError" not in answer
        assert b"PRIVATE" not in (told := answer["Payload"].read())
        assert not [part for key in keys.everything for part in private_parts(key) if part in told.decode()]
    rings = [*keys.everything, *keys_of(server).everything]
    formation = client(server, "cloudformation")
    seen = [
        server.home.log.read_text(),  # of the local AWS, with all that the functions wrote
        server.home.functions.read_text(),  # the functions' environments
        json.dumps(functions.list_functions()["Functions"], default=str),
        json.dumps(formation.describe_stack_events(StackName=STACK_NAME)["StackEvents"], default=str),
        json.dumps(formation.describe_stack_resource(StackName=STACK_NAME, LogicalResourceId="KeyRings"), default=str),
        json.dumps(names),
        *(fetched(server, name) for name in ("jwks.json", "openid-configuration", "oauth-authorization-server")),
    ]
    assert all(seen)
    everything = "\n".join(seen)
    assert [part for key in rings for part in private_parts(key) if part in everything] == []
    assert "PRIVATE" not in everything


def fetched(server: Server, document: str) -> str:
    with urllib.request.urlopen(f"{server.url}/.well-known/{document}", timeout=30) as response:  # noqa: S310 - http
        text: str = response.read().decode()
        return text


def test_a_stack_that_is_deleted_and_made_again_gets_new_rings(server: Server) -> None:
    before = keys_of(server)
    formation = client(server, "cloudformation")
    formation.delete_stack(StackName=STACK_NAME)
    formation.get_waiter("stack_delete_complete").wait(StackName=STACK_NAME, WaiterConfig={"Delay": 1})
    deploy(server, {})
    after = keys_of(server)
    assert not after.kids & before.kids
    assert after.published == [after.signing["current"]["kid"], after.signing["next"]["kid"]]
    assert json.loads(fetched(server, "jwks.json"))["keys"][0]["kid"] == after.published[0]
