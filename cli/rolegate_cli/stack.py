"""Find the deployed stack that a command is about: the local one, or one on AWS."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, ProfileNotFound
from rolegate import roles
from rolegate.passwords import Rule
from rolegate.roles import Roles
from rolegate.stores import aws

LOCAL = Path(".local/stack.json")
DEFAULT_COST = 12


class CommandError(Exception):
    """A command that cannot be carried out; the message is one sentence that says what to do."""


class Stack(NamedTuple):
    """A deployed stack: what it put out, and how to reach its services. `name` is for people."""

    name: str
    session: Any
    endpoint_url: str | None
    outputs: dict[str, str]
    parameters: dict[str, str]

    def client(self, service: str, config: Config = aws.BOUNDED) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Return a client of `service`, bounded in time like the functions' own unless said otherwise."""
        return self.session.client(service, endpoint_url=self.endpoint_url, config=config)

    @property
    def bcrypt_cost(self) -> int:
        """The cost that the stack's own functions hash with."""
        return int(self.parameters.get("BcryptCost", DEFAULT_COST))

    @property
    def password_rule(self) -> Rule:
        """How long the stack's own functions ask a new password to be."""
        given = (self.parameters.get(name) for name in ("PasswordMinLength", "PasswordMaxLength"))
        return Rule(*(int(length) if length else default for length, default in zip(given, Rule(), strict=True)))

    @property
    def roles(self) -> Roles:
        """The stack's own hierarchy of roles."""
        return roles.parse(self.parameters["Roles"]) if "Roles" in self.parameters else roles.DEFAULT


def find(profile: str | None, region: str | None, stack_name: str | None) -> Stack:
    """Return the stack that is named, or the local one when no name is given.

    Raises `CommandError` when there is no such stack or no way to it.
    """
    if stack_name is None:
        if profile or region:
            raise CommandError(
                "Name the stack on AWS as well: --stack-name. Without it, a command is about the local one."
            )
        local = _local()
        session = boto3.Session("test", "test", region_name=local["region"])
        return _described(session, local["endpoint_url"], local["stack_name"])
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
    except ProfileNotFound as error:
        raise CommandError(f"There is no AWS profile '{profile}'.") from error
    return _described(session, None, stack_name)


def _local() -> dict[str, str]:
    try:
        facts: dict[str, str] = json.loads(LOCAL.read_text())
    except FileNotFoundError:
        raise CommandError(
            "No local stack is running here. Start it with 'make up', or name one on AWS with --stack-name."
        ) from None
    if urlsplit(facts["endpoint_url"]).hostname != "127.0.0.1":
        raise CommandError(f"{LOCAL} names an address that is not on this machine. Start the stack anew: make up")
    return facts


def _described(session: Any, endpoint_url: str | None, name: str) -> Stack:  # noqa: ANN401 - a boto3 session
    try:
        client = session.client("cloudformation", endpoint_url=endpoint_url, config=aws.BOUNDED)
        found = client.describe_stacks(StackName=name)["Stacks"][0]
    except NoRegionError:
        raise CommandError("Say which AWS region the stack is in: --region.") from None
    except NoCredentialsError:
        raise CommandError("There are no AWS credentials. Choose a profile: --profile.") from None
    except ClientError as error:
        raise CommandError(f"AWS does not show the stack '{name}': {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        where = endpoint_url or "AWS"
        raise CommandError(f"{where} does not answer. Is it running, and is the network there?") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    parameters = {given["ParameterKey"]: given.get("ParameterValue", "") for given in found.get("Parameters", [])}
    if "RotateKeysFunctionName" not in outputs:
        raise CommandError(f"The stack '{name}' is not a Rolegate stack, or its deployment has not finished.")
    called = "the local stack" if endpoint_url else f"the stack '{name}' in {session.region_name}"
    return Stack(called, session, endpoint_url, outputs, parameters)
