"""Run a built function under AWS's own Runtime Interface Emulator, no Docker: `python -m local.invoke FUNCTION EVENT`.

The function's environment comes from the running local stack, and its code and layer from the build. Its interpreter is
that of the local AWS, which like Lambda's runtime has boto3 and nothing of the layer's. The answer goes to standard
output, the logs to standard error.
"""

import contextlib
import http.server
import importlib.resources
import json
import os
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from local.build import LAYERS, build, built
from local.home import ARCHITECTURE, CREDENTIALS, Home, read
from local.process import Failure, child, end_on_signals, free_port
from local.server import INTERPRETER, find

SECONDS_TO_START = 10


def invoke(home: Home, function: str, event: bytes) -> bytes:
    """Run a function once, in a fresh environment, and give its answer as the emulator gives it.

    Raises:
        Failure: no stack is up, it has no such function, or the emulator does not start.
    """
    if not find(home) or not home.functions.exists():
        raise Failure("No local stack is up, and a function needs one to talk to. Start it first: make up")
    environments = read(home.functions)
    if function not in environments:
        raise Failure(f"There is no function {function or '(F= is missing)'}. Choose one of: {' '.join(environments)}")
    build(home)
    home.scratch.mkdir(exist_ok=True)
    emulator = f"127.0.0.1:{free_port()}"
    command = [
        *(str(executable_emulator(home.scratch)), "--runtime-interface-emulator-address", emulator),
        *("--runtime-api-address", f"127.0.0.1:{free_port()}", "--log-level", "error"),
        *(str(INTERPRETER), "-m", "awslambdaric", properties(function)["Handler"]),
    ]
    environment = runtime_environment(function) | environments[function]
    log = home.path / "invoke.log"
    try:
        with child(command, env=environment, log=log, cwd=built() / function) as process:
            return post(process, f"http://{emulator}/2015-03-31/functions/function/invocations", event)
    finally:
        sys.stderr.write(log.read_text(errors="replace"))


def executable_emulator(folder: Path) -> Path:
    """Copy the emulator out of SAM, whose wheel does not mark it as executable, into `folder`."""
    name = f"aws-lambda-rie-{ARCHITECTURE}"
    source = Path(str(importlib.resources.files("samcli"))) / "local" / "rapid" / name
    emulator = folder / name
    if not emulator.exists():
        new = folder / f"{name}.{os.getpid()}"
        new.write_bytes(source.read_bytes())
        new.chmod(stat.S_IRWXU)
        new.replace(emulator)
    return emulator


def properties(function: str) -> dict[str, Any]:
    """Read a function's properties off the built template, its defaults included."""
    template = yaml.safe_load((built() / "template.yaml").read_text())
    return {**template["Globals"]["Function"], **template["Resources"][function]["Properties"]}


def runtime_environment(function: str) -> dict[str, str]:
    """Give what Lambda's runtime sets; a layer's packages come before the runtime's own, as in `/opt/python`."""
    settings = properties(function)
    return {
        **CREDENTIALS,
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(built() / LAYERS[ARCHITECTURE] / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(built() / function),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(settings["Timeout"]),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings["MemorySize"]),
    }


def post(process: subprocess.Popen[bytes], url: str, event: bytes) -> bytes:
    """Send the event as soon as the emulator listens."""
    deadline = time.monotonic() + SECONDS_TO_START
    request = urllib.request.Request(url, event)  # noqa: S310 - http
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - http
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            return error.read()
        except urllib.error.URLError:
            time.sleep(0.02)
    raise Failure("AWS's Runtime Interface Emulator did not start.")


@contextlib.contextmanager
def cloudformation(event: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Stand in for CloudFormation, if it sent `event`: give the event to send, and what the function answers.

    A custom resource's function answers by a PUT to the event's `ResponseURL`; in a sample nobody listens there.
    """
    answers: list[bytes] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    content = json.loads(event)
    if not isinstance(content, dict) or "ResponseURL" not in content:
        yield event, answers
        return
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield json.dumps(content | {"ResponseURL": f"http://127.0.0.1:{server.server_port}/"}).encode(), answers
        finally:
            server.shutdown()


def shown(answer: bytes) -> tuple[str, bool]:
    """Make an answer readable, and say whether it is one: an error has a type and a message, a time-out is no JSON."""
    try:
        content = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace"), False
    is_error = isinstance(content, dict) and {"errorType", "errorMessage"} <= content.keys()
    return json.dumps(content, indent=2, ensure_ascii=False), not is_error


def main() -> None:
    """Do what the command line says; exit with 1 if the function failed."""
    end_on_signals()
    function, event = [*sys.argv[1:], "", ""][:2]
    if not event or not Path(event).is_file():
        raise Failure(
            f"There is no event file {event or '(E= is missing)'}: make invoke F=LoginFunction E=events/login.json"
        )
    try:
        with cloudformation(Path(event).read_bytes()) as (sent, answers):
            answer, succeeded = shown(invoke(Home(), function, sent))
    except ValueError:
        raise Failure(f"{event} is not JSON.") from None
    print(answer)
    for told in answers:
        print(f"To CloudFormation: {shown(told)[0]}")
    if not succeeded:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
