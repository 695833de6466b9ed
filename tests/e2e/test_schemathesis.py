"""The contract against the deployed stack, by schemathesis: no 5xx, and nothing that `openapi.yaml` does not say."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.conftest import ROOT

CONTRACT = ROOT / "openapi.yaml"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
PASSWORD = "a horse that no example has"  # or an example would change it, and end the session that asks
# Nobody guesses a token or a password.
NEVER_GRANTED = {"POST /login", "POST /refresh", "POST /logout", "POST /me/password"}


def operations() -> set[str]:
    paths: dict[str, dict[str, Any]] = yaml.safe_load(CONTRACT.read_text())["paths"]
    return {f"{method.upper()} {path}" for path, said in paths.items() for method in said if method in {"get", "post"}}


@contextmanager
def guesses_forgotten(world: Any) -> Iterator[None]:
    """Begin and end with nobody having guessed a password: all tests ask from one address."""
    dynamodb, table = world.client("dynamodb"), world.stack["attempts_table"]

    def forget() -> None:
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"limiter": item["limiter"]})

    forget()
    try:
        yield
    finally:
        forget()


@contextmanager
def talkative(world: Any) -> Iterator[None]:
    """Have every function say as much as Powertools can be told to; the local AWS begins each anew for that."""
    functions = world.client("lambda")
    ours = f"{world.stack['stack_name']}-"
    known = {
        one["FunctionName"]: one["Environment"]["Variables"]
        for one in functions.list_functions()["Functions"]
        if one["FunctionName"].startswith(ours)
    }
    assert known

    def configure(more: Mapping[str, str]) -> None:
        for name, variables in known.items():
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": {**variables, **more}})

    configure({"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"})
    try:
        yield
    finally:
        configure({})


def access_token(world: Any, name: str, role: str) -> str:
    """Add a user of one's own, whose session nobody else ends, and sign in."""
    added = world.operate("users", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    answer = world.ask("POST", "/login", {"username": name, "password": PASSWORD})
    assert answer.status == 200, answer
    return str(answer.body["access_token"])


def schemathesis(folder: Path, url: str, token: str) -> dict[str, set[int]]:
    """Ask every operation by the contract; return the statuses of each, once everything was of the contract."""
    har = folder / "asked.har"
    command = [
        *(str(Path(sys.prefix) / "bin" / "st"), "--no-color", "run", str(CONTRACT), "--url", url),
        *("--header", f"Authorization: Bearer {token}", "--workers", "1", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--generation-deterministic"),
        *("--report", "har", "--report-har-path", str(har), "--warnings", "off"),
    ]
    environment = {**os.environ, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, set[int]] = defaultdict(set)
    for entry in json.loads(har.read_text())["log"]["entries"]:
        request, status = entry["request"], entry["response"]["status"]
        found[f"{request['method']} {urlsplit(request['url']).path}"].add(status)
    return found


def test_whatever_the_contract_allows_is_answered_as_it_says_and_no_secret_is_logged(
    world: Any, tmp_path: Path
) -> None:
    with guesses_forgotten(world), talkative(world):
        token = access_token(world, "hazel", "admin")
        found = schemathesis(tmp_path, world.stack["api_url"], token)
    assert operations() <= found.keys()
    assert {operation for operation in operations() if not found[operation] & {200, 201}} <= NEVER_GRANTED
    assert max(status for statuses in found.values() for status in statuses) < 500
    log = (world.folder / ".local" / "aws.log").read_text()
    assert "logged_in" in log
    for secret in (token, token.rpartition(".")[2], PASSWORD):
        assert secret not in log
