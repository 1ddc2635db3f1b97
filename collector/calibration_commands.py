"""``emitrace-collector calibration ...``: entering instruments and events, how they stand, and what is due."""

from __future__ import annotations

import json
import mimetypes
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from calibration.dcc.importing import import_dcc
from calibration.encoding import Kept
from calibration.events import Event
from calibration.instruments import from_plan
from collector.books import Books, open_books
from collector.calibration.entering import Entered, enter
from collector.calibration.impact import Impact, impacts
from collector.calibration.overview import Standing, due, standings
from collector.calibration.reading import read_records
from collector.calibration.tables import read_csv, read_xlsx, template
from collector.clock import now_ms
from collector.command_line import CONFIG, FINDINGS, AsJson, ConfigPath, instant_of, system_user, told
from collector.config import load_config
from collector.inventory.document import plain
from collector.store.calibration import instruments_known
from collector.store.evidence_files import add_file
from collector.store.knowledge import size_at
from collector.store.plans import instruments_known as planned_instruments
from collector.store.plans import site_zone
from collector.web.shown import instant, mass_unit
from protocols.errors import EmitraceError
from protocols.toml import read_toml

MINUTE = "%Y-%m-%d %H:%M"

calibration_app = typer.Typer(help="Instruments, their events, and what is due.", no_args_is_help=True)

Known = Annotated[
    str, typer.Option("--as-known-at", help="Size of the evidence log, or an instant, ISO 8601; else all known now.")
]
At = Annotated[str, typer.Option("--at", help="Instant, ISO 8601; else now.")]


@calibration_app.command(name="import")
def import_(
    files: Annotated[
        list[Path] | None, typer.Argument(help="TOML, CSV, XLSX, or digital certificates (DCC) as XML.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Register the instruments of the agents' plans.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what was found, and keep nothing.")] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Enter instruments, chains and events from files: all of them, or nothing where one has a fault.

    Exit 1 where an event cannot do what it was entered for.
    """
    with told(), open_books(load_config(config)) as books:
        if not files and not plan:
            raise EmitraceError("calibration import", "no file", "Name files, or --plan.")
        entered = _enter(books, files or (), plan=plan, dry_run=dry_run)
        for one in entered:
            _say(one)
        if not all(one.counts for one in entered):
            raise typer.Exit(FINDINGS)


@calibration_app.command(name="template")
def template_(into: Annotated[Path, typer.Argument(help="New file, .xlsx.")]) -> None:
    """Write a workbook to fill in, with a sheet for instruments and one for events."""
    with told():
        with into.open("xb") as file:
            file.write(template())
        typer.echo(str(into))


@calibration_app.command(name="file")
def file_(
    file: Annotated[Path, typer.Argument(help="Scan, photograph or digital certificate.")], config: ConfigPath = CONFIG
) -> None:
    """Keep a file as evidence and print its SHA-256, which events name in document.sha256."""
    with told(), open_books(load_config(config)) as books, books.database.writing() as connection:
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        typer.echo(add_file(connection, file.read_bytes(), file.name, media_type, now_ms(), system_user()))


@calibration_app.command(name="status")
def status(
    instruments: Annotated[list[str] | None, typer.Argument(help="Ids; else every instrument.")] = None,
    at: At = "",
    as_known_at: Known = "",
    as_json: AsJson = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Say how instruments stand at an instant, as known then or now."""
    with told(), open_books(load_config(config)) as books:
        found = _standings(books, at, as_known_at)
        unknown = sorted(set(instruments or ()) - {one.instrument.id for one in found})
        if unknown:
            raise EmitraceError(f"instrument {unknown[0]}", "none of this id is known", "See calibration status.")
        _print([one for one in found if not instruments or one.instrument.id in instruments], as_json=as_json)


@calibration_app.command(name="due")
def due_(at: At = "", as_known_at: Known = "", as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List what has to be looked after within 90 days, most urgent first; exit 1 where something is overdue."""
    with told(), open_books(load_config(config)) as books:
        found = due(_standings(books, at, as_known_at))
        _print(found, as_json=as_json)
        if not as_json:
            counted = Counter(one.bucket.value for one in found if one.bucket is not None)
            typer.echo(", ".join(f"{name} {number}" for name, number in counted.items()) or "nothing is due in 90 days")
        if any(one.days is None or one.days < 0 for one in found):
            raise typer.Exit(FINDINGS)


@calibration_app.command(name="impact")
def impact(
    instruments: Annotated[list[str] | None, typer.Argument(help="Ids; else every instrument.")] = None,
    as_known_at: Known = "",
    as_json: AsJson = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Say what late and failed tests reach: the time, sources with hours and mass, sealed versions. Changes nothing."""
    with told(), open_books(load_config(config)) as books, books.database.reading() as connection:
        size = _size(books, connection, as_known_at)
        every = standings(connection, books.plans, books.trust, now_ms(), size)
        wanted = [one for one in every if not instruments or one.instrument.id in instruments]
        found = impacts(connection, books.plans, books.trust.lives(connection, size), wanted, size)
        if as_json:
            typer.echo(json.dumps([impact_shape(one) for one in found], ensure_ascii=False))
            return
        for one in found:
            zone = ZoneInfo(one.standing.zone)
            begin = "the beginning" if one.from_ms is None else instant(one.from_ms, zone, MINUTE)
            off = "" if one.error is None else f", error {100 * one.error:+.3g} %"
            name, end = one.standing.instrument.id, instant(one.to_ms, zone, MINUTE)
            typer.echo(f"{name}  {one.why.value}  {begin} to {end}{off}")
            typer.echo(f"  by {one.event}" + (f", last good {one.last_good}" if one.last_good else ""))
            for touched in one.touched:
                unit = mass_unit(touched.mass_mg)
                mass = f"{unit.text(touched.mass_mg)} {unit.name}"
                typer.echo(f"  {touched.source}  {touched.gas}  {touched.hours} hours  {mass}")
            if one.sealed:
                typer.echo(f"  sealed versions: {', '.join(map(str, one.sealed))}")
        if not found:
            typer.echo("no test was late or found an instrument out of its limits")


def _enter(books: Books, files: Iterable[Path], *, plan: bool, dry_run: bool) -> tuple[Entered, ...]:
    """Enter what the files hold, in one transaction."""
    with books.database.writing() as connection, connection.begin_nested() as tried:
        records: list[Kept] = []
        if plan:
            records += [from_plan(one) for one in planned_instruments(connection, books.plans)]
        for file in files:
            data = file.read_bytes() if file.suffix.lower() in (".csv", ".xlsx", ".xml") else b""
            match file.suffix.lower():
                case ".toml":
                    records += read_records(read_toml(file))
                case ".csv":
                    records += read_csv(data, str(file))
                case ".xlsx":
                    records += read_xlsx(data, str(file))
                case ".xml":
                    known = list(instruments_known(connection, books.plans).values())
                    imported = import_dcc(data, known)
                    add_file(connection, data, file.name, "application/xml", now_ms(), system_user())
                    records += imported.events
                    for item in imported.unmatched:
                        typer.echo(f"{file}: no instrument has serial {' or '.join(sorted(item.serials))}", err=True)
                case other:
                    raise EmitraceError(str(file), f"a file {other or 'without suffix'}", "TOML, CSV, XLSX or XML.")
        entered = enter(connection, books.plans, records, now_ms(), system_user())
        if dry_run:
            tried.rollback()
    return entered


def _say(one: Entered) -> None:
    record = one.record
    typer.echo(f"{record.id}: {'entered' if one.fresh else 'already here'}")
    if isinstance(record, Event) and one.subject is None:
        typer.echo(f"  no instrument {record.instrument!r} is known, so it supports none")
    for finding in one.findings:
        typer.echo(f"  {'does not count: ' if finding.blocks else ''}{finding.say('en')}")


def _standings(books: Books, at: str, as_known_at: str) -> tuple[Standing, ...]:
    with books.database.reading() as connection:
        at_ms = instant_of("--at", at, site_zone(connection, books.plans)) if at else now_ms()
        return standings(connection, books.plans, books.trust, at_ms, _size(books, connection, as_known_at))


def _size(books: Books, connection: Connection, as_known_at: str) -> int | None:
    """The size of the log that ``--as-known-at`` means; None where it says nothing."""
    if not as_known_at:
        return None
    if as_known_at.isdecimal():
        return min(int(as_known_at[:19]), 2**62)
    return size_at(connection, instant_of("--as-known-at", as_known_at, site_zone(connection, books.plans)))


def _print(found: Sequence[Standing], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([shape(one) for one in found], ensure_ascii=False))
        return
    for one in found:
        last = "" if one.last_day is None else f"  valid through {one.last_day} ({one.days:+d} days)"
        why = f"  {one.status.reason.value}" if one.status.reason.value else ""
        name = one.instrument.name_zh or one.instrument.name_en
        typer.echo(f"{one.instrument.id}  {one.instrument.serial}  {name}  {one.status.state.value}{why}{last}")


def shape(one: Standing) -> dict[str, Any]:
    """A standing for JSON."""
    return {
        "instrument": one.instrument.id, "serial": one.instrument.serial, "site": one.site,
        "regime": one.instrument.regime.value, "state": one.status.state.value, "reason": one.status.reason.value,
        "cause": one.status.cause, "until_ms": one.status.until_ms,
        "last_day": None if one.last_day is None else one.last_day.isoformat(), "days": one.days,
        "bucket": None if one.bucket is None else one.bucket.value,
    }  # fmt: skip


def impact_shape(one: Impact) -> dict[str, Any]:
    """An impact for JSON."""
    return {
        "instrument": one.standing.instrument.id, "serial": one.standing.instrument.serial, "site": one.standing.site,
        "why": one.why.value, "event": one.event, "last_good": one.last_good, "from_ms": one.from_ms,
        "to_ms": one.to_ms, "error": None if one.error is None else str(one.error), "sealed_versions": list(one.sealed),
        "touched": [
            {"agent": row.agent, "source": row.source, "gas": row.gas, "hours": row.hours,
             "mass_mg": plain(row.mass_mg)}
            for row in one.touched
        ],
    }  # fmt: skip
