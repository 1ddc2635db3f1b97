"""``emitrace-collector alerts ...``: what is the matter, acknowledged from the command line, and a test message."""

from __future__ import annotations

import json
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from collector.accounts.commands import BY
from collector.alerts.news import News
from collector.alerts.ways import UNSENT, ways_of
from collector.alerts.words import sentence
from collector.api import shapes
from collector.books import open_books
from collector.clock import now_ms
from collector.command_line import CONFIG, ENVIRONMENT, FINDINGS, AsJson, ConfigPath, told
from collector.config import load_config
from collector.log import clean, keep_secret
from collector.store.alerts import acknowledge_alert, open_alerts
from collector.web.language import Words
from collector.web.shown import instant
from protocols.errors import EmitraceError

alerts_app = typer.Typer(help="What somebody must look after.", no_args_is_help=True)


@alerts_app.command(name="list")
def list_(as_json: AsJson = False, config: ConfigPath = CONFIG) -> None:
    """List the open alerts; exit 1 where there is one that nobody has acknowledged."""
    with told(), open_books(load_config(config)) as books, books.database.reading() as connection:
        found, zone = open_alerts(connection), ZoneInfo(books.config.settings.alerts.zone)
    if as_json:
        typer.echo(json.dumps([shapes.alert(one, zone) for one in found], ensure_ascii=False))
    for one in () if as_json else found:
        said = f", acknowledged by {one.acknowledged_by}" if one.acknowledged_by else ""
        typer.echo(f"{one.id}  since {instant(one.raised_ms, zone)}{said}  {sentence(one, Words('en'), zone)}")
    if not found and not as_json:
        typer.echo("nothing is the matter")
    if any(one.acknowledged_ms is None for one in found):
        raise typer.Exit(FINDINGS)


@alerts_app.command()
def acknowledge(
    number: Annotated[int, typer.Argument(help="The alert's number, as `alerts list` prints it.")],
    note: Annotated[str, typer.Option(help="What you found, or who looks after it.")] = "",
    config: ConfigPath = CONFIG,
) -> None:
    """Say that somebody looks after an alert: it is told of no more, and ends when the matter does."""
    with told(), open_books(load_config(config)) as books, books.database.writing() as connection:
        one = acknowledge_alert(connection, number, BY, note, now_ms())
    typer.echo(f"alert {one.id} is acknowledged")


@alerts_app.command(name="test")
def send_test(config: ConfigPath = CONFIG) -> None:
    """Send a test message by every way that is configured; exit 3 where one does not take it."""
    failed = False
    with told():
        loaded = load_config(config)
        rules = loaded.settings.alerts
        for secret in loaded.alert_secrets():
            keep_secret(secret)
        ways = ways_of(loaded)
        if not ways:
            raise EmitraceError(str(loaded.file), "neither [alerts.mail] to nor [alerts.webhook] url", "Set one.")
        with open_books(loaded) as books:
            news = News((), (), ZoneInfo(rules.zone), rules.link, books.collector_id)
        for way in ways:
            try:
                way.send(news)
                typer.echo(f"{way.name} to {way.to}: sent")
            except UNSENT as error:
                failed = True
                typer.echo(clean(f"{way.name} to {way.to}: {error}"))
    if failed:
        raise typer.Exit(ENVIRONMENT)
