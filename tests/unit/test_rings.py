"""The ring that a function works with, when the store is in trouble."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from rolegate import keyring
from rolegate.errors import Misconfigured, Unavailable
from rolegate.stores import aws
from rolegate.stores.rings import Rings, RingStore

from tests.conftest import NOW, World, client

SECRET = "REFRESH_KEYS_SECRET"


@pytest.fixture
def silent() -> Iterator[Any]:
    """Give a client of a store that takes every connection and never answers, and how many it took."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        impatient = aws.BOUNDED.merge(Config(read_timeout=0.05))
        yield boto3.client("secretsmanager", endpoint_url=url, config=impatient)


def rings(world: World) -> Rings:
    return Rings(RingStore(client("secretsmanager"), world.settings[SECRET]), 300)


def go_silent(kept: Rings, silent: Any, world: World) -> None:
    kept._store = RingStore(silent, world.settings[SECRET])  # noqa: SLF001 - as if the network broke


def test_a_store_that_hangs_is_asked_once_in_half_a_minute(world: World, silent: Any, count: list[int]) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    go_silent(kept, silent, world)
    silent.meta.events.register("before-send", lambda **_: count.append(1))
    for second in range(300, 360):
        assert kept.ring(NOW + second) == ring
    assert len(count) == 2 * 2  # two rounds of two tries each


def test_an_old_ring_serves_an_hour_without_the_store_and_no_longer(world: World, silent: Any) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    go_silent(kept, silent, world)
    assert kept.ring(NOW + 300 + 3599) == ring
    with pytest.raises(Unavailable):
        kept.ring(NOW + 300 + 3600)


def test_a_ring_that_an_operator_broke_is_replaced_by_the_last_good_one(world: World) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    world.change_ring(SECRET, {"format": 1})
    assert kept.ring(NOW + 300) == ring
    with pytest.raises(Unavailable) as error:
        kept.ring(NOW + 300 + 3600)
    assert isinstance(error.value.__cause__, Misconfigured)


def test_a_store_that_came_back_is_heard_at_the_next_try(world: World, silent: Any) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    store = kept._store  # noqa: SLF001
    go_silent(kept, silent, world)
    assert kept.ring(NOW + 300) == ring
    kept._store = store  # noqa: SLF001
    newer = store.update(lambda _: ring._replace(sessions_not_before=7))[0]
    assert kept.ring(NOW + 329) == ring
    assert kept.ring(NOW + 330) == newer
    assert keyring.find(newer, ring.current.kid) == ring.current


def test_a_clock_that_was_set_back_does_not_keep_a_ring_for_ever(world: World) -> None:
    kept = rings(world)
    kept.ring(NOW + 86_400)
    world.change_ring(SECRET, {**world.ring(SECRET), "sessions_not_before": 7})
    assert kept.ring(NOW).sessions_not_before == 7


def test_a_key_that_was_looked_for_in_vain_is_not_looked_for_again(world: World) -> None:
    kept = rings(world)
    for second in range(30):
        assert keyring.find(kept.knowing("leaked", NOW + second), "leaked") is None
    assert world.wire.calls == ["GetSecretValue"]
    for number in range(4):
        kept.knowing(f"another {number}", NOW + 29)
    with pytest.raises(Unavailable):
        kept.knowing("one more", NOW + 29)
    assert kept.knowing("leaked", NOW + 29)


def test_a_key_that_a_lagging_read_did_not_show_is_found_later(world: World) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    assert keyring.find(kept.knowing("new", NOW), "new") is None
    fresh = ring._replace(next=ring.current._replace(kid="new"))
    world.change_ring(SECRET, json.loads(keyring.dump(fresh)))
    assert keyring.find(kept.knowing("new", NOW + 29), "new") is None
    assert keyring.find(kept.knowing("new", NOW + 30), "new") is not None


def test_a_read_that_shows_what_we_replaced_ourselves_is_no_answer(world: World) -> None:
    store = RingStore(client("secretsmanager"), world.settings[SECRET])
    old, version = store.read()
    assert old is not None
    store.update(lambda _: old._replace(sessions_not_before=7))
    secrets, name = client("secretsmanager"), world.settings[SECRET]
    newer = store.read()[1]
    secrets.update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=newer
    )  # as a read that lags behind shows it
    with pytest.raises(Unavailable):
        store.read()


def test_a_clock_that_was_set_back_far_while_the_store_is_down_leaves_no_ring(world: World, silent: Any) -> None:
    kept = rings(world)
    ring = kept.ring(NOW)
    go_silent(kept, silent, world)
    assert kept.ring(NOW - 120) == ring
    with pytest.raises(Unavailable):
        kept.ring(NOW - 121)


def test_names_that_nobody_gave_take_little_memory(world: World) -> None:
    kept = rings(world)
    for number in range(Rings.STRANGERS + 2):
        kept.knowing(f"{number}", NOW + 30 * number)
        kept.knowing(f"{number}".zfill(65), NOW + 30 * number)
    assert len(kept._strangers) == Rings.STRANGERS  # noqa: SLF001 - no other way to see it


@pytest.fixture
def count() -> list[int]:
    return []
