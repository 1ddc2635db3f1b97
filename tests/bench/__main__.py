"""The runner: ``python -m tests.bench [ROOM ...]`` prints the figures and writes bench.json to the current folder."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.bench import agent, calibration, collector, history, rig, serial, web, wire
from tests.bench.figures import Figure, baselines, entry

ROOMS = {
    "agent": agent.run, "serial": serial.run, "wire": wire.run, "collector": collector.run,
    "calibration": calibration.run, "history": history.run, "rig": rig.run, "web": web.run,
}  # fmt: skip


def machine() -> str:
    """Processor, cores and Python."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit() -> str:
    """The commit measured, marked where the tree has changes; empty outside a checkout."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main(wanted: list[str]) -> int:
    """Run the rooms asked for, all where none is; 2 where one is unknown."""
    unknown = [room for room in wanted if room not in ROOMS]
    if unknown:
        print(f"no room {', '.join(unknown)}; there are {', '.join(ROOMS)}", file=sys.stderr)
        return 2
    known, results = baselines(), {}
    for room in wanted or ROOMS:
        for figure in ROOMS[room]():
            results[figure.key] = entry(figure, known)
            print(_line(figure, results[figure.key]), flush=True)
    told = {"machine": machine(), "commit": commit(), "results": results}
    Path("bench.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _line(figure: Figure, told: dict[str, object]) -> str:
    text = f"{figure.key:46} {figure.value:14,.2f} {figure.unit:11}"
    for name in ("baseline", "goal"):
        beside = told.get(name)
        if isinstance(beside, int | float):
            text += f" {name} {beside:,g} (x{figure.value / beside:.2f})"
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
