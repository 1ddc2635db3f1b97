"""The other programs as processes: started, watched, asked, ended by their own PID."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MODULES = {
    "emitrace-agent": "agent",
    "emitrace-collector": "collector",
    "emitrace-simulate": "simulators",
    "emitrace-verify": "collector.evidence.verify",
}


class DemoError(Exception):
    """Something the demo needs did not happen; the message says what, where to look and what to do."""


def command_line(program: str, *arguments: str | Path) -> list[str]:
    """The command that runs one of our programs with this very interpreter."""
    return [sys.executable, "-m", MODULES[program], *map(str, arguments)]


def environment() -> dict[str, str]:
    """What children see: unbuffered output, no colours, one thread per numeric library."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "TERM": "dumb"}


def ask(program: str, *arguments: str | Path, accepted: tuple[int, ...] = (0,), timeout_s: float = 60) -> str:
    """Run one of our programs to its end; what it printed, or DemoError with its error text."""
    done = run(program, *arguments, timeout_s=timeout_s)
    if done.returncode not in accepted:
        raise DemoError(
            f"{program} {' '.join(map(str, arguments))}: exit code {done.returncode}, expected "
            f"{' or '.join(map(str, accepted))}. It said:\n{(done.stdout + done.stderr).strip()}"
        )
    return done.stdout


def run(program: str, *arguments: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one of our programs to its end, whatever its exit code; DemoError where it does not end in time."""
    try:
        return subprocess.run(
            command_line(program, *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    except subprocess.TimeoutExpired as late:
        raise DemoError(f"{program} {' '.join(map(str, arguments))}: did not end within {timeout_s:g} s") from late


@dataclass
class Child:
    """A program that runs beside the demo; its output goes to ``log``."""

    name: str
    command: Sequence[str]
    log: Path
    announces: bool = False
    popen: subprocess.Popen[bytes] | None = None
    _lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def start(self) -> Child:
        """Start it in a session of its own, so that a Ctrl-C reaches only the demo, which ends it in order."""
        with self.log.open("ab") as sink:
            self.popen = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.announces else sink,
                stderr=sink,
                env=environment(),
                start_new_session=True,
            )
        if self.announces:
            threading.Thread(target=self._read, name=f"{self.name} output", daemon=True).start()
        return self

    def _read(self) -> None:
        if self.popen is None or self.popen.stdout is None:
            return
        for line in self.popen.stdout:
            self._lines.put(line.decode(errors="replace"))

    def first_line(self, timeout_s: float) -> str:
        """The first line it prints: its announcement that it is ready."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(queue.Empty):
                return self._lines.get(timeout=0.1)
            self.must_live()
        raise DemoError(f"{self.name} said nothing within {timeout_s:g} s. See {self.log}")

    @property
    def lives(self) -> bool:
        """Whether it runs."""
        return self.popen is not None and self.popen.poll() is None

    def must_live(self) -> None:
        """DemoError with the end of its log if it has ended."""
        if self.popen is not None and self.popen.poll() is not None:
            raise DemoError(f"{self.name} ended with exit code {self.popen.returncode}. It said:\n{self.tail()}")

    def tail(self, last: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-last:].strip() if self.log.exists() else ""

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM, wait, and SIGKILL where it does not end in time; the exit code."""
        if self.popen is None:
            return 0
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str, watched: Sequence[Child] = ()) -> None:
    """Return when the condition holds; DemoError when it does not in time or a watched program ends."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        for child in watched:
            child.must_live()
        if time.monotonic() > deadline:
            logs = "; ".join(f"{child.name}: {child.log}" for child in watched)
            raise DemoError(f"waited {timeout_s:g} s in vain for {what}. Logs: {logs}")
        time.sleep(0.1)
