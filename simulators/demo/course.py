"""The course of the demo: start, show progress, and in a timed run settle the account and verify a bundle."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from simulators.demo import books, chain, history
from simulators.demo.broker import BrokerChoice
from simulators.demo.chain import Chain
from simulators.demo.programs import Child, DemoError
from simulators.demo.settle import settle
from simulators.demo.site import ADMINISTRATOR

PROGRESS_S = 5.0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def run_demo(
    for_s: int | None = None, broker: BrokerChoice = "auto", keep: Path | None = None, history_days: int | None = None
) -> int:
    """Run the demo.

    Parameters
    ----------
    for_s : int or None
        Stop by itself after this many seconds and settle; None: run until Ctrl-C. [s]
    broker : {"auto", "mosquitto", "embedded"}
    keep : Path or None
        Folder to work in and leave behind; a temporary one where None.
    history_days : int or None
        Show so many days until now, made in bulk, in place of the running plant.

    Returns
    -------
    int
        Exit code: 0 fine, 1 something differs, 3 something could not run.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    children: list[Child] = []
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emitrace-demo-")))
        stack.callback(_end, children)
        try:
            if history_days is not None:
                made = history.make(folder.resolve(), broker, history_days, children, say)
                if not history.settle(made, say):
                    return 1
                say(f"\ndashboard   {made.chain.site.address}")
                say(f"sign in     {ADMINISTRATOR} / {made.chain.site.admin_password}\n")
                serve(made.chain, for_s)
                return 0
            running = chain.start(folder.resolve(), broker, children, say)
            say(f"\ndashboard   {running.site.address}")
            say(f"sign in     {ADMINISTRATOR} / {running.site.admin_password}\n")
            watch(running, for_s)
            return settle(running, say) if for_s is not None else 0
        except KeyboardInterrupt:
            say("\nstopping")
            return 0 if for_s is None else 1
        except DemoError as fault:
            say(f"\nthe demo failed: {fault}")
            return 3


def watch(running: Chain, for_s: int | None) -> None:
    """Show a progress line every few seconds, until the time is over or Ctrl-C."""
    began = time.monotonic()
    ends = began + for_s if for_s is not None else float("inf")
    if for_s is None:
        say("runs until Ctrl-C")
    while time.monotonic() < ends:
        time.sleep(max(0.0, min(PROGRESS_S, ends - time.monotonic())))
        running.must_live()
        say(books.progress(running.dashboard, running.agent.fingerprint).line(time.monotonic() - began))


def serve(running: Chain, for_s: int | None) -> None:
    """Leave the dashboard to whoever looks at it, until the time is over or Ctrl-C."""
    until = "until Ctrl-C" if for_s is None else f"for {for_s} s"
    say(f"the history ends with the last full hour and no agent runs; serves {until}")
    ends = time.monotonic() + for_s if for_s is not None else float("inf")
    while time.monotonic() < ends:
        time.sleep(max(0.0, min(1.0, ends - time.monotonic())))
        running.must_live()


def _end(children: list[Child]) -> None:
    """End all children in order; a second Ctrl-C does not leave any behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    chain.stop(children)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
