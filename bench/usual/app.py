"""A role-checking authorizer as it is usually written: boto3's resource, Powertools, PyJWT's JWKS client."""

import os
from typing import Any

import boto3
import jwt
from aws_lambda_powertools import Logger

logger = Logger(service="authorizer")
table = boto3.resource("dynamodb").Table("users")
keys = jwt.PyJWKClient(f"{os.environ['ISSUER']}/.well-known/jwks.json")
LEVELS = {"user": 1, "manager": 2, "admin": 3}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with an IAM policy."""
    token = event["authorizationToken"].removeprefix("Bearer ")
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["RS256"],
        audience=os.environ["AUDIENCE"],
        issuer=os.environ["ISSUER"],
    )
    effect = "Allow" if LEVELS[claims["role"]] >= LEVELS[os.environ["MIN_ROLE"]] else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    return {"principalId": claims["sub"], "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
