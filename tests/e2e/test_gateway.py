from typing import Any

from tests.e2e.conftest import PASSWORDS


def test_the_client_s_own_word_for_its_address_is_not_believed(world: Any) -> None:
    world.ask("POST", "/login", {"username": "bob", "password": PASSWORDS["bob"]}, X_Forwarded_For="203.0.113.9")
    stored = world.client("dynamodb").scan(TableName=world.stack["sessions_table"])["Items"]
    assert {item["source_ip"]["S"] for item in stored} == {"127.0.0.1"}


def test_a_session_is_stored_without_its_token_and_goes_by_itself(world: Any) -> None:
    tokens, dynamodb = world.login("alice"), world.client("dynamodb")
    ttl = dynamodb.describe_time_to_live(TableName=world.stack["sessions_table"])["TimeToLiveDescription"]
    assert (ttl["AttributeName"], ttl["TimeToLiveStatus"]) == ("session_expires_at", "ENABLED")
    stored = str(dynamodb.scan(TableName=world.stack["sessions_table"])["Items"])
    assert tokens["refresh_token"] not in stored
    assert tokens["refresh_token"].split(".")[2] not in stored


def test_both_lifetimes_are_told_in_whole_seconds(world: Any) -> None:
    tokens = world.login("alice")
    assert tokens["token_type"] == "Bearer"
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (900, 7 * 86_400)


def test_key_documents_can_be_read_from_any_page_and_are_not_sent_twice(world: Any) -> None:
    first = world.ask("GET", "/.well-known/jwks.json")
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert first.headers["Cache-Control"] == "public, max-age=60"
    assert all(set(key) == {"kty", "n", "e", "use", "alg", "kid"} for key in first.body["keys"])
    again = world.ask("GET", "/.well-known/jwks.json", If_None_Match=first.headers["ETag"])
    assert (again.status, again.raw) == (304, b"")
    about = world.ask("GET", "/.well-known/openid-configuration").body
    assert about["issuer"] == world.stack["api_url"] == world.stack["issuer"]
    assert about["jwks_uri"] == world.stack["jwks_url"]


def test_a_gateway_refusal_may_be_read_by_a_browser(world: Any) -> None:
    for answer in (world.ask("GET", "/me"), world.ask("GET", "/nowhere")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_name_is_one_user_however_it_is_typed(world: Any) -> None:
    account = {"username": "  Erin ", "password": "correct horse battery"}
    assert world.ask("POST", "/register", account).body["username"] == "erin"
    assert world.ask("POST", "/register", account | {"username": "ERIN"}).body["code"] == "username_taken"
    assert world.ask("POST", "/login", account | {"username": "eRiN"}).status == 200


def test_a_token_for_another_audience_opens_nothing_here(world: Any) -> None:
    account = {"username": "bob", "password": PASSWORDS["bob"]}
    refused = world.ask("POST", "/login", account | {"audience": "billing"})
    assert (refused.status, refused.body["code"]) == (400, "invalid_request")
    assert world.ask("POST", "/login", account | {"audience": "rolegate"}).status == 200
