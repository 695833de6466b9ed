"""Deploy the built template to a local AWS, and write down what it is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from local.build import BIN, built, sam_environment
from local.front import Routes
from local.home import ARCHITECTURE, CREDENTIALS, REGION, ROOT, STACK_NAME, shown, write
from local.process import Failure, run, tail
from local.server import Server

# Of the stack's outputs, those that its users need, by the names that they know.
OUTPUTS = {
    "jwks_url": "JwksUrl",
    "attempts_table": "AttemptsTable",
    "users_table": "UsersTable",
    "sessions_table": "SessionsTable",
    "signing_keys_secret": "SigningKeysSecret",
    "refresh_keys_secret": "RefreshKeysSecret",
    "jwks_parameter": "JwksParameter",
}


def deploy(server: Server, parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploy the template as it was built, and write `stack.json` and `env.json`.

    Raises:
        Failure: SAM could not deploy it.
    """
    ours = {"IssuerUrl": server.url, "Registration": "open", "SampleRoutes": "true", "Architecture": ARCHITECTURE}
    sam_deploy(server, ours | dict(parameters))
    stack = describe(server)
    write(server.home.functions, environments(server))
    write(server.home.stack, stack)
    return stack


def sam_deploy(
    server: Server, parameters: Mapping[str, str], template: Path | None = None, stack_name: str = STACK_NAME
) -> None:
    """Run `sam deploy` against the local AWS: of our own template as it was built, unless another is named."""
    log = server.home.path / "deploy.log"
    command = [
        *(str(BIN / "sam"), "deploy", "--template-file", str(template or built() / "template.yaml")),
        *("--stack-name", stack_name, "--region", REGION, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
    ]
    environment = sam_environment(server.home) | {"AWS_ENDPOINT_URL": server.endpoint_url}
    if not run(command, env=environment, log=log, cwd=ROOT):
        raise Failure(
            f"sam deploy failed. Mend what it says (all of it is in {shown(log)}, and what functions said in "
            f"{shown(server.home.log)}); if it is a change that no update can follow, start afresh: "
            f"rm -r {shown(server.home.state)}\n{failed_resources(server, stack_name) or tail(log)}"
        )


def failed_resources(server: Server, stack_name: str) -> str:
    """Say which resources could not be made, and why; nothing if it did not come to that."""
    try:
        events = client(server, "cloudformation").describe_stack_events(StackName=stack_name)["StackEvents"]
    except ClientError:
        return ""
    failed = [event for event in reversed(events) if event["ResourceStatus"].endswith("_FAILED")]
    return "\n".join(f"    {event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed)


def client(server: Server, service: Any) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    """Make a client of one of the local AWS's services."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def outputs_of(server: Server, stack_name: str) -> dict[str, str]:
    """Read what a deployed stack puts out."""
    [stack] = client(server, "cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def describe(server: Server) -> dict[str, str]:
    """Say where the deployed stack answers and what it is made of."""
    outputs = outputs_of(server, STACK_NAME)
    routes = Routes.of(outputs)
    return {
        **connection(server),
        "issuer": outputs["IssuerUrl"],
        "rest_base": server.endpoint_url + routes.rest,
        "keys_base": server.endpoint_url + routes.keys,
        **{name: outputs[output] for name, output in OUTPUTS.items()},
    }


def connection(server: Server) -> dict[str, str]:
    """Say where a local AWS answers, whatever is deployed there."""
    return {
        "api_url": server.url,
        "endpoint_url": server.endpoint_url,
        "region": REGION,
        "access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "stack_name": STACK_NAME,
    }


def environments(server: Server) -> dict[str, dict[str, str]]:
    """Give each function's environment by its logical id, with the address of the local AWS."""
    functions = client(server, "lambda")
    resources = client(server, "cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    found: dict[str, dict[str, str]] = {}
    for page in resources:
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == "AWS::Lambda::Function":
                configuration = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
                variables = configuration.get("Environment", {}).get("Variables", {})
                found[resource["LogicalResourceId"]] = variables | {"AWS_ENDPOINT_URL": server.endpoint_url}
    return dict(sorted(found.items()))
