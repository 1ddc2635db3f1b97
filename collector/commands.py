"""The commands of ``emitrace-collector``, one function each; all are safe while ``serve`` runs.

Exit codes: 0 fine, 1 findings, 2 usage or configuration, 3 environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from calibration.certificates import doubts, parse_certificates
from collector.accounts.commands import user_app
from collector.accounts.token_commands import token_app
from collector.agent_commands import agents_app
from collector.alerts.commands import alerts_app
from collector.api import shapes
from collector.books import Books, open_books, own_key
from collector.broker.command import broker_config
from collector.calibration_commands import calibration_app
from collector.clock import now_ms
from collector.command_line import CONFIG, FINDINGS, AsJson, ConfigPath, instant_of, told
from collector.config import Config, load_config
from collector.exporting import Wanted, scope_of, whole_period
from collector.exporting import export as export_wanted
from collector.healing_commands import healing_app
from collector.inventory.document import plain
from collector.inventory.model import Inventory
from collector.inventory.profile import load_profile
from collector.log import clean
from collector.operating_commands import backup, doctor, migrate, restore
from collector.plan_commands import plan_app
from collector.sealing import seal as seal_version
from collector.store import quarantine as refused
from collector.store.agents import named_agent
from collector.store.certificates import add_certificate, all_certificates
from collector.store.hours import read_hours
from collector.store.inventories import StoredInventory, build_inventory, read_inventory
from collector.store.plans import instruments_known, site_zone
from collector.store.refresh import refresh_hours
from collector.web.shown import instant, mass_unit, percent
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, public_bytes

app = typer.Typer(
    help="Keep what the agents sent as evidence, and make the inventory that follows from it.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
certificates_app = typer.Typer(help="Certificates of instruments.", no_args_is_help=True)
inventory_app = typer.Typer(help="Inventory versions.", no_args_is_help=True)
for _group, _name in (
    (agents_app, "agents"), (user_app, "user"), (token_app, "token"), (certificates_app, "certificates"),
    (inventory_app, "inventory"), (plan_app, "plan"), (alerts_app, "alerts"),
    (healing_app, "healing"), (calibration_app, "calibration"),
):  # fmt: skip
    app.add_typer(_group, name=_name)

app.command(name="broker-config")(broker_config)
for _command in (backup, restore, migrate, doctor):
    app.command()(_command)

From = Annotated[str, typer.Option("--from", help="Start, ISO 8601; without an offset in the facility's zone.")]
To = Annotated[str, typer.Option("--to", help="End, exclusive, ISO 8601.")]
Gwp = Annotated[str, typer.Option("--gwp", help="GWP set: AR6, AR5, AR4 or SAR.")]


@app.command(name="serve")
def serve_command(config: ConfigPath = CONFIG) -> None:
    """Run ingest, recomputation, API and pages until SIGTERM or SIGINT."""
    from collector.service import serve

    with told():
        serve(load_config(config))


@app.command(name="check-config")
def check_config(config: ConfigPath = CONFIG) -> None:
    """Check collector.toml and the files it names, and print what is in effect; change nothing."""
    with told():
        loaded = load_config(config)
        loaded.broker_password()
        profile, _ = load_profile(loaded.settings.inventory.profile)
        if loaded.tls_ca is not None and not loaded.tls_ca.is_file():
            raise EmitraceError("[broker] tls_ca", f"{loaded.tls_ca} is not a file", "Name the CA's PEM file.")
        effective = {
            "state_dir": str(loaded.state_dir), "key": str(loaded.key_file), "database": clean(loaded.database_url),
            "broker": loaded.settings.broker.model_dump(), "web": loaded.settings.web.model_dump(),
            "log": loaded.settings.log.model_dump(),
            "profile": f"{profile.id} {profile.version}",
        }  # fmt: skip
        typer.echo(json.dumps(effective, indent=1, ensure_ascii=False))


@app.command()
def key(config: ConfigPath = CONFIG) -> None:
    """Print the collector's public key and fingerprint, made now if missing; agents name the fingerprint."""
    with told():
        public = public_bytes(own_key(load_config(config)))
        typer.echo(f"public key   {public.hex()}\nfingerprint  {fingerprint(public)}")


@certificates_app.command(name="add")
def certificates_add(
    file: Annotated[Path, typer.Argument(help="TOML file with [[certificates]] tables.")],
    config: ConfigPath = CONFIG,
) -> None:
    """Enter certificates; the hours they reach are made anew. Exit 1 where one cannot do what it was entered for."""
    doubted = False
    with told(), _books(config) as books:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            seen = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise EmitraceError(str(file), seen, "Name a readable TOML file.") from error
        found = parse_certificates(text, file.name)
        with books.database.writing() as connection:
            instruments = instruments_known(connection, books.plans)
            if not instruments:
                typer.echo("no monitoring plan is here yet: instruments and serials could not be compared")
            for certificate in found:
                fresh = add_certificate(connection, books.plans, certificate, now_ms())
                typer.echo(f"{certificate.id}: {'entered' if fresh else 'already here'}")
                if instruments:
                    hashed = certificate.model_copy(update={"document_sha256": "0" * 64})
                    doubted = bool(doubts(hashed, instruments)) or doubted  # a missing document is only a note
                    for doubt in doubts(certificate, instruments):
                        typer.echo(f"  {doubt}")
    if doubted:
        raise typer.Exit(FINDINGS)


@certificates_app.command(name="list")
def certificates_list(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List every certificate entered."""
    with told(), _books(config) as books, books.database.reading() as connection:
        stored = [shapes.certificate(one) for one in all_certificates(connection)]
        if as_json:
            typer.echo(json.dumps(stored, ensure_ascii=False))
            return
        for one in stored:
            until = one.get("valid_until") or f"{one.get('interval_months')} months"
            typer.echo(f"{one['id']}  {one['instrument']}  {one['kind']}  {one['performed_on']} to {until}")


@app.command()
def hours(
    from_: From = "1970-01-01", to: To = "9998-01-01", as_json: AsJson = False, config: ConfigPath = CONFIG
) -> None:
    """Bring the hourly ledger up to date and print it."""
    with told(), _books(config) as books:
        refresh_hours(books.database, books.plans, books.hour_rule)
        with books.database.reading() as connection:
            zone = site_zone(connection, books.plans)
            rows = read_hours(connection, *_period(books, from_, to))
        if as_json:
            typer.echo(json.dumps([shapes.hour(row) for row in rows]))
            return
        for one in rows:
            row = one.row
            known_ms = row.measured_ms + row.stopped_ms
            mass = f"{row.mass_mg} mg" if known_ms or row.mass_mg else "unknown"
            typer.echo(
                f"{instant(row.from_ms, zone, '%Y-%m-%d %H:%M')}  {row.source:24} {row.gas:6} {mass:>19}  "
                f"{row.method:10} {percent(known_ms, row.to_ms - row.from_ms)} covered"
            )


@inventory_app.command(name="build")
def inventory_build(
    from_: From,
    to: To,
    gwp: Gwp = "AR6",
    seal: Annotated[bool, typer.Option("--seal", help="Seal the version at once.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Build a new inventory version of a period."""
    with told(), _books(config) as books:
        profile = books.config.settings.inventory.profile
        period = _period(books, from_, to, whole=True)
        stored = build_inventory(books.database, books.plans, *period, gwp, now_ms(), profile)
        if seal:
            stored = seal_version(books, stored.version, now_ms())
        _print_inventory(books, stored, as_json=as_json)


@inventory_app.command(name="seal")
def inventory_seal(
    version: Annotated[int, typer.Argument(help="The version to seal.")], config: ConfigPath = CONFIG
) -> None:
    """Seal a version for ever; the database then refuses every change."""
    with told(), _books(config) as books:
        stored = seal_version(books, version, now_ms())
        typer.echo(f"version {version} is sealed, digest {stored.digest.hex()}, leaf {stored.leaf}")


@inventory_app.command(name="show")
def inventory_show(
    version: Annotated[int | None, typer.Argument(help="The version; the newest without it.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Print an inventory version."""
    with told(), _books(config) as books:
        with books.database.reading() as connection:
            stored = read_inventory(connection, version)
        _print_inventory(books, stored, as_json=as_json)


@app.command()
def ingest(
    folder: Annotated[Path, typer.Argument(help="Folder of item files, as emitrace-agent replay --out writes them.")],
    config: ConfigPath = CONFIG,
) -> None:
    """Take item files into the books as if they had come from the broker; exit 1 where one is refused."""
    from collector.ingest.command import take_folder

    with told(), _books(config) as books:
        refused = take_folder(books, folder)
    if refused:
        raise typer.Exit(FINDINGS)


@app.command(name="quarantine")
def quarantine_command(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List what could not be believed, with reasons; exit 1 where there is any."""
    with told(), _books(config) as books, books.database.reading() as connection:
        found = refused.latest(connection, 1000)
        if as_json:
            typer.echo(json.dumps(plain(found), ensure_ascii=False))
        else:
            for one in found:
                typer.echo(f"{one.id}  {one.reason}  agent {one.agent_id[:12] or '-'}  {one.times}x  {one.detail}")
    if found:
        raise typer.Exit(FINDINGS)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must be new or may be replaced.")],
    from_: Annotated[str, typer.Option("--from", help="Start as elsewhere; the first hour known where left out.")] = "",
    to: Annotated[str, typer.Option("--to", help="End, exclusive; the end of the last hour where left out.")] = "",
    agent: Annotated[list[str], typer.Option(help="Only this agent, by name or id; repeat for more.")] = [],  # noqa: B006
    source: Annotated[list[str], typer.Option(help="Only this source; repeat for more.")] = [],  # noqa: B006
    gas: Annotated[list[str], typer.Option(help="Only this gas, such as CO2; repeat for more.")] = [],  # noqa: B006
    whole_log: Annotated[
        bool, typer.Option("--whole-log", help="Show the whole log, so that what a partial bundle leaves out counts.")
    ] = False,
    gwp: Gwp = "AR6",
    config: ConfigPath = CONFIG,
) -> None:
    """Write an evidence bundle for emitrace-verify: of a period, or of agents, sources and gases in it.

    The period is widened to whole hours. A bundle of one source holds the whole signed batches of its agent.
    """
    with told(), _books(config) as books:
        with books.database.reading() as connection:
            agents = [named_agent(connection, name).agent_id for name in agent]
            zone = site_zone(connection, books.plans)
        first, last = (0, 0) if from_ and to else whole_period(books)
        first = instant_of("--from", from_, zone, whole=False) if from_ else first
        last = instant_of("--to", to, zone, whole=False) if to else last
        wanted = Wanted(first, last, scope_of(agents, source, gas), gwp, whole_log)
        start, end = export_wanted(books, wanted, out)
        typer.echo(f"{out}: {out.stat().st_size} bytes, {instant(start, zone)} to {instant(end, zone)} ({zone})")


@contextmanager
def _books(config: Path) -> Iterator[Books]:
    loaded: Config = load_config(config)
    with open_books(loaded) as books:
        yield books


def _period(books: Books, from_: str, to: str, *, whole: bool = False) -> tuple[int, int]:
    """[from, to) of the two options; ``whole`` where it must start and end as hours do. [UTC ms]"""
    with books.database.reading() as connection:
        zone = site_zone(connection, books.plans)
    start, end = instant_of("--from", from_, zone, whole=whole), instant_of("--to", to, zone, whole=whole)
    if end <= start:
        raise EmitraceError("--to", f"{to!r} is not after --from {from_!r}", "Give an end after the start.")
    return start, end


def _print_inventory(books: Books, stored: StoredInventory, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(shapes.inventory(stored), ensure_ascii=False))
        return
    with books.database.reading() as connection:
        zone = site_zone(connection, books.plans)
    found: Inventory = stored.inventory
    unit = mass_unit(found.total.co2e_mg)
    sealed = f"sealed {instant(stored.sealed_ms, zone)}" if stored.sealed_ms else "not sealed"
    typer.echo(f"version {stored.version}, {sealed}, digest {stored.digest.hex()}")
    typer.echo(f"{instant(found.from_ms, zone)} to {instant(found.to_ms, zone)} ({zone}), GWP {found.pinned.gwp_set}")
    for title, rows in (("", found.rows), ("cross-checks, never added:", found.cross_checks)):
        if title and rows:
            typer.echo(title)
        for row in rows:
            figure = "unknown"
            if row.is_known:
                figure = f"{unit.text(row.co2e_mg)} {unit.name} CO2e ± {unit.text(2 * row.u_co2e_mg)} (k = 2)"
            covered = percent(row.covered_ms, row.period_ms)
            typer.echo(f"  {row.source:24} {row.gas:6} category {row.category}  {figure:>40}, {covered} covered")
    total, covered = found.total, percent(found.covered_ms, found.expected_ms)
    figure = "unknown: no data in the period"
    if found.is_known:
        figure = f"{unit.text(total.co2e_mg)} {unit.name} CO2e ± {unit.text(2 * total.u_co2e_mg)} (k = 2)"
    typer.echo(f"  total, without cross-checks: {figure}, {covered} covered")
