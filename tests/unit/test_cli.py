"""The operator's command, against moto's AWS and a stack in it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

import bcrypt
import pytest
from botocore.awsrequest import AWSPreparedRequest
from rolegate_cli import __main__ as command

from tests.conftest import CREDENTIALS, PASSWORD, Fault, World

ON_AWS = ["--stack-name", "auth", "--region", CREDENTIALS["AWS_DEFAULT_REGION"]]


def describe_stacks(request: AWSPreparedRequest) -> tuple[int, str]:
    """Answer like CloudFormation, which has a stack of ours, one still without outputs, and no other."""
    name = parse_qs(str(request.body))["StackName"][0]
    parameter = "<member><ParameterKey>BcryptCost</ParameterKey><ParameterValue>5</ParameterValue></member>"
    output = "<member><OutputKey>UsersTable</OutputKey><OutputValue>users</OutputValue></member>"
    match name:
        case "auth":
            inside = f"<Parameters>{parameter}</Parameters><Outputs>{output}</Outputs>"
        case "unfinished":
            inside = ""
        case _:
            error = f"<Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message>"
            return 400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
    stack = f"<member><StackName>{name}</StackName>{inside}</member>"
    result = f"<DescribeStacksResult><Stacks>{stack}</Stacks></DescribeStacksResult>"
    return 200, f"<DescribeStacksResponse>{result}</DescribeStacksResponse>"


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Rolegate = Callable[..., Said]


@pytest.fixture
def rolegate(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Rolegate:
    """Type `rolegate ...`, with something on standard input."""

    def run(*arguments: str, stdin: str = "", terminal: bool = False) -> Said:
        monkeypatch.setattr(sys, "stdin", Terminal(stdin) if terminal else io.StringIO(stdin))
        capsys.readouterr()
        code = command.main(list(arguments))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    world.wire.stands_in["DescribeStacks"] = describe_stacks
    monkeypatch.chdir(tmp_path)
    return run


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str | BaseException]:
    """Have a person type these passwords when asked for one; or press a key that ends it."""
    passwords: list[str | BaseException] = []

    def getpass(_prompt: str) -> str:
        password = passwords.pop(0)
        if isinstance(password, BaseException):
            raise password
        return password

    monkeypatch.setattr("getpass.getpass", getpass)
    return passwords


def failed(said: Said) -> str:
    """Return the one sentence of a command that failed."""
    assert said.code == 1
    assert said.out == ""
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1
    return said.err.rstrip()


def test_a_user_is_added_with_a_role_and_a_password_from_standard_input(world: World, rolegate: Rolegate) -> None:
    said = rolegate(*ON_AWS, "users", "add", " Root ", "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\r\n")
    assert said == (0, "Added root with the role admin.\n", "")
    stored = world.user("root")
    assert stored["role"] == "admin"
    assert bcrypt.checkpw(PASSWORD.encode(), stored["password_hash"].encode())
    assert stored["password_hash"].startswith("$2b$05$"), "not the cost of the stack's own functions"
    assert world.login("root")["role"] == "admin"


def test_a_user_has_the_lowest_role_unless_told_otherwise(world: World, rolegate: Rolegate) -> None:
    assert rolegate(*ON_AWS, "users", "add", "alice", "--password-stdin", stdin=PASSWORD).code == 0
    assert world.user()["role"] == "user"


def test_a_person_at_a_terminal_is_asked_twice(
    world: World, rolegate: Rolegate, typed: list[str | BaseException]
) -> None:
    typed += [PASSWORD, PASSWORD]
    assert rolegate(*ON_AWS, "users", "add", "alice", terminal=True).code == 0
    assert world.login()["role"] == "user"


def test_two_different_passwords_change_nothing(
    world: World, rolegate: Rolegate, typed: list[str | BaseException]
) -> None:
    typed += [PASSWORD, f"{PASSWORD}!"]
    said = rolegate(*ON_AWS, "users", "add", "alice", terminal=True)
    assert failed(said) == "The two passwords differ; nothing was changed."
    assert world.stored()["users"] == []


@pytest.mark.parametrize("key", [KeyboardInterrupt(), EOFError()])
def test_a_person_who_gives_up_changes_nothing(
    world: World, rolegate: Rolegate, typed: list[str | BaseException], key: BaseException
) -> None:
    typed.append(key)
    assert failed(rolegate(*ON_AWS, "users", "add", "alice", terminal=True)) == "Stopped; nothing was changed."
    assert world.stored()["users"] == []


@pytest.mark.parametrize("password", ["", "short", "\x00" * 8, "caf\ufffd au lait"])
def test_the_rules_of_registration_hold_for_the_operator_too(world: World, rolegate: Rolegate, password: str) -> None:
    said = rolegate(*ON_AWS, "users", "add", "alice", "--password-stdin", stdin=f"{password}\n")
    assert failed(said).startswith("The password ")
    assert failed(rolegate(*ON_AWS, "users", "add", "no name", stdin=PASSWORD)).startswith("A username has ")
    assert world.stored()["users"] == []


def test_a_name_is_added_once(rolegate: Rolegate) -> None:
    rolegate(*ON_AWS, "users", "add", "alice", stdin=PASSWORD)
    assert failed(rolegate(*ON_AWS, "users", "add", "ALICE", stdin=PASSWORD)) == "This username is taken."


def test_a_role_is_changed_and_the_next_refresh_knows(world: World, rolegate: Rolegate) -> None:
    world.add_user()
    token = world.login()["refresh_token"]
    said = rolegate(*ON_AWS, "users", "set-role", "Alice", "manager")
    assert said == (0, "alice has the role manager now; access tokens follow at their next refresh.\n", "")
    assert world.refresh(token).body["role"] == "manager"


def test_nobodys_role_cannot_be_changed(rolegate: Rolegate) -> None:
    said = rolegate(*ON_AWS, "users", "set-role", "mallory", "admin")
    assert failed(said) == "There is no user 'mallory'. See 'rolegate users list'."


def test_users_are_listed_one_a_line(world: World, rolegate: Rolegate) -> None:
    world.add_user("alice", created_at=1_700_000_000)
    world.add_user("bob", role="manager", disabled=True, created_at=1_700_000_000)
    world.add_user("carol", role="admin", deleted_at=1_700_000_001, created_at=1_700_000_000)
    said = rolegate(*ON_AWS, "users", "list")
    assert said.code == 0
    assert sorted(said.out.splitlines()) == [
        f"alice\tuser\tenabled\t2023-11-14\t{world.user('alice')['user_id']}",
        f"bob\tmanager\tdisabled\t2023-11-14\t{world.user('bob')['user_id']}",
        f"carol\tadmin\tdeleted\t2023-11-14\t{world.user('carol')['user_id']}",
    ]


def test_nobody_is_listed_in_an_empty_stack(rolegate: Rolegate) -> None:
    assert rolegate(*ON_AWS, "users", "list") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stack-name", "nope"], "AWS does not show the stack 'nope': Stack with id nope does not exist"),
        (
            ["--stack-name", "unfinished"],
            "The stack 'unfinished' is not a Rolegate stack, or its deployment has not finished.",
        ),
        (["--stack-name", "auth", "--profile", "work"], "There is no AWS profile 'work'."),
        (
            [],
            "No local stack is running here. Start it with 'make up', or name one on AWS with --stack-name.",
        ),
    ],
)
def test_a_stack_that_cannot_be_found_is_one_sentence(rolegate: Rolegate, arguments: list[str], sentence: str) -> None:
    assert failed(rolegate(*arguments, "users", "list")) == sentence


def test_without_a_region_the_command_asks_for_one(rolegate: Rolegate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    said = rolegate("--stack-name", "auth", "users", "list")
    assert failed(said) == "Say which AWS region the stack is in: --region."


def test_without_credentials_the_command_asks_for_a_profile(
    rolegate: Rolegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert failed(rolegate(*ON_AWS, "users", "list")) == "There are no AWS credentials. Choose a profile: --profile."


def test_a_local_stack_that_has_gone_is_one_sentence(world: World, rolegate: Rolegate, tmp_path: Path) -> None:
    world.wire.stands_in.clear()
    facts = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:9", "stack_name": "rolegate"}
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(facts))
    said = rolegate("users", "list")
    assert failed(said) == "http://127.0.0.1:9 does not answer. Is it running, and is the network there?"


def test_a_stack_json_that_leads_elsewhere_is_not_followed(rolegate: Rolegate, tmp_path: Path) -> None:
    facts = {"region": "us-east-1", "endpoint_url": "http://198.51.100.7:4566", "stack_name": "rolegate"}
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(facts))
    said = rolegate("users", "add", "carol", "--role", "admin", "--password-stdin")
    assert failed(said).startswith(".local/stack.json names an address that is not on this machine.")


@pytest.mark.parametrize("way", [["--profile", "production"], ["--region", "eu-central-1"]])
def test_a_way_to_aws_without_a_stack_is_no_way_to_the_local_one(rolegate: Rolegate, way: list[str]) -> None:
    assert failed(rolegate(*way, "users", "list")).startswith("Name the stack on AWS as well: --stack-name.")


def test_what_aws_refuses_is_one_sentence(world: World, rolegate: Rolegate) -> None:
    world.wire.order("Scan", Fault.REFUSED)
    assert failed(rolegate(*ON_AWS, "users", "list")).startswith("AWS refused: Scan of ")
    world.wire.order("UpdateItem", Fault.REFUSED)
    said = rolegate(*ON_AWS, "users", "set-role", "alice", "admin")
    assert failed(said).startswith("AWS refused: UpdateItem of ")


def test_an_aws_out_of_reach_is_one_sentence(world: World, rolegate: Rolegate) -> None:
    world.wire.order("UpdateItem", Fault.TIME_OUT, Fault.TIME_OUT)
    said = rolegate(*ON_AWS, "users", "set-role", "alice", "admin")
    assert failed(said) == "The service is not available right now. Try again."


@pytest.mark.parametrize("arguments", [[], ["users"], ["users", "add"], ["users", "set-role", "alice", "owner"]])
def test_a_command_that_makes_no_sense_is_explained(rolegate: Rolegate, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rolegate(*arguments)
    assert ended.value.code == 2
