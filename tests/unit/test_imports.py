"""What a cold start loads, and who may reach for what: read from the source, and seen in interpreters of their own."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rolegate

PACKAGE = Path(rolegate.__file__).parent
ENVIRONMENT = {
    "authorizer": {
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "rolegate",
        "ROLES": "user=1,manager=2,admin=3",
        "MIN_ROLE": "manager",
        "WEBSOCKET_QUERY_TOKEN": "false",
        "REVOCATION_CHECK": "off",
        "EXPIRY_LEEWAY_SECONDS": "0",
        "KEY_SET_SECONDS": "300",
        "HTTP_API_RESPONSES": "simple",
    },
    "logout": {
        "SESSIONS_TABLE": "sessions",
        "REFRESH_KEYS_SECRET": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:refresh",
        "ISSUER": "https://auth.example.com",
        "REFRESH_GRACE_SECONDS": "30",
        "KEY_RING_SECONDS": "300",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    },
}
# The layer has no pyOpenSSL. The tools around these tests do, and botocore would take it.
PROGRAM = """
import json, sys
sys.modules["OpenSSL"] = None
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from rolegate import bootstrap
assert callable(getattr(bootstrap, sys.argv[2])())
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(function: str) -> set[str]:
    """Return the modules that a plain interpreter loads to build a function."""
    command = [sys.executable, "-I", "-c", PROGRAM, str(PACKAGE.parent), function]
    run = subprocess.run(command, env=ENVIRONMENT[function], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout))


def test_a_cold_authorizer_loads_no_sdk_no_framework_and_none_of_the_other_functions_code() -> None:
    modules = loaded("authorizer")
    packages = {module.partition(".")[0] for module in modules}
    assert "rolegate.gate" in modules
    assert packages.isdisjoint({"boto3", "botocore", "jwt", "bcrypt", "aws_lambda_powertools", "urllib3", "requests"})
    # Each costs milliseconds, and is what a careless import brings along. Cryptography waits for the first key.
    assert packages.isdisjoint({"dataclasses", "inspect", "logging", "asyncio", "cryptography", "unittest", "pydantic"})
    assert modules.isdisjoint(
        {
            f"rolegate.{name}"
            for name in ("stores", "flows", "tokens", "passwords", "http", "observe", "keyring", "revocation")
        }
    )


def test_a_cold_logout_loads_neither_what_signs_nor_what_hashes_passwords() -> None:
    modules = loaded("logout")
    assert "rolegate.flows" in modules
    assert "botocore" in modules
    assert {module.partition(".")[0] for module in modules}.isdisjoint({"boto3", "jwt", "bcrypt", "cryptography"})


def test_a_cold_guard_loads_no_sdk_no_framework_and_nothing_that_issues_tokens() -> None:
    program = "import json, sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); import rolegate.guard; "
    program += "rolegate.guard.require_role('user', verify=True); print(json.dumps(sorted(set(sys.modules) - before)))"
    command = [sys.executable, "-I", "-c", program, str(PACKAGE.parent)]
    run = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    packages = {module.partition(".")[0] for module in json.loads(run.stdout)}
    assert packages.isdisjoint({"boto3", "botocore", "jwt", "bcrypt", "aws_lambda_powertools", "cryptography"})
    assert packages.isdisjoint({"dataclasses", "inspect", "logging", "asyncio", "unittest", "urllib", "http"})


# --- who may reach for what


def users_of(names: set[str]) -> set[str]:
    """Return the modules of the package that import, or reach through a module for, one of these names."""
    return {
        str(source.relative_to(PACKAGE))
        for source in PACKAGE.rglob("*.py")
        if source.name != "testing.py"  # which no function has
        and not names.isdisjoint(reached(ast.parse(source.read_text())))
    }


def reached(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{name.name}" for name in names)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                yield f"{module}.{name}"


@pytest.mark.parametrize(
    ("names", "module"),
    [
        ({"os.environ", "os.environb", "os.getenv"}, "bootstrap.py"),
        ({"time.time", "time.time_ns", "datetime.datetime", "datetime.datetime.now"}, "bootstrap.py"),
        ({"jwt"}, "tokens.py"),
        ({"bcrypt"}, "passwords.py"),
    ],
    ids=["environment", "clock", "jwt", "bcrypt"],
)
def test_one_module_alone_reaches_for(names: set[str], module: str) -> None:
    assert users_of(names) == {module}
