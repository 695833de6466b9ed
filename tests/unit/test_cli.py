"""The operator's command, against moto's AWS and a stack in it."""

import contextlib
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

from tests.conftest import CREDENTIALS, LAPTOP, PASSWORD, PHONE, Fault, World, client

ON_AWS = ["--stack-name", "auth", "--region", CREDENTIALS["AWS_DEFAULT_REGION"]]


OUTPUTS = {"UsersTable": "users", "AttemptsTable": "attempts", "RotateKeysFunctionName": "keys-keeper"}


def describe_stacks(request: AWSPreparedRequest) -> tuple[int, str]:
    """Answer like CloudFormation, which has a stack of ours, one still without outputs, and no other."""
    name = parse_qs(str(request.body))["StackName"][0]
    parameter = "".join(
        f"<member><ParameterKey>{key}</ParameterKey><ParameterValue>{value}</ParameterValue></member>"
        for key, value in {"BcryptCost": "5", "PasswordMinLength": "12"}.items()
    )
    output = "".join(
        f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
        for key, value in OUTPUTS.items()
    )
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


def invoke(world: World, request: AWSPreparedRequest) -> tuple[int, str, dict[str, str]]:
    """Answer like Lambda: run the real handler in this process."""
    assert "/functions/keys-keeper/" in request.url
    try:
        assert isinstance(request.body, bytes)
        order = json.loads(request.body)
        with contextlib.redirect_stdout(io.StringIO()):  # it goes to CloudWatch
            report = json.dumps(world.handler("rotate_keys")(order, None))
    except Exception as error:  # noqa: BLE001 - whatever it is, Lambda tells it like this
        told = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
        return 200, told, {"X-Amz-Function-Error": "Unhandled"}
    return 200, report, {}


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
    world.wire.stands_in["Invoke"] = lambda request: invoke(world, request)
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


def test_the_stacks_own_lengths_hold_for_the_operator_too(rolegate: Rolegate) -> None:
    said = rolegate(*ON_AWS, "users", "add", "dave", "--password-stdin", stdin="11 letters%\n")
    assert failed(said) == "The password must have 12 to 256 characters."
    assert rolegate(*ON_AWS, "users", "add", "dave", "--password-stdin", stdin="twelve lett%\n").code == 0


def guess(world: World, name: str = "alice", password: str = "wrong") -> int:
    return world.post("login", {"username": name, "password": password}).status


def test_somebody_whom_guesses_from_everywhere_keep_out_is_let_in(world: World, rolegate: Rolegate) -> None:
    world.guesses = True
    world.add_user()
    world.configure(USER_LIMIT="3/900")
    assert [guess(world) for _ in range(4)] == [401, 401, 401, 429]
    said = rolegate(*ON_AWS, "users", "unlock", " Alice ")
    assert said.code == 0
    assert said.out.splitlines() == [
        "Forgotten: the guesses at the name alice from all networks together.",
        "What one network has used up by itself is forgotten with its address: --address.",
    ]
    assert guess(world, password=PASSWORD) == 200


def test_with_an_address_what_was_guessed_from_there_is_forgotten_too(world: World, rolegate: Rolegate) -> None:
    world.guesses = True
    world.add_user()
    world.configure(USER_NETWORK_LIMIT="3/900", NETWORK_LIMIT="6/10")
    assert [guess(world) for _ in range(4)] == [401, 401, 401, 429]
    assert [guess(world, "bob") for _ in range(3)] == [401, 401, 429]
    for address in (None, LAPTOP.source_ip):
        more = ["--address", address] if address else []
        assert rolegate(*ON_AWS, "users", "unlock", "alice", *more).code == 0
        assert guess(world, password=PASSWORD) == 429
    said = rolegate(*ON_AWS, "users", "unlock", "alice", "--address", PHONE.source_ip)
    assert said.out == f"Forgotten: the guesses at the name alice, and those from {PHONE.source_ip} at any name.\n"
    assert guess(world, password=PASSWORD) == 200
    assert guess(world, "bob") == 401


@pytest.mark.parametrize("address", ["", "localhost", "192.0.2", "192.0.2.0/24", "2001:db8::/64"])
def test_what_is_no_address_is_told(rolegate: Rolegate, address: str) -> None:
    said = rolegate(*ON_AWS, "users", "unlock", "alice", "--address", address)
    assert failed(said) == f"'{address}' is no address. Give one such as 192.0.2.44 or 2001:db8::7."


def test_a_stack_of_before_the_limits_is_told_apart(rolegate: Rolegate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(OUTPUTS, "AttemptsTable")
    said = rolegate(*ON_AWS, "users", "unlock", "alice")
    assert failed(said) == "This stack is of an older version, which counts no guesses. Deploy the new one first."


def test_a_name_that_cannot_be_is_not_unlocked(rolegate: Rolegate) -> None:
    assert failed(rolegate(*ON_AWS, "users", "unlock", "no name")).startswith("A username has 1 to 128 characters")


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


def test_a_role_that_the_stack_does_not_have_is_refused_with_those_that_it_has(
    world: World, rolegate: Rolegate
) -> None:
    world.add_user()
    for arguments in (["add", "bob", "--role", "owner"], ["set-role", "alice", "owner"]):
        said = rolegate(*ON_AWS, "users", *arguments, stdin=PASSWORD)
        assert failed(said) == "There is no role 'owner'. The roles are user, manager, admin."
    assert world.user()["role"] == "user"


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys"],
        ["keys", "rotate", "--compromised", "all"],
        ["sign-out"],
        [],
        ["users"],
        ["users", "add"],
    ],
)
def test_a_command_that_makes_no_sense_is_explained(rolegate: Rolegate, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rolegate(*arguments)
    assert ended.value.code == 2


# --- keys


def keys_of(said: Said) -> list[tuple[str, str, str]]:
    """Return the state, name and algorithm of every key that was shown; the first word of a title is none."""
    rows = [line.split() for line in said.out.splitlines() if line.startswith("  ")]
    return [(row[0], row[1], row[2]) for row in rows]


def kids(world: World, secret: str) -> list[str]:
    ring = world.ring(secret)
    return [key["kid"] for key in (ring["current"], ring["next"], *ring["retired"])]


def test_the_keys_are_shown_with_what_they_are_and_when_that_changes(world: World, rolegate: Rolegate) -> None:
    said = rolegate(*ON_AWS, "keys", "show")
    signing, refresh = kids(world, "SIGNING_KEYS_SECRET"), kids(world, "REFRESH_KEYS_SECRET")
    made, due = "2027-01-15 08:00 UTC", "2027-02-14 08:00 UTC"
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "Keys of the stack 'auth' in eu-central-1",
        "Signing keys, for access tokens",
        f"  current  {signing[0]}  RS256  made {made}  signs until {due}",
        f"  next     {signing[1]}  RS256  made {made}  signs from {due}",
        "Refresh keys, for refresh tokens",
        f"  current  {refresh[0]:<43}  HS256  made {made}  signs until {due}",
        f"  next     {refresh[1]:<43}  HS256  made {made}  signs from {due}",
        "Each change happens at the first daily run from then on.",
    ]


def test_an_operator_rotates_the_keys_before_their_time_and_sees_what_they_are_now(
    world: World, rolegate: Rolegate
) -> None:
    signing, refresh = kids(world, "SIGNING_KEYS_SECRET"), kids(world, "REFRESH_KEYS_SECRET")
    world.clock.tick(60)
    said = rolegate(*ON_AWS, "keys", "rotate")
    assert (said.code, said.err) == (0, "")
    shown = keys_of(said)
    assert [state for state, _, _ in shown] == ["current", "next", "retired"] * 2
    assert (shown[0][1], shown[2][1], shown[3][1], shown[5][1]) == (signing[1], signing[0], refresh[1], refresh[0])
    assert [kid for _, kid, _ in shown] == kids(world, "SIGNING_KEYS_SECRET") + kids(world, "REFRESH_KEYS_SECRET")
    assert f"{signing[0]}  RS256  made 2027-01-15 08:00 UTC  leaves 2027-01-15 09:23 UTC" in said.out


def test_a_second_rotation_waits_until_every_verifier_can_know_the_next_key(world: World, rolegate: Rolegate) -> None:
    world.clock.tick(60)
    rolegate(*ON_AWS, "keys", "rotate")
    before = world.stored()
    world.clock.tick(60)
    said = rolegate(*ON_AWS, "keys", "rotate")
    assert said.code == 1
    assert said.err.splitlines() == [
        f"The {name} keys did not rotate: others may use the keys that they read for two hours, so the next "
        "key may not sign before 2027-01-15 10:01 UTC."
        for name in ("signing", "refresh")
    ]
    assert keys_of(said)
    assert world.stored() == before
    world.clock.tick(7200)
    assert rolegate(*ON_AWS, "keys", "rotate").code == 0


def test_a_next_key_that_was_never_published_is_published_and_does_not_sign_yet(
    world: World, rolegate: Rolegate
) -> None:
    client("ssm").put_parameter(Name="/rolegate/jwks", Value='{"keys":[]}', Overwrite=True)
    world.clock.tick(60)
    current = kids(world, "SIGNING_KEYS_SECRET")[0]
    said = rolegate(*ON_AWS, "keys", "rotate")
    assert said.err.startswith("The signing keys did not rotate")
    assert "2027-01-15 10:01 UTC" in said.err  # two hours from its publication, which is now
    assert kids(world, "SIGNING_KEYS_SECRET")[0] == current


@pytest.mark.parametrize(("which", "gone"), [("signing", {0}), ("refresh", {1}), ("both", {0, 1})])
def test_compromised_keys_are_thrown_away_at_once(world: World, rolegate: Rolegate, which: str, gone: set[int]) -> None:
    secrets = ("SIGNING_KEYS_SECRET", "REFRESH_KEYS_SECRET")
    before = [kids(world, secret) for secret in secrets]
    said = rolegate(*ON_AWS, "keys", "rotate", "--compromised", which)
    assert (said.code, said.err) == (0, "")
    after = [kids(world, secret) for secret in secrets]
    for ring in (0, 1):
        assert set(before[ring]).isdisjoint(after[ring]) is (ring in gone)
    assert ("are signed out" in said.out) is (1 in gone)
    assert "No verifier of Rolegate's own takes one of the old keys after 7 minutes" in said.out
    assert len(keys_of(said)) == 2 * len(gone)  # of the rings that it was about


def test_everyone_is_signed_out_by_one_command(world: World, rolegate: Rolegate) -> None:
    world.add_user()
    token = world.login()["refresh_token"]
    world.clock.tick(1)
    said = rolegate(*ON_AWS, "sign-out-everyone")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "Users of the stack 'auth' in eu-central-1"
    assert said.out.splitlines()[1].startswith("Every session that was begun before now ends: within 5 minutes")
    world.clock.tick(300)
    assert world.refresh(token).problem == (401, "refresh_token_revoked", "Refresh token revoked")
    assert world.refresh(world.login()["refresh_token"]).status == 200
    assert (
        "Sessions that were begun before 2027-01-15 08:00 UTC are signed out." in rolegate(*ON_AWS, "keys", "show").out
    )


def test_what_the_keys_function_cannot_do_is_one_sentence(world: World, rolegate: Rolegate) -> None:
    world.change_ring("SIGNING_KEYS_SECRET", {"secret": "hunter2"})
    said = rolegate(*ON_AWS, "keys", "rotate")
    secret = world.settings["SIGNING_KEYS_SECRET"]
    assert said.code == 1
    assert said.err == (
        f"The keys' function failed: The secret does not hold a key ring. It is {secret}. "
        "Restore its value; {} makes new keys. Its log says more.\n"
    )


def test_an_order_whose_answer_got_lost_is_not_given_twice(world: World, rolegate: Rolegate) -> None:
    world.wire.order("Invoke", Fault.ANSWER_LOST)
    said = rolegate(*ON_AWS, "keys", "rotate", "--compromised", "signing")
    assert said.code == 1
    assert said.err.startswith("No answer came, so the order may have been carried out or not.")
    assert world.wire.calls.count("Invoke") == 1


def test_an_order_that_is_stopped_after_it_was_sent_may_have_been_carried_out(world: World, rolegate: Rolegate) -> None:
    def stop(_request: AWSPreparedRequest) -> tuple[int, str]:
        raise KeyboardInterrupt

    world.wire.stands_in["Invoke"] = stop
    said = rolegate(*ON_AWS, "keys", "rotate")
    assert said.err.startswith("No answer came, so the order may have been carried out or not.")


def test_keys_that_were_not_thrown_away_are_not_said_to_be(world: World, rolegate: Rolegate) -> None:
    report = {"now": 7, "rings": {"signing": {"keys": [], "rotated_at": 6, "next_is_known_at": 6}}}
    world.wire.stands_in["Invoke"] = lambda _: (200, json.dumps(report))
    said = rolegate(*ON_AWS, "keys", "rotate", "--compromised", "signing")
    assert (said.code, said.err) == (1, "The keys were not thrown away. Give the same command again.\n")
