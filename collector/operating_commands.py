"""Commands for whoever operates the collector: backup, restore and doctor."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from collector.backup import BackupError, Manifest, Progress, write_backup
from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, FINDINGS, AsJson, ConfigPath, told
from collector.config import load_config
from collector.doctor.examine import examine
from collector.doctor.results import Result
from collector.log import clean
from collector.migrating import migrate_books
from collector.restore import CONFIG_RESTORED, restore_backup


def backup(
    out: Annotated[Path, typer.Option("--out", help="The archive to write, mode 0600; it may be replaced.")],
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the signing key in as well: whoever has it can sign as you.")
    ] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Write the books as they stand now into one verified archive; `serve` goes on meanwhile."""
    with told():
        loaded = load_config(config)
        if not loaded.key_file.exists():
            raise BackupError(f"key {loaded.key_file}", "is not there", "Is this the collector's configuration?")
        with open_books(loaded) as books:
            manifest = write_backup(books, out.resolve(), now_ms(), _progress(), with_key=with_key)
    typer.echo(f"{out}: {out.stat().st_size} bytes, read back and verified")
    _print_books(manifest)
    if not with_key:
        typer.echo("The signing key is not in it: keep a copy elsewhere, agents believe no collector without it.")


def restore(
    archive: Annotated[Path, typer.Argument(help="An archive that `backup` has written.")],
    state_dir: Annotated[Path, typer.Option("--state-dir", help="An empty folder, or one that holds the key alone.")],
) -> None:
    """Put a backup into an empty state folder, checking it from its digests to the root of its log."""
    with told():
        manifest, has_key = restore_backup(archive, state_dir.resolve())
    made = _utc(manifest.made_ms)
    typer.echo(f"{state_dir}: restored as of {made}, verified")
    _print_books(manifest)
    typer.echo(
        f"The configuration of that time, without secrets, is {state_dir / CONFIG_RESTORED}.\n"
        "What agents sent since then comes again by itself: serve asks for it, and an agent keeps acknowledged items\n"
        "for 30 days unless its agent.toml says otherwise. Not in it, and to be entered again: agents, certificates,\n"
        "accounts, inventory versions and seals since then. Agents that hold a later state of the log raise an alarm:\n"
        f"tell whoever holds a later state of the log that {manifest.books.origin} goes on from size "
        f"{manifest.books.tree_size}."
    )
    if not has_key:
        typer.echo(
            f"Before you start serve, put the key with fingerprint {manifest.collector}\n"
            f"into {state_dir} as collector.key (mode 0600), and log.key beside it; with other keys no agent believes\n"
            "an acknowledgement or a checkpoint."
        )


def migrate(
    backed_up: Annotated[
        bool, typer.Option("--backed-up", help="On PostgreSQL: say that a dump was made; on SQLite a copy is made.")
    ] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Bring books of an older program forward to this one's tables; stop `serve` first."""
    with told():
        done = migrate_books(load_config(config), _progress(), backed_up=backed_up)
    if done.before == done.now:
        typer.echo(f"schema version {done.now}: nothing to do")
        return
    typer.echo(f"schema version {done.before} became {done.now}")
    if done.copy is not None:
        typer.echo(f"{done.copy} is a verified copy of the books before; delete it when all is well")


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Read every row and hash every leaf, too.")] = False,
    as_json: AsJson = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Look at everything the collector needs, change nothing, and say what to do; exit 1 where there are findings."""
    results = []
    for one in examine(config, now_ms(), deep=deep):
        results.append(one)
        if not as_json:
            typer.echo(clean(_said(one)))
    findings = [one for one in results if one.is_finding]
    if as_json:
        told = [{"finding": one.is_finding, **asdict(one)} for one in results]
        typer.echo(clean(json.dumps({"findings": len(findings), "results": told}, ensure_ascii=False)))
    else:
        typer.echo(f"{len(results)} looks, {len(findings)} findings" if findings else f"{len(results)} looks, all fine")
    if findings:
        raise typer.Exit(FINDINGS)


def _said(one: Result) -> str:
    """One line where it is fine, what to do under it where it is not."""
    mark = "FINDING " if one.is_finding else "fine    "
    return f"{mark}{one.check:14} {one.where}: {one.seen}" + (f"\n        -> {one.hint}" if one.is_finding else "")


def _print_books(manifest: Manifest) -> None:
    books = manifest.books
    typer.echo(f"collector  {manifest.collector}")
    typer.echo(f"origin     {books.origin}")
    typer.echo(f"schema     {books.schema}")
    typer.echo(f"log        {books.tree_size} leaves, root {books.root}")
    for stream in books.streams:
        newest = "" if stream.to_ms is None else f", newest item to {_utc(stream.to_ms)}"
        upto = f"stream {stream.stream[:8]} up to item {stream.contiguous}{newest}"
        typer.echo(f"agent      {stream.agent[:12]} {stream.name}: {upto}")


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _progress() -> Progress:
    """Says every tenth of the way on stderr, on one line where it is a terminal."""
    said = 0

    def say(done: int, of: int) -> None:
        nonlocal said
        tenth = 10 * done // of if of else 10
        if tenth > said:
            said = tenth
            end = "\r" if sys.stderr.isatty() and tenth < 10 else "\n"
            sys.stderr.write(f"copied {done >> 20} of {of >> 20} MiB{end}")
            sys.stderr.flush()

    return say
