"""Programs of ours as processes of their own that share what one of them has loaded: a start costs no imports.

A program started so is as real as any: its own PID, session, output, signals and exit code. The chain's end-to-end
tests start programs from the command line all the same.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

PROGRAMS = multiprocessing.get_context("forkserver")
PROGRAMS.set_forkserver_preload(["collector.service", "collector.commands", "agent.service", "agent.log"])
PYTHON_MODULE = [sys.executable, "-m"]


def can_fork(command: Sequence[str]) -> bool:
    """Whether a command starts a program whose modules are loaded here."""
    return [*command[:3]] == [*PYTHON_MODULE, "collector"]


class Forked:
    """What ``subprocess.Popen`` offers of a running program, for one that was forked."""

    def __init__(self, command: Sequence[str], output: Path, environment: Mapping[str, str]) -> None:
        self._process: BaseProcess = PROGRAMS.Process(
            target=_run, args=(command[2], command[3:], output, dict(environment)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the program."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, None while it lives."""
        return self._process.exitcode

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal to it where it lives."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended; subprocess.TimeoutExpired where it does not in time. [s]"""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code


def _run(module: str, words: Sequence[str], output: Path, environment: Mapping[str, str]) -> None:
    os.setsid()
    os.environ.update(environment)
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
