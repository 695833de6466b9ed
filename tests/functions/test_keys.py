"""GET /.well-known/...: the public keys, and where to find them."""

import json
from typing import Any

import jwt
import pytest

from tests.conftest import (
    OUT_OF_REACH,
    Answer,
    Fault,
    Logs,
    World,
    claims,
    client,
    stack_in_memory,
    stack_without_rings,
)


def document(world: World, name: str, **headers: str) -> Answer:
    event: dict[str, Any] = {"version": "2.0", "headers": headers, "pathParameters": {"document": name}}
    return world.ask("keys", event)


def publish(jwks: dict[str, Any]) -> None:
    client("ssm").put_parameter(Name="/rolegate/jwks", Value=json.dumps(jwks), Type="String", Overwrite=True)


def assert_kept_by_nobody(error: Answer) -> None:
    """A cache that kept an error would hide the keys for as long."""
    assert error.headers["Cache-Control"] == "no-store"
    assert "ETag" not in error.headers
    assert error.headers["Access-Control-Allow-Origin"] == "*"


def test_the_key_set_holds_public_keys_alone_and_another_library_reads_it(world: World) -> None:
    answer = document(world, "jwks.json")
    ring = world.ring("SIGNING_KEYS_SECRET")
    assert answer.status == 200
    assert [key["kid"] for key in answer.body["keys"]] == [ring["current"]["kid"], ring["next"]["kid"]]
    assert all(set(key) == {"kty", "n", "e", "use", "alg", "kid"} for key in answer.body["keys"])
    assert all((key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256") for key in answer.body["keys"])
    assert jwt.PyJWKSet.from_json(answer.text)[ring["current"]["kid"]].algorithm_name == "RS256"


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [("ES256", {"kty", "crv", "x", "y", "use", "alg", "kid"}), ("EdDSA", {"kty", "crv", "x", "use", "alg", "kid"})],
)
def test_the_key_set_of_every_algorithm_holds_public_members_alone(algorithm: str, members: set[str]) -> None:
    with stack_without_rings(SIGNING_ALGORITHM=algorithm) as world:
        world.handler("rotate_keys")({"source": "aws.events"}, None)
        keys = document(world, "jwks.json").body["keys"]
        about = document(world, "openid-configuration").body
    assert [(set(key), key["use"], key["alg"]) for key in keys] == [(members, "sig", algorithm)] * 2
    assert about["id_token_signing_alg_values_supported"] == [algorithm]


def test_a_document_may_be_kept_for_a_minute_and_read_from_anywhere(world: World) -> None:
    headers = document(world, "jwks.json").headers
    assert headers["Cache-Control"] == "public, max-age=60"
    assert headers["Content-Type"] == "application/json"
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_pages_of_one_origin_may_read_them_if_that_is_what_is_set() -> None:
    with stack_in_memory(ALLOWED_ORIGIN="https://app.example.com") as world:
        found, unknown = document(world, "jwks.json"), document(world, "unknown")
        unchanged = document(world, "jwks.json", **{"If-None-Match": "*"})
    for answer in (found, unchanged, unknown):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("name", ["jwks.json", "openid-configuration", "oauth-authorization-server"])
def test_whoever_has_a_document_is_only_told_that_it_stands(world: World, name: str) -> None:
    tag = document(world, name).headers["ETag"]
    again = document(world, name, **{"If-None-Match": tag})
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    assert again.headers["Cache-Control"] == "public, max-age=60"
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    for seen in ("*", f"W/{tag}", f'"another", {tag}', f'W/"another",W/{tag} , "third"'):
        assert document(world, name, **{"if-none-match": seen}).status == 304
    for seen in ('"another"', "", tag.strip('"'), f"w/{tag}", f'"{tag}"', "**"):
        assert document(world, name, **{"if-none-match": seen}).status == 200


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
    assert answer.body["grant_types_supported"] == answer.body["response_types_supported"] == []


def test_only_openid_connect_s_document_speaks_of_id_tokens(world: World) -> None:
    theirs = {"subject_types_supported", "id_token_signing_alg_values_supported"}
    common = document(world, "oauth-authorization-server").body.keys()
    assert not theirs & common
    assert document(world, "openid-configuration").body.keys() == theirs | common


@pytest.mark.parametrize(
    "issuer", ["https://auth.example.com", "https://xn--bcher-kva.example:8443", "http://[::1]:8000"]
)
def test_an_issuer_is_the_same_bytes_wherever_it_is_named(issuer: str) -> None:
    with stack_in_memory(ISSUER=issuer) as world:
        world.add_user()
        tokens = world.login()
        refreshed = world.refresh(tokens["refresh_token"]).body
        abouts = [document(world, name).body for name in ("openid-configuration", "oauth-authorization-server")]
    for token in (tokens, refreshed):
        assert claims(token["access_token"])["iss"] == issuer
        assert (claims(token["refresh_token"])["iss"], claims(token["refresh_token"])["aud"]) == (issuer, issuer)
    for about in abouts:
        assert (about["issuer"], about["jwks_uri"]) == (issuer, f"{issuer}/.well-known/jwks.json")


@pytest.mark.parametrize("name", ["", "jwks", "jwks.json/", "../jwks.json", "favicon.ico"])
def test_any_other_document_is_not_found(world: World, name: str) -> None:
    answer = document(world, name)
    assert answer.problem == (404, "not_found", "Not found")
    assert_kept_by_nobody(answer)


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
    assert_kept_by_nobody(answer)
    assert document(world, "jwks.json").status == 200


def test_a_parameter_that_holds_nonsense_is_an_error_that_nobody_keeps(world: World, logs: Logs) -> None:
    client("ssm").put_parameter(Name="/rolegate/jwks", Value="not a key set", Type="String", Overwrite=True)
    answer = document(world, "openid-configuration")
    assert (answer.status, answer.body["code"]) == (500, "internal")
    assert_kept_by_nobody(answer)
    assert "not a key set" not in logs.text
