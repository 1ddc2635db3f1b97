"""The rig that measured the neighbours, beside ours: its meters with its pymodbus loop, then with the agent.

The rig is a folder of its own, not part of this repository: ``make bench ONLY=rig RIG=FOLDER``. Its ports are fixed
(6000 to 6049, 5999, 18830).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.agent import Rig, Span, left_out
from tests.bench.field import RIG
from tests.bench.figures import Figure
from tests.services import LOOPBACK, Process, find_program

FIRST_PORT, CONTROL_PORT, BROKER_PORT = 6000, 5999, 18830
WARM_S = 5.0
SPANS = 3
SPAN_S = 20.0


def run() -> Iterator[Figure]:
    """Cost of a reading in both programs, in one run, and their ratio."""
    named = os.environ.get("RIG", "")
    folder = Path(named)
    if not named or not (folder / "rig" / "mbsim.c").is_file():
        print("rig: left out, no folder with the rig is named: make bench ONLY=rig RIG=FOLDER", file=sys.stderr)
        return
    if left_out("rig"):
        return
    theirs = _loop(folder)
    with RigOfNeighbours(RIG, commit_s=10, source=folder).running() as rig:
        ours = rig.spans(SPANS, 60.0)
    cost, own = _cost(theirs), _cost(ours)
    note = "50 devices x 40 float32 in 3 blocks at 1 s, on the rig's meters"
    yield Figure("rig.pymodbus_json.cpu_s_per_million_readings", cost, "s", f"{note}; pymodbus loop + JSON over MQTT")
    yield Figure("rig.agent.cpu_s_per_million_readings", own, "s", f"{note}; the agent, complete")
    yield Figure("rig.agent_to_pymodbus_json", own / cost, "ratio", "of the two above, in one run")


@dataclass
class RigOfNeighbours(Rig):
    """The same with the rig's own meters."""

    source: Path = Path()

    def meters(self, folder: Path, stack: ExitStack) -> list[int]:
        """Compiled and started; their ports, the control port last."""
        program = folder / "mbsim"
        text = str(self.source / "rig" / "mbsim.c")
        subprocess.run([shutil.which("gcc") or "gcc", "-O2", "-o", str(program), text], check=True)
        words = [str(program), "-p", str(FIRST_PORT), "-n", str(self.size.devices), "-c", str(CONTROL_PORT)]
        meters = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(meters.wait)
        stack.callback(meters.kill)
        _reachable(CONTROL_PORT)
        return [*range(FIRST_PORT, FIRST_PORT + self.size.devices), CONTROL_PORT]

    def served(self) -> int:
        """Registers answered since the start."""
        with socket.create_connection((LOOPBACK, self.control)) as link, link.makefile() as told:
            return int(json.loads(told.read())["regs"])


def _loop(source: Path) -> list[Span]:
    """The pymodbus loop of the rig, publishing JSON per device."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = RigOfNeighbours(RIG, commit_s=10, source=source)
        rig.control = rig.meters(folder, stack).pop()
        config = folder / "broker.conf"
        config.write_text(f"listener {BROKER_PORT} {LOOPBACK}\nallow_anonymous true\n", encoding="utf-8")
        broker = subprocess.Popen([str(find_program("mosquitto")), "-c", str(config)], stderr=subprocess.DEVNULL)
        stack.callback(broker.wait)
        stack.callback(broker.kill)
        _reachable(BROKER_PORT)
        words = [sys.executable, str(source / "pollers" / "py_pollers.py"), "pymodbus", "--mqtt", "json-device"]
        rig.agent = Process("pymodbus loop", words, folder / "loop.log").start()
        stack.callback(rig.agent.stop)
        time.sleep(WARM_S)
        return rig.measured(SPANS, SPAN_S)


def _reachable(port: int) -> None:
    """Wait until something listens; RuntimeError where nothing does."""
    ends_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((LOOPBACK, port), 1).close()
        except OSError:
            if time.monotonic() > ends_s:
                raise RuntimeError(f"nothing listens on port {port} of the rig") from None
            time.sleep(0.05)
        else:
            return


def _cost(spans: list[Span]) -> float:
    return median(one.cpu_s / one.readings for one in spans) * 1e6
