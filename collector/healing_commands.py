"""``emitrace-collector healing ...``: what books that went back still wait for, and the word that the rest is lost."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from collector.accepting import accept_loss, look
from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, FINDINGS, AsJson, ConfigPath, system_user, told
from collector.config import load_config
from collector.store.healing import Lacking
from collector.store.healings import Healing

healing_app = typer.Typer(help="Books that are behind what was signed or acknowledged.", no_args_is_help=True)


@healing_app.command(name="show")
def show(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """Say whether the books are being healed and what is missing; exit 1 where they are."""
    with told(), open_books(load_config(config)) as books:
        healing, missing = look(books)
    if as_json:
        typer.echo(json.dumps(shape(healing, missing), ensure_ascii=False))
    else:
        _print(healing, missing)
    if healing is not None:
        raise typer.Exit(FINDINGS)


@healing_app.command(name="accept-loss")
def accept(
    reason: Annotated[str, typer.Option("--reason", help="Why nobody holds it, for those who read it in five years.")],
    author: Annotated[str, typer.Option("--author", help="Who says so; the system's user by default.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it only says what would be lost.")] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Write down as lost what is missing now, for ever, and end the healing; let agents send what they hold first."""
    with told(), open_books(load_config(config)) as books:
        if not yes:
            _print(*look(books))
            typer.echo("Nothing was changed. Say --yes once these numbers no longer fall.")
            raise typer.Exit(FINDINGS)
        done = accept_loss(books, author or system_user(), reason, now_ms())
    lost = sum(gap.count for gap in done.lacking.gaps)
    typer.echo(f"{lost} items are written down as lost; their streams go on behind them")
    if done.renamed is not None:
        head = done.renamed.head
        typer.echo(f"The log goes on under the new origin {head.origin}: {head.size} leaves, root {head.root.hex()}")
    elif done.healing is not None:
        typer.echo("Nothing was signed beyond these books: the log goes on under its origin.")


def shape(healing: Healing | None, missing: Lacking) -> dict[str, object]:
    """Both as JSON shows them."""
    return {
        "healing": None if healing is None else {
            "opened_ms": healing.opened_ms, "cause": healing.cause, "kept": healing.kept,
        },
        "silent": [one.agent_id for one in missing.silent],
        "gaps": [
            {"agent": gap.agent.agent_id, "stream": gap.stream_id.hex(), "ranges": [list(pair) for pair in gap.ranges]}
            for gap in missing.gaps
        ],
        "leaves": missing.leaves, "rewritten": missing.rewritten,
    }  # fmt: skip


def _print(healing: Healing | None, missing: Lacking) -> None:
    if healing is None:
        typer.echo("The books are whole: nothing is refused.")
    else:
        typer.echo(f"The books are being healed ({healing.cause}): no checkpoint, no seal, no bundle until it ends.")
    for one in missing.silent:
        typer.echo(f"not heard of since: {one.agent_id[:12]} {one.name}")
    for gap in missing.gaps:
        ranges = ", ".join(f"{first} to {last}" for first, last in gap.ranges)
        typer.echo(f"missing: {gap.count} items of {gap.agent.name}, stream {gap.stream_id.hex()[:8]}: {ranges}")
    if missing.leaves:
        typer.echo(f"shorter: the log was signed with {missing.leaves} leaves more than it has")
    if missing.rewritten:
        typer.echo("changed: it was signed otherwise at a size that it had already; this does not end by itself")
