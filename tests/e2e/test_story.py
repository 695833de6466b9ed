import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import demo
from tests.e2e.conftest import PASSWORDS

README = Path(__file__).parents[2] / "README.md"


def test_the_demo_gets_every_answer_that_it_expects(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    passwords = {name: PASSWORDS[name] for name in ("bob", "carol")}
    demo.tell_all(world.story, passwords)
    told = capsys.readouterr().out
    assert world.story.surprises == 0, told
    assert len(told.splitlines()) >= 20


def test_the_walk_of_the_readme_runs_as_it_stands_there(world: Any) -> None:
    blocks = re.findall(r"<!-- walk -->\n```bash\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks, "the README has no walk"
    script = "\n".join(blocks).replace("http://127.0.0.1:8000", world.stack["api_url"])
    assert "/login" in script
    walked = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=world.folder, capture_output=True, text=True, check=False
    )
    assert walked.returncode == 0, walked.stderr
    for expected in (
        '"access_token"',
        '"detail":"manager access required"',
        '{"message": "Hello alice! You have manager access."}',
        '{"message": "Logged out successfully"}',
        '"detail": "Refresh token revoked"',
    ):
        assert expected in walked.stdout, walked.stdout


def test_the_user_s_own_messages_are_right_to_the_letter(world: Any) -> None:
    alice, bob = world.login("alice"), world.login("bob")
    bearer: Callable[[dict[str, Any]], str] = lambda tokens: f"Bearer {tokens['access_token']}"  # noqa: E731
    hello = world.ask("GET", "/manager", Authorization=bearer(bob))
    assert hello.raw == b'{"message": "Hello bob! You have manager access."}'
    refused = world.ask("GET", "/manager", Authorization=bearer(alice))
    assert (refused.status, refused.body["detail"]) == (403, "manager access required")
    wrong = world.ask("POST", "/login", {"username": "alice", "password": "wrong password"})
    assert (wrong.status, wrong.body["detail"]) == (401, "Invalid credentials")
    junk = world.ask("POST", "/refresh", {"token": "junk"})
    assert (junk.status, junk.body["detail"]) == (401, "Invalid refresh token")
    out = world.ask("POST", "/logout", {"token": alice["refresh_token"]})
    assert (out.status, out.raw) == (200, b'{"message": "Logged out successfully"}')
    again = world.ask("POST", "/refresh", {"token": alice["refresh_token"]})
    assert (again.status, again.body["detail"]) == (401, "Refresh token revoked")


def test_every_role_gets_exactly_as_far_as_it_reaches_whoever_asked_first(world: Any) -> None:
    tokens = {name: world.login(name)["access_token"] for name in ("alice", "bob", "carol")}
    reach = {
        "alice": {"/hello": 200, "/manager": 403, "/admin": 403},
        "bob": {"/hello": 200, "/manager": 200, "/admin": 403},
        "carol": {"/hello": 200, "/manager": 200, "/admin": 200},
    }
    asked = [(name, path) for name in reach for path in reach[name]]
    for name, path in [*asked, *reversed(asked)]:  # the second time from the gateway's cache
        answer = world.ask("GET", path, Authorization=f"Bearer {tokens[name]}")
        assert answer.status == reach[name][path], (name, path, answer.body)
        if answer.status == 403:
            assert answer.body["detail"] == f"{path.removeprefix('/')} access required"
            assert answer.body["code"] == "forbidden"
            assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_new_role_counts_from_the_next_refresh(world: Any) -> None:
    account = {"username": "dora", "password": "correct horse battery"}
    assert world.ask("POST", "/register", account).status == 201
    tokens = world.ask("POST", "/login", account).body
    assert world.operate("users", "set-role", "dora", "manager").returncode == 0
    renewed = world.refresh(tokens["refresh_token"]).body
    assert (tokens["role"], renewed["role"]) == ("user", "manager")
    answer = world.ask("GET", "/manager", Authorization=f"Bearer {renewed['access_token']}")
    assert answer.status == 200


def test_parallel_refreshes_of_one_token_all_succeed_with_one_successor(world: Any) -> None:
    token = world.login("bob")["refresh_token"]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(world.refresh, [token] * 10))
    assert [answer.status for answer in answers] == [200] * 10
    assert len({answer.body["refresh_token"] for answer in answers}) == 1


def test_a_spent_token_ends_the_whole_session(world: Any) -> None:
    first = world.login("carol")["refresh_token"]
    second = world.refresh(first).body["refresh_token"]
    sessions, table = world.client("dynamodb"), world.stack["sessions_table"]
    for item in sessions.scan(TableName=table)["Items"]:  # as if the grace and the window were over
        if "rotated_at" in item:
            key = {name: item[name] for name in ("user_id", "session_id")}
            aged = {":long_ago": {"N": str(int(item["rotated_at"]["N"]) - 100)}}
            sessions.update_item(
                TableName=table, Key=key, UpdateExpression="SET rotated_at = :long_ago", ExpressionAttributeValues=aged
            )
    third = world.refresh(second).body["refresh_token"]
    stolen = world.refresh(first)
    assert (stolen.status, stolen.body["code"]) == (401, "refresh_token_reused")
    assert world.refresh(third).body["code"] == "refresh_token_revoked"
