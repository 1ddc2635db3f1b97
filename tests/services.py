"""Real services and processes for the tests: found, started on loopback, ended by their own PID."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import Forked, can_fork

LOOPBACK = "127.0.0.1"


def in_ci() -> bool:
    """Whether this run is the one where nothing may be left out."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def find_program(name: str) -> str | None:
    """Full path of a program; Debian keeps daemons in /usr/sbin, which is not on every PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.05) -> None:
    """Return when the condition holds; AssertionError naming ``what`` when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(every_s)


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Whether a TCP connection to the port is accepted."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@dataclass
class Process:
    """A program under test; output goes to a file, so that no pipe can fill."""

    name: str
    command: Sequence[str]
    output: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    forks: bool = False
    popen: subprocess.Popen[bytes] | Forked | None = None

    def start(self) -> Process:
        """Start it; what it prints is appended to ``output``."""
        if self.forks and can_fork(self.command):
            self.popen = Forked(self.command, self.output, self.environment)
            return self
        with self.output.open("ab") as sink:
            self.popen = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.environment},
                start_new_session=True,
            )
        return self

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.popen is not None and self.popen.poll() is None

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self._end(signal.SIGKILL)

    def stop(self, timeout_s: float = 20) -> int:
        """SIGTERM, then wait; the exit code. Killed and an AssertionError when it does not end in time."""
        return self._end(signal.SIGTERM, timeout_s)

    def _end(self, how: signal.Signals, timeout_s: float = 20) -> int:
        if self.popen is None:
            return 0
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            told = f"{self.name} did not end within {timeout_s:g} s of {how.name}"
            raise AssertionError(f"{told}:\n{self.text()}") from None

    def text(self, last: int = 4000) -> str:
        """The end of what it printed."""
        return self.output.read_text(errors="replace")[-last:] if self.output.exists() else ""


Spawn = Callable[[str, Sequence[str]], Process]
"""Starts a program by name and command."""


@contextmanager
def spawning(folder: Path) -> Iterator[Spawn]:
    """Programs that write to a folder; at the end whatever still lives is killed by its PID."""
    started: list[Process] = []

    def start(name: str, command: Sequence[str]) -> Process:
        process = Process(name, command, folder / f"{name}.log", forks=True).start()
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in reversed(started):
            process.kill()


@dataclass
class Mosquitto:
    """A real mosquitto with a password file, on a free port of loopback."""

    program: str
    folder: Path
    port: int
    username: str = "tester"
    password: str = "loopback-only"
    host: str = LOOPBACK
    process: Process | None = None

    @property
    def password_file(self) -> Path:
        """File with the plain password, as agent.toml and collector.toml want it."""
        return self.folder / "password"

    def prepare(self) -> Mosquitto:
        """Write the configuration and the password files (mode 0600)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        hashed = self.folder / "mosquitto.passwd"
        for path, text in ((self.password_file, self.password), (hashed, f"{self.username}:{self.password}\n")):
            path.touch(mode=0o600)
            path.write_text(text)
        hasher = find_program("mosquitto_passwd")
        if hasher is None:
            raise AssertionError("mosquitto is installed without mosquitto_passwd")
        subprocess.run([hasher, "-U", str(hashed)], check=True, capture_output=True)
        lines = [
            f"listener {self.port} {self.host}",
            "allow_anonymous false",
            f"password_file {hashed}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up root and cannot read its own password file
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        return self

    def start(self) -> Mosquitto:
        """Start and wait until it accepts connections."""
        command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
        process = Process("mosquitto", command, self.folder / "mosquitto.log").start()
        self.process = process
        wait_until(lambda: accepts(self.port) or not process.running, 10, "mosquitto to listen")
        if not process.running:
            raise AssertionError(f"mosquitto ended at once:\n{process.text()}")
        return self

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        """End it cleanly."""
        if self.process is not None:
            self.process.stop()
