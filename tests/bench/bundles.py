"""Bundles: how fast they are written and re-performed, and that memory does not grow with them.

``python -m tests.bench.bundles 50 200x3600`` does so with a bundle of 50 MB, and one of 200 MB in batches of 3,600 s;
each step in a process of its own, whose peak is what the kernel says.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from collector.books import open_books
from collector.config import Config, Settings
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import GROUP, commit_group
from collector.store.agents import add_agent
from collector.store.refresh import refresh_hours
from tests.bench.field import PANEL, START_MS, Stream
from tests.bench.figures import Figure

_TOGETHER_S = 36_000
BENCH_MB = 4


def run(megabytes: int = BENCH_MB, batch_s: int = 60) -> Iterator[Figure]:
    """The figures of a bundle of about so many megabytes in batches of so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        made = _child("make", folder, str(megabytes), str(batch_s))
        written = _child("export", folder, str(made["end"]))
        checked = _child("verify", folder, str(written["collector"]), str(made["agent"]))
    size = f"{written['bytes'] / 1e6:.0f} MB, {made['readings']} readings"
    note = f"bundle of {size} in batches of {batch_s} s, 50 points"
    for name, found in (("export", written), ("verify", checked)):
        yield Figure(f"collector.{name}_readings_per_s", made["readings"] / found["seconds"], "readings/s", note)
        yield Figure(f"collector.{name}_rss_mb", found["rss_mb"], "MB", f"{note}; peak of the process")


def _child(step: str, folder: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.bundles", step, folder, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _config(folder: str) -> Config:
    return Config(Path(folder) / "collector.toml", Settings())


def _make(folder: str, megabytes: int, batch_s: int) -> dict[str, object]:
    stream = Stream(replace(PANEL, batch_s=batch_s), decimal=False)
    size = 0
    with open_books(_config(folder)) as books:
        with books.database.writing() as connection:
            add_agent(connection, stream.public, "bench", START_MS)
        taken = 0
        while size < megabytes * 1_000_000:
            stream.more(max(1, _TOGETHER_S // batch_s))
            messages = list(stream.messages())[taken:]
            for first in range(0, len(messages), GROUP):
                commit_group(books, messages[first : first + GROUP], START_MS)
            taken, size = len(stream.items), size + sum(len(data) for _, data in messages)
            stream.items[:-1] = [(kind, b"") for kind, _ in stream.items[:-1]]  # the books have them
        refresh_hours(books.database, books.plans, books.hour_rule)
    return {"readings": stream.readings, "end": -(-stream.at_ms // HOUR_MS) * HOUR_MS, "agent": stream.agent_id}


def _export(folder: str, end_ms: int) -> dict[str, object]:
    path = Path(folder) / "bundle.zip"
    with open_books(_config(folder)) as books:
        begin = time.perf_counter()
        export_bundle(books, START_MS, end_ms, path)
        took = time.perf_counter() - begin
        return {"seconds": took, "bytes": path.stat().st_size, "collector": books.collector_id, "rss_mb": _peak_mb()}


def _verify(folder: str, *trusted: str) -> dict[str, object]:
    begin = time.perf_counter()
    with (Path(folder) / "bundle.zip").open("rb") as file:
        report = verify_bundle(file, trusted)
    if report.verdict.value:
        raise AssertionError(report.findings)
    return {"seconds": time.perf_counter() - begin, "rss_mb": _peak_mb()}


def _peak_mb() -> float:
    """Peak of this process, as Linux says. [MB]"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("the kernel does not say")


def _main(arguments: list[str]) -> None:
    logging.getLogger("collector").setLevel(logging.WARNING)
    step, *rest = arguments
    if step == "make":
        sys.stdout.write(json.dumps(_make(rest[0], int(rest[1]), int(rest[2]))) + "\n")
    elif step == "export":
        sys.stdout.write(json.dumps(_export(rest[0], int(rest[1]))) + "\n")
    elif step == "verify":
        sys.stdout.write(json.dumps(_verify(*rest)) + "\n")
    else:
        for asked in arguments:
            megabytes, _, batch_s = asked.partition("x")
            for figure in run(int(megabytes), int(batch_s or 60)):
                sys.stdout.write(f"{figure.key} {figure.value:,.0f} {figure.unit} ({figure.note})\n")
                sys.stdout.flush()


if __name__ == "__main__":
    _main(sys.argv[1:])
