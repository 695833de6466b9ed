"""GET /.well-known/...: the public keys, and where to find them."""

import json
from typing import Any

import jwt
import pytest

from tests.conftest import OUT_OF_REACH, Answer, Fault, World, client


def document(world: World, name: str, **headers: str) -> Answer:
    event: dict[str, Any] = {"version": "2.0", "headers": headers, "pathParameters": {"document": name}}
    return world.ask("keys", event)


def publish(jwks: dict[str, Any]) -> None:
    client("ssm").put_parameter(Name="/rolegate/jwks", Value=json.dumps(jwks), Type="String", Overwrite=True)


def test_the_key_set_holds_public_keys_alone_and_another_library_reads_it(world: World) -> None:
    answer = document(world, "jwks.json")
    ring = world.ring("SIGNING_KEYS_SECRET")
    assert answer.status == 200
    assert [key["kid"] for key in answer.body["keys"]] == [ring["current"]["kid"], ring["next"]["kid"]]
    assert all(set(key) == {"kty", "n", "e", "use", "alg", "kid"} for key in answer.body["keys"])
    assert all((key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256") for key in answer.body["keys"])
    assert jwt.PyJWKSet.from_json(answer.text)[ring["current"]["kid"]].algorithm_name == "RS256"


def test_a_document_may_be_kept_for_a_minute_and_read_from_anywhere(world: World) -> None:
    headers = document(world, "jwks.json").headers
    assert headers["Cache-Control"] == "public, max-age=60"
    assert headers["Content-Type"] == "application/json"
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("name", ["jwks.json", "openid-configuration", "oauth-authorization-server"])
def test_whoever_has_a_document_is_only_told_that_it_stands(world: World, name: str) -> None:
    tag = document(world, name).headers["ETag"]
    again = document(world, name, **{"If-None-Match": tag})
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    assert document(world, name, **{"If-None-Match": '"another"'}).status == 200


def test_another_document_has_another_tag(world: World) -> None:
    tag = document(world, "jwks.json").headers["ETag"]
    publish({"keys": []})
    world.clock.tick(30)
    assert document(world, "jwks.json", **{"If-None-Match": tag}).body == {"keys": []}


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_a_description_claims_what_exists_and_no_more(world: World, name: str) -> None:
    answer = document(world, name)
    assert answer.status == 200
    assert answer.body["issuer"] == world.issuer
    assert answer.body["jwks_uri"] == f"{world.issuer}/.well-known/jwks.json"
    assert not [member for member in answer.body if member.endswith("_endpoint")]


@pytest.mark.parametrize("name", ["", "jwks", "jwks.json/", "../jwks.json", "favicon.ico"])
def test_any_other_document_is_not_found(world: World, name: str) -> None:
    assert document(world, name).problem == (404, "not_found", "Not found")


def test_the_parameter_is_read_once_in_thirty_seconds(world: World) -> None:
    document(world, "jwks.json")
    world.clock.tick(29)
    document(world, "openid-configuration")
    assert world.wire.calls == ["GetParameter"]
    world.clock.tick(1)
    document(world, "jwks.json")
    assert world.wire.calls == ["GetParameter", "GetParameter"]


@pytest.mark.parametrize("fault", OUT_OF_REACH)
def test_a_parameter_out_of_reach_is_unavailable(world: World, fault: Fault) -> None:
    world.wire.order("GetParameter", fault, fault)
    answer = document(world, "jwks.json")
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert document(world, "jwks.json").status == 200
