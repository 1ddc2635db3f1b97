"""Programs to be killed often: they are loaded once, and each life is a fork that does what the program does."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from agent.clock import KernelClock
from agent.config import load_config
from agent.log import start_logging
from agent.replay_command import replay_tape
from agent.service import serve


async def _serve(config_file: Path) -> None:
    await serve(load_config(config_file), KernelClock(), asyncio.Event())


def _live(words: list[str]) -> None:
    """One life: ``replay TAPE CONFIG`` or ``run CONFIG``."""
    start_logging(verbose=False)
    if words[0] == "replay":
        replay_tape(Path(words[1]), load_config(Path(words[2])), None)
    else:
        asyncio.run(_serve(Path(words[1])))


def main() -> None:
    """A line on standard input begins a life and tells its id; the next line waits for its exit code."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            os.dup2(2, 1)
            try:
                _live(line.split())
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
