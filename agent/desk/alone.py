"""The desk where no agent runs: this program opens the buses itself, and holds the agent's lock meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agent.bus.opening import bus_of
from agent.clock import KernelClock
from agent.config import Config
from agent.desk.asks import DeskError
from agent.desk.desk import Desk
from agent.desk.visit import Desk as AnyDesk
from agent.desk.visit import visit
from agent.endpoint import AnyBus
from agent.health import read_status
from agent.lock import hold_lock, is_held
from agent.outbox import Outbox, OutboxError
from agent.results import encode_entry
from agent.service import OUTBOX
from agent.site import Site, load_site
from agent.spans import next_edge
from protocols.records import Event


@asynccontextmanager
async def at_desk(config: Config, only: str = "") -> AsyncIterator[AnyDesk]:
    """The desk of the running agent; where none runs, one that works by itself.

    Parameters
    ----------
    only : str
        Of the buses only this one is needed.
    """
    if is_held(config.state_dir):
        async with visit(config.state_dir) as visitor:
            yield visitor
        return
    config.state_dir.mkdir(parents=True, exist_ok=True)
    with hold_lock(config.state_dir):
        site = load_site(config)
        tables = site.lines
        async with open_desk(config, site, {only: tables[only]} if only in tables else tables) as desk:
            yield desk


@asynccontextmanager
async def open_desk(config: Config, site: Site, tables: Mapping[str, AnyBus]) -> AsyncIterator[Desk]:
    """A desk over buses that are opened for it; the caller holds the lock."""
    clock = KernelClock()
    buses = {name: bus_of(table, clock.mono_ms) for name, table in tables.items()}

    async def note(event: Event) -> None:
        await asyncio.to_thread(_journal, config, event)

    try:
        await asyncio.gather(*(bus.open() for bus in buses.values()))
        yield Desk(
            site.reading, buses, lambda: read_status(config.state_dir), lambda _position: None,
            lambda: clock.read().utc_ms, note,
        )
    finally:
        await asyncio.gather(*(bus.close() for bus in buses.values()))


def _journal(config: Config, event: Event) -> None:
    """Put an event where the agent finds it at its next start, and seals it before anything else."""
    path = config.state_dir / OUTBOX
    if not path.exists():
        raise DeskError("stream", "the agent has not run here yet, so there is no stream", "start the agent first")
    outbox = Outbox(path, config.bounds)
    try:
        standing = outbox.standing()
        if standing is None:
            raise DeskError("stream", "the agent has not run here yet, so there is no stream", "start the agent first")
        if event.at_ms < standing.tail.span_end_ms:
            raise OutboxError(f"outbox {path}", "ends later than the clock says it is now", "set the clock")
        edge_ms = next_edge(event.at_ms, 1000)
        outbox.journal([(edge_ms, encode_entry((), [event]))])
    finally:
        outbox.close()
