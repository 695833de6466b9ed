"""Revocation at a deployed gateway, with roles enforced: what each authorizer may do, and that it suffices."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.test_verifiers import physical_name, renew

CHECKS = {"User": "off", "Manager": "cached", "Admin": "strict"}
ROUTES = {"User": "/hello", "Manager": "/manager", "Admin": "/admin"}


def statements(world: Any, slot: str) -> list[dict[str, Any]]:
    """Return what an authorizer's role allows."""
    iam, role = world.client("iam"), physical_name(world, f"{slot}AuthorizerRole")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["authorizer"]
    document = iam.get_role_policy(RoleName=role, PolicyName="authorizer")["PolicyDocument"]
    found: list[dict[str, Any]] = document["Statement"]
    return found


@pytest.mark.parametrize("slot", CHECKS)
def test_an_authorizer_works_with_its_logs_and_at_most_one_permission_more(world: Any, slot: str) -> None:
    logs, *more = statements(world, slot)
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert [one["Action"] for one in more] == ([] if CHECKS[slot] == "off" else ["dynamodb:BatchGetItem"])
    token = world.login("carol")["access_token"]
    assert world.ask("GET", ROUTES[slot], Authorization=f"Bearer {token}").status == 200


@pytest.mark.parametrize("slot", ["Manager", "Admin"])
def test_without_that_permission_nobody_is_let_in_and_nobody_turned_away(world: Any, slot: str) -> None:
    """Else the roles would not be enforced here, and the test above would show nothing."""
    iam, role = world.client("iam"), physical_name(world, f"{slot}AuthorizerRole")
    before = statements(world, slot)
    token = world.login("carol")["access_token"]

    def allow(given: list[dict[str, Any]]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": given})
        iam.put_role_policy(RoleName=role, PolicyName="authorizer", PolicyDocument=document)
        renew(world, f"{slot}AuthorizerFunction")

    try:
        allow(before[:1])
        answer = world.ask("GET", ROUTES[slot], Authorization=f"Bearer {token}")
        assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    finally:
        allow(before)
    assert world.ask("GET", ROUTES[slot], Authorization=f"Bearer {token}").status == 200


def test_an_authorizer_can_read_no_hash_and_no_token_id(world: Any) -> None:
    iam, sts = world.client("iam"), world.client("sts")
    role = iam.get_role(RoleName=physical_name(world, "AdminAuthorizerRole"))["Role"]["Arn"]
    given = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=world.stack["region"]
    )
    dynamodb: Any = session.client("dynamodb", endpoint_url=world.stack["endpoint_url"])
    users, key = world.stack["users_table"], {"username": {"S": "carol"}}

    def read(**asked: Any) -> Any:
        return dynamodb.batch_get_item(RequestItems={users: {"Keys": [key], **asked}})["Responses"][users]

    assert read(ProjectionExpression="user_id") != []
    for asked in ({}, {"ProjectionExpression": "user_id, password_hash"}):
        with pytest.raises(ClientError, match="not authorized"):
            read(**asked)
    with pytest.raises(ClientError, match="not authorized"):
        dynamodb.get_item(TableName=users, Key=key)


def test_an_admin_who_signed_out_is_refused_at_once(world: Any) -> None:
    tokens = world.login("carol")
    bearer = f"Bearer {tokens['access_token']}"
    assert world.ask("GET", "/admin", Authorization=bearer).status == 200
    assert world.ask("POST", "/logout", {"refresh_token": tokens["refresh_token"]}).status == 200
    refused = world.ask("GET", "/admin", Authorization=bearer)
    assert (refused.status, refused.body["detail"]) == (401, "Unauthorized")
    assert world.ask("GET", "/hello", Authorization=bearer).status == 200  # nobody asks there


def test_a_lowered_role_is_felt_at_once_where_an_admin_is_asked_for(world: Any) -> None:
    bearer = f"Bearer {world.login('carol')['access_token']}"
    assert world.ask("GET", "/admin", Authorization=bearer).status == 200
    try:
        assert world.operate("users", "set-role", "carol", "manager").returncode == 0
        refused = world.ask("GET", "/admin", Authorization=bearer)
        assert (refused.status, refused.body["detail"]) == (403, "admin access required")
    finally:
        world.operate("users", "set-role", "carol", "admin")
    assert world.ask("GET", "/admin", Authorization=bearer).status == 200
