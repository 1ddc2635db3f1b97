"""Fixtures that every room shares: free ports, processes and real services on loopback.

A service that is not installed is left out, and the run says so; with CI=true nothing may be left out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.postgresql import PostgreSQL, a_postgresql, find_server
from tests.services import Mosquitto, Spawn, find_program, free_port, in_ci, spawning

TOGETHER = {"tests/browser", "tests/collector/accounts", "tests/collector/web"}
"""Folders with fixtures of the whole folder, which every further worker would have to make again."""
SERVICES = {
    "mosquitto": "apt-get install mosquitto",
    "postgresql": "apt-get install postgresql",
    "chromium": "apt-get install chromium fonts-wqy-microhei",
    "openssl": "apt-get install openssl",
}
"""Real services the tests use, and how to get them on Debian."""


def _find(name: str) -> str | None:
    return find_server() if name == "postgresql" else find_program(name)


def _version(name: str, program: str) -> str:
    asked = [program, {"mosquitto": "-h", "openssl": "version"}.get(name, "--version")]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return said[0].strip() if said else "version unknown"


def _report() -> list[str]:
    lines = []
    for name, how in SERVICES.items():
        program = _find(name)
        lines.append(
            f"real services: {name} found at {program} ({_version(name, program)})"
            if program
            else f"real services: {name} NOT FOUND, its tests are left out ({how})"
        )
    return lines


def pytest_report_header() -> list[str]:
    """Say at the start what real services were found."""
    return _report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again at the end, where people look."""
    left_out = [name for name in SERVICES if _find(name) is None]
    for line in _report():
        terminalreporter.write_line(line)
    terminalreporter.write_line("left out: " + (", ".join(left_out) if left_out else "nothing"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole chains and browsers first: they take longest, and no worker shall be left alone with one at the end.

    Leave out what needs a missing service; in CI let it run and fail.
    """
    items.sort(key=lambda item: (item.get_closest_marker("e2e") is None, item.get_closest_marker("chromium") is None))
    if in_ci():
        return
    for name, how in SERVICES.items():
        if _find(name) is None:
            for item in items:
                if item.get_closest_marker(name) is not None:
                    item.add_marker(pytest.mark.skip(reason=f"no {name} on this machine ({how})"))


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # no types are published
    """A file stays with one worker, and so does a folder whose tests share a running program."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Spread the tests over the workers."""
    return ByFile(config, log)


@pytest.fixture
def port() -> int:
    """A free TCP port on loopback."""
    return free_port()


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start a program by name and command; whatever still lives at the end is killed by its PID."""
    with spawning(tmp_path) as start:
        yield start


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto with a password file; mark the test ``@pytest.mark.mosquitto``."""
    program = find_program("mosquitto")
    if program is None:
        pytest.fail("mosquitto is not installed (apt-get install mosquitto); CI leaves nothing out")
    broker = Mosquitto(program, tmp_path / "mosquitto", free_port()).prepare().start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private PostgreSQL server; mark the test ``@pytest.mark.postgresql``."""
    with a_postgresql() as server:
        yield server
