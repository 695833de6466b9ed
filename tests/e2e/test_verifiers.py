"""Verifiers that others wrote, and twenty authorizers that nobody has asked yet, need only the published documents."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt

ROOT = Path(__file__).parents[2]
VERIFIERS = Path(__file__).parent / "verifiers"
AUDIENCE = "rolegate"
AT_ONCE = 20

type Verdict = dict[str, Any]


def test_a_rotation_of_the_keys_is_seen_by_no_verifier(world: Any) -> None:
    let_two_hours_pass(world)
    with verifiers(world) as verify:
        before = world.login("bob")["access_token"]
        assert verify(before) == ACCEPTED
        rotated = world.operate("keys", "rotate")
        assert rotated.returncode == 0, rotated.stderr
        renew(world, "LoginFunction")
        after = world.login("bob")["access_token"]
        assert kid(after) != kid(before)
        assert verify(after) == ACCEPTED
        assert verify(before) == ACCEPTED
        assert verify(forged(after)) == REFUSED


def test_twenty_cold_authorizers_that_are_asked_at_once_all_get_their_keys(world: Any) -> None:
    question = asked(world.login("bob")["access_token"])
    name, keys = renew(world, "ManagerAuthorizerFunction"), "/.well-known/jwks.json"
    client, started_before = world.client("lambda"), started(world, name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # An environment of the local AWS takes a core for a second to start: those that serve the keys come first.
        assert {answer.status for answer in pool.map(lambda _: world.ask("GET", keys), range(AT_ONCE))} == {200}
        effects = list(pool.map(lambda _: authorize(client, name, question), range(AT_ONCE)))
    assert effects == ["Allow"] * AT_ONCE
    assert started(world, name) - started_before == AT_ONCE
    for function in ("ManagerAuthorizerFunction", "KeysFunction"):
        renew(world, function)  # ends what was started here


ACCEPTED: Verdict = {
    "GET /manager": 200,
    "our authorizer": "Allow",
    "PyJWT": "bob",
    "jose": {"sub": "bob", "fetches": 1},
    "aws-jwt-verify": {"sub": "bob", "fetches": 1},
}
REFUSED: Verdict = {
    "GET /manager": 401,
    "our authorizer": "Unauthorized",
    "PyJWT": "InvalidSignatureError",
    "jose": {"error": "JWSSignatureVerificationFailed", "fetches": 1},
    "aws-jwt-verify": {"error": "JwtInvalidSignatureError", "fetches": 1},
}


@contextlib.contextmanager
def verifiers(world: Any) -> Iterator[Callable[[str], Verdict]]:
    """Ask every verifier about a token; each keeps the keys that it fetched at the first."""
    keys = jwt.PyJWKClient(world.stack["jwks_url"])
    client, authorizer = world.client("lambda"), physical_name(world, "ManagerAuthorizerFunction")
    with subprocess.Popen(
        ["node", VERIFIERS / "verify.mjs", world.stack["issuer"], AUDIENCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as node:
        written, read = node.stdin, node.stdout
        assert written
        assert read

        def verify(token: str) -> Verdict:
            written.write(f"{token}\n")
            line = read.readline()
            assert line, "verify.mjs ended; run `local/setup tests` if what it needs is not installed"
            return {
                # The gateway remembers an answer for a minute, so the authorizer is also asked past it.
                "GET /manager": world.ask("GET", "/manager", Authorization=f"Bearer {token}").status,
                "our authorizer": authorize(client, authorizer, asked(token)),
                "PyJWT": subject(keys, token, world.stack["issuer"]),
                **json.loads(line),
            }

        yield verify


def subject(keys: jwt.PyJWKClient, token: str, issuer: str) -> str:
    try:
        key = keys.get_signing_key_from_jwt(token)
        return str(jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=issuer)["sub"])
    except jwt.PyJWTError as error:
        return type(error).__name__


def asked(token: str) -> str:
    event = json.loads((ROOT / "events" / "authorizer_rest_request.json").read_text())
    event["headers"]["authorization"] = f"Bearer {token}"
    event["multiValueHeaders"]["authorization"] = [f"Bearer {token}"]
    return json.dumps(event)


def authorize(client: Any, name: str, question: str) -> str:
    answer = json.load(client.invoke(FunctionName=name, Payload=question)["Payload"])
    return str(answer.get("errorMessage") or answer["policyDocument"]["Statement"][0]["Effect"])


def let_two_hours_pass(world: Any) -> None:
    """Make the next keys so old that they may sign, and forget older key sets, whichever test rotated before."""
    client = world.client("secretsmanager")
    for secret in (world.stack["signing_keys_secret"], world.stack["refresh_keys_secret"]):
        ring = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
        ring["next"]["created_at"] -= 7200
        client.put_secret_value(SecretId=secret, SecretString=json.dumps(ring))
    for function in ("KeysFunction", "ManagerAuthorizerFunction"):
        renew(world, function)


def renew(world: Any, function: str) -> str:
    """End a function's environments, as every change of its configuration does, and return its name."""
    name, client = physical_name(world, function), world.client("lambda")
    timeout = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=timeout)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    return name


def physical_name(world: Any, function: str) -> str:
    found = world.client("cloudformation").describe_stack_resource(
        StackName=world.stack["stack_name"], LogicalResourceId=function
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def started(world: Any, name: str) -> int:
    """Count the environments of a function that the local AWS has started so far."""
    log: str = (world.folder / ".local" / "aws.log").read_text()
    return log.count(f"Lambda worker spawned for {name} ")


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def forged(token: str) -> str:
    signed, _, seal = token.rpartition(".")
    return f"{signed}.{'B' if seal[0] == 'A' else 'A'}{seal[1:]}"
