"""`emitrace-verify readings`: the raw readings of a bundle as CSV, or as Parquet where pyarrow is installed."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from collector.evidence.layout import ITEMS, Leaf, item_leaf_id, split_sequence
from collector.evidence.verify.documents import REFUSALS
from collector.evidence.verify.fetch_command import instant
from collector.evidence.verify.progress import opened
from collector.evidence.verify.readings import COLUMNS, Origin, Wanted, readings_of
from collector.evidence.verify.report import EnoughError, Report, Step
from collector.evidence.verify.steps import Established, establish
from collector.evidence.verify.text import printable
from protocols.errors import EmitraceError
from protocols.keyring import Keyring
from protocols.records import Batch
from protocols.wire.codec import item_digest
from protocols.wire.cose import open_sealed
from protocols.wire.limits import MESSAGE_BYTES

CONTRADICTS, USAGE, ENVIRONMENT = 1, 2, 3
_ROWS = 50_000
_FORMULA = ("=", "+", "-", "@", "\t")

Row = tuple[str, ...]
Take = Callable[[Row], None]


def build_parser() -> argparse.ArgumentParser:
    """The arguments of readings."""
    parser = argparse.ArgumentParser(
        prog="emitrace-verify readings",
        description="Raw readings of a bundle with their provenance, a row per point and slot."
        " / 导出证据包内的原始读数及其来源。",
        epilog="Signatures and log are checked on the way; verify the bundle itself with emitrace-verify BUNDLE.",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle, a zip file")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write CSV (UTF-8) to FILE")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write Parquet to FILE; needs the extra parquet")
    parser.add_argument(
        "--point", action="append", default=[], metavar="ID", help="only this point of the plan; repeat for more"
    )
    parser.add_argument("--from", dest="from_", type=instant, default=0, metavar="TIME", help="due from, ISO 8601")
    parser.add_argument("--to", type=instant, default=Wanted().to_ms, metavar="TIME", help="due before, ISO 8601")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Write the readings; the exit code."""
    options = build_parser().parse_args(arguments)
    if options.csv is None and options.parquet is None:
        sys.stderr.write("Name --csv FILE or --parquet FILE.\n")
        return USAGE
    wanted = Wanted(frozenset(options.point), options.from_, options.to)
    report = Report(frozenset())
    count = 0
    try:
        with ExitStack() as stack:
            file = stack.enter_context(opened(options.bundle, sys.stderr))
            takers: list[Take] = []
            if options.csv is not None:
                takers.append(_to_csv(stack, options.csv))
            if options.parquet is not None:
                takers.append(_to_parquet(stack, options.parquet))
            for row in rows(file, wanted, report):
                count += 1
                for take in takers:
                    take(row)
    except EnoughError:
        sys.stderr.write("Too many contradictions: nothing more was looked at.\n")
    except EmitraceError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return ENVIRONMENT if isinstance(error, MissingError) else CONTRADICTS
    except OSError as error:
        sys.stderr.write(f"{options.bundle}: {error}. Check the paths.\n")
        return USAGE
    for finding in report.findings:
        sys.stderr.write(f"[{finding.step.value}] {printable(finding.where)}: {printable(finding.seen)}\n")
    sys.stdout.write(f"{count} readings\n")
    return CONTRADICTS if report.contradictions else 0


NOBODY = Keyring(b"")
"""The ring of an agent whose keys are not in the bundle: it reads nothing."""


class MissingError(EmitraceError):
    """Something that would have to be installed is not."""


def rows(file: BinaryIO, wanted: Wanted, report: Report) -> Iterator[Row]:
    """The readings of every batch that is signed, logged, and of a plan in the bundle; the others are findings."""
    found = establish(file, report)
    if found is None:
        return
    begun: set[tuple[str, bytes]] = set()
    for name in (name for name in found.container.members if name.startswith(ITEMS)):
        agent = name.removeprefix(ITEMS).partition("/")[0]
        for offset, data in split_sequence(found.container.chunks(name), MESSAGE_BYTES):
            try:
                yield from _rows(agent, data, found, wanted, begun)
            except REFUSALS as error:
                report.find(Step.ITEM, f"{name} at byte {offset}", error)


def _rows(
    agent: str, data: bytes, found: Established, wanted: Wanted, begun: set[tuple[str, bytes]]
) -> Iterator[Row]:
    ring = found.rings.get(agent, NOBODY)
    batch = ring.read(data)
    if not isinstance(batch, Batch) or batch.to_ms <= wanted.from_ms or batch.from_ms >= wanted.to_ms:
        return
    digest = item_digest(data)
    leaf = found.log.position(Leaf("item", item_leaf_id(agent, batch.stream_id, batch.sequence), digest))
    if leaf is None:
        raise ValueError(f"item {batch.sequence} is not in the evidence log")
    if fault := ring.fault(open_sealed(data).kid, batch.stream_id, batch.sequence, leaf):
        raise ValueError(fault)
    plan = found.documents.plans.get(batch.plan)
    if plan is None:
        raise ValueError(f"names plan {batch.plan.hex()}, which is not in the bundle")
    stream = (agent, batch.stream_id)
    first = stream not in begun
    begun.add(stream)
    for reading in readings_of(batch, plan, Origin(agent, digest.hex(), leaf), wanted, first=first):
        yield reading.columns()


def _to_csv(stack: ExitStack, path: Path) -> Take:
    file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    return lambda row: writer.writerow(_harmless(row)) and None


def _harmless(row: Row) -> Row:
    """Text that others wrote, unable to become a formula in a spreadsheet; numbers stay as they are."""
    return tuple(
        f"'{cell}" if cell.startswith(_FORMULA) and name not in ("value", "base") else cell
        for name, cell in zip(COLUMNS, row, strict=True)
    )


def _to_parquet(stack: ExitStack, path: Path) -> Take:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingError("--parquet", "pyarrow is not installed", "pip install 'emitrace[parquet]'") from error
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, pyarrow.string())
    kinds |= dict.fromkeys(("sequence", "leaf", "slot"), pyarrow.int64())
    schema = pyarrow.schema([(name, kinds[name]) for name in COLUMNS])
    writer = stack.enter_context(pyarrow.parquet.ParquetWriter(path, schema))
    waiting: list[Row] = []

    def write() -> None:
        columns = [
            pyarrow.array([int(row[place]) if kinds[name] == pyarrow.int64() else row[place] for row in waiting])
            for place, name in enumerate(COLUMNS)
        ]
        writer.write_table(pyarrow.table(columns, schema=schema))
        waiting.clear()

    def take(row: Row) -> None:
        waiting.append(row)
        if len(waiting) >= _ROWS:
            write()

    stack.callback(lambda: write() if waiting else None)
    return take
