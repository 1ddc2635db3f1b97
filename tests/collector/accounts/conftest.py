"""Running collectors with an administrator and a manager: one of a test's own, and one that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from collector.accounts import passwords
from collector.accounts.roles import Role
from tests.collector.running import Collector
from tests.services import Spawn, free_port, spawning


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Hashes of 2 MiB and one pass: a real one costs a fifth of a second. What is given is the real hasher."""
    real = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=2048, parallelism=1))
    return real


@pytest.fixture
def running(tmp_path: Path, spawn: Spawn) -> Collector:
    """A collector of this test's own: its accounts may be changed, and passwords guessed."""
    return _start(tmp_path, spawn)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One collector for all tests of a worker that change no account and guess no password."""
    folder = tmp_path_factory.mktemp("shared")
    with spawning(folder) as spawn:
        yield _start(folder, spawn)


def _start(folder: Path, spawn: Spawn) -> Collector:
    one = Collector(folder, spawn, free_port())
    one.configure()
    one.add_users(Role.MANAGER)
    one.start()
    return one
