import os
from pathlib import Path

import pytest

from local.home import Home, aws_environment, read, write


def test_only_one_local_aws_lives_in_a_folder(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert not home.is_up()
    lock = home.lock()
    assert lock is not None
    assert home.lock() is None
    assert home.is_up()
    os.close(lock)
    assert not home.is_up()


def test_a_file_is_read_as_it_was_written_and_an_absent_one_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    assert read(path) == {}
    write(path, {"alice": "secret"}, mode=0o600)
    assert read(path) == {"alice": "secret"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_no_real_account_is_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    environment = aws_environment("http://127.0.0.1:4566")
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & environment.keys()
