"""An evidence bundle from the books: one snapshot, streamed to a file that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, select

from calibration.certificates import encode_certificate
from calibration.encoding import encode_record
from collector.books import Books
from collector.clock import now_ms
from collector.evidence.bundle import BundleContents, ItemDay, write_bundle
from collector.evidence.layout import Leaf
from collector.evidence.names import LogName
from collector.evidence.pruned import Hidden
from collector.hours.cells import HOUR_MS
from collector.hours.model import HourRow
from collector.inventory.model import Inventory
from collector.inventory.profile import load_profile, profile_text
from collector.inventory.scope import WHOLE, Scope
from collector.pruning import all_leaves, part_of_log, shown_positions
from collector.store.agents import all_agents
from collector.store.as_sealed import hours_as_sealed, still_follows
from collector.store.audit import record
from collector.store.calibration import all_records
from collector.store.certificates import all_certificates
from collector.store.checkpoints import (
    BUNDLE,
    Stored,
    all_origins,
    checkpoint_at,
    make_checkpoint,
    newest_checkpoint,
)
from collector.store.healings import refuse_while_healing
from collector.store.hours import read_hours
from collector.store.inventories import all_versions, compose_inventory
from collector.store.log import tree_size
from collector.store.plans import PlanBook, sources_known
from collector.store.refresh import refresh_hours
from collector.store.schema import agent_keys, items, plans
from collector.store.series import read_extent
from collector.store.stretches import Stretch, item_bytes, places, stretches
from collector.store.timestamps import newest_stamped, stamped_from, timestamps_of
from protocols.errors import EmitraceError

DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bundle is asked for.

    Attributes
    ----------
    from_ms, to_ms : int
        The period; it is widened to whole hours. [UTC ms]
    scope : Scope
        The agents, sources and gases it is of; everything where nothing narrows it.
    gwp_set : str or None
        By which the inventory weighs; the accounting profile's own where None.
    whole_log : bool
        Whether a partial bundle shows every leaf of the log, so that what it leaves out can be counted.
    """

    from_ms: int
    to_ms: int
    scope: Scope = WHOLE
    gwp_set: str | None = None
    whole_log: bool = False


def export_bundle(books: Books, from_ms: int, to_ms: int, path: Path, gwp_set: str | None = None) -> tuple[int, int]:
    """Write the bundle of everything in a period; see ``export``."""
    return export(books, Wanted(from_ms, to_ms, gwp_set=gwp_set), path)


def export(books: Books, wanted: Wanted, path: Path) -> tuple[int, int]:
    """Write a bundle to a file that appears whole or not at all.

    Returns
    -------
    tuple of (from_ms, to_ms)
        The period as it is in the bundle. [UTC ms]
    """
    note_export(books, wanted, path.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w+b") as file:
            period = write_wanted(books, wanted, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EmitraceError(f"bundle {path}", str(error), "Name a file in a folder that can be written.") from error
    finally:
        draft.unlink(missing_ok=True)
    return period


def note_export(books: Books, wanted: Wanted, way: str) -> None:
    """Write into the audit trail that somebody takes a bundle away, and sign the log, so that the bundle shows it."""
    scope, at_ms = wanted.scope, now_ms()
    narrowed = " ".join(sorted((*scope.agents, *scope.sources, *scope.gases)))
    with books.database.writing() as connection:
        refuse_while_healing(connection, "bundle")
        detail = f"{wanted.from_ms} {wanted.to_ms} {narrowed}".rstrip()
        record(connection, "bundle-exported", way, at_ms, detail=detail)
        signed = make_checkpoint(connection, books.log_key, at_ms, BUNDLE)
    books.anchor.hold(signed)


def write_wanted(books: Books, wanted: Wanted, file: BinaryIO) -> tuple[int, int]:
    """Write a bundle to an empty, seekable file; the period as it is in there. [UTC ms]"""
    start, end = wanted.from_ms - wanted.from_ms % HOUR_MS, -(-wanted.to_ms // HOUR_MS) * HOUR_MS
    if end <= start:
        raise EmitraceError("bundle", f"period {wanted.from_ms} to {wanted.to_ms} is empty", "Give a later end.")
    refresh_hours(books.database, books.plans, books.hour_rule)
    with books.database.reading() as connection:
        refuse_while_healing(connection, "bundle")
        scope = resolved(connection, books.plans, wanted.scope)
        contents = _contents(connection, books, replace(wanted, from_ms=start, to_ms=end, scope=scope))
        write_bundle(file, contents, books.key)
    return start, end


def whole_period(books: Books) -> tuple[int, int]:
    """From the first hour in the books to the last. [UTC ms]"""
    refresh_hours(books.database, books.plans, books.hour_rule)
    with books.database.reading() as connection:
        extent = read_extent(connection)
    if extent is None:
        raise EmitraceError("bundle", "there are no hours in the books", "Give --from and --to.")
    return extent


def resolved(connection: Connection, book: PlanBook, scope: Scope) -> Scope:
    """The scope with its agents named: those asked for, of the agents that have the sources and gases.

    Raises
    ------
    EmitraceError
        A name that the books do not know, or a combination that no source has.
    """
    if scope.is_whole:
        return scope
    facts = sources_known(connection, book)
    known = {
        "agent": {agent.agent_id for agent in all_agents(connection)},
        "source": {fact.source for fact in facts},
        "gas": {gas for fact in facts for gas in fact.gases},
    }
    for kind, names in (("agent", scope.agents), ("source", scope.sources), ("gas", scope.gases)):
        for name in names:
            if name not in known[kind]:
                hint = f"Known: {', '.join(sorted(known[kind])) or 'none'}."
                raise EmitraceError(f"{kind} {name}", "is not in the books", hint)
    agents = tuple(sorted({fact.agent for fact in scope.narrow(facts)}))
    if scope.agents and not (scope.sources or scope.gases):
        agents = scope.agents
    if not agents:
        raise EmitraceError("bundle", "no agent has such a source with such a gas", "Ask for less at once.")
    return replace(scope, agents=agents)


def _contents(connection: Connection, books: Books, wanted: Wanted) -> BundleContents:
    scope, period = wanted.scope, (wanted.from_ms, wanted.to_ms)
    name = books.config.settings.inventory.profile
    profile, _ = load_profile(name)
    inventory, hours = _figures(connection, books, wanted, wanted.gwp_set or profile.gwp.default)
    agents = [agent for agent in all_agents(connection) if scope.has_agent(agent.agent_id)]
    found = {agent.agent_id: stretches(connection, agent.agent_id, *period) for agent in agents}
    sent = [row for row in _plans_sent(connection) if scope.has_agent(row[0])]
    here = {agent_id for agent_id, own in found.items() if own} | {agent for agent, _, _, _ in sent}
    changes = [row for row in _key_changes(connection) if row[0] in here]
    signed = _checkpoints(connection, inventory)
    stamps = timestamps_of(connection, [one.id for one in signed])
    shown = [*(leaf for _, _, _, leaf in sent), *(leaf for _, _, leaf in changes)]
    log = _log(connection, wanted, found, shown, [one.head.size for one in signed])
    return BundleContents(
        *period, made_ms=now_ms(), software=f"emitrace {version('emitrace')}",
        agents=[key for agent in agents if agent.agent_id in here for key in agent.ring.keys],
        certificates=[encode_certificate(stored.certificate) for stored in all_certificates(connection)],
        records=[encode_record(stored.record) for stored in all_records(connection)],
        days=_days(connection, found), leaves=log,
        plans=[(agent, document) for agent, document, _, _ in sent],
        hours=hours,
        inventory=inventory, profile=profile_text(name).encode(),
        sent=[(agent, data) for agent, _, data, _ in sent], scope=scope,
        log=tuple(
            LogName(one.name, one.public_key, one.position, one.record) for one in all_origins(connection)
        ),
        checkpoints=[(one.head.size, one.note) for one in signed],
        stamps=[(one.head.size, stamps[one.id].reply) for one in signed if one.id in stamps],
        changes=[(agent, data) for agent, data, _ in changes],
    )  # fmt: skip


def _plans_sent(connection: Connection) -> list[tuple[str, bytes, bytes, int]]:
    """(agent, document, signed item, its leaf) of every plan, in the order of arrival."""
    query = select(plans.c.agent_id, plans.c.document, items.c.bytes, items.c.leaf)
    rows = connection.execute(query.join(items, items.c.id == plans.c.item).order_by(plans.c.item)).all()
    return [(row.agent_id, row.document, row.bytes, row.leaf) for row in rows]


def _key_changes(connection: Connection) -> list[tuple[str, bytes, int]]:
    """(agent, signed item, its leaf) of every key that an agent took on."""
    query = select(items.c.agent_id, items.c.bytes, items.c.leaf).join(agent_keys, agent_keys.c.leaf == items.c.leaf)
    return [(row.agent_id, row.bytes, row.leaf) for row in connection.execute(query.order_by(items.c.leaf))]


def _figures(
    connection: Connection, books: Books, wanted: Wanted, gwp_set: str
) -> tuple[Inventory, Iterator[HourRow]]:
    """The sealed version of exactly this period where it still follows from the books, else a fresh one; its hours.

    Where today's ledger says the same as the version, its rows are the hours; else they are made as the version's were.
    """
    profile = books.config.settings.inventory.profile
    fresh = compose_inventory(
        connection, books.plans, wanted.from_ms, wanted.to_ms, gwp_set, profile, wanted.scope
    )
    known = {books.collector_id, *(one.name for one in all_origins(connection))}  # before logs had names, the key
    now = fresh.pinned
    versions = [one.inventory for one in all_versions(connection) if one.sealed_ms is not None]
    sealed = [
        one for one in versions
        if wanted.scope.is_whole and (one.from_ms, one.to_ms) == (fresh.from_ms, fresh.to_ms)
        and one.pinned.origin in known and one.pinned.plans == now.plans
        and (one.pinned.gwp_set, one.pinned.profile_digest) == (now.gwp_set, now.profile_digest)
    ]  # fmt: skip
    for one in sealed:
        same = replace(one.pinned, origin=now.origin, tree_size=now.tree_size) == now
        if same and replace(one, pinned=now) == fresh:
            return one, _hours(connection, wanted)
    for one in sealed:
        if still_follows(connection, books.plans, books.hour_rule, one):
            return one, hours_as_sealed(connection, books.plans, books.hour_rule, one)
    return fresh, _hours(connection, wanted)


def _hours(connection: Connection, wanted: Wanted) -> Iterator[HourRow]:
    """The rows of the period, a day of them in memory at a time."""
    for start in range(wanted.from_ms, wanted.to_ms, DAY_MS):
        for hour in read_hours(connection, start, min(start + DAY_MS, wanted.to_ms)):
            row = hour.row
            first = row.from_ms >= start or start == wanted.from_ms
            if first and wanted.scope.has(row.agent, row.source, row.gas):
                yield row


def _days(connection: Connection, found: dict[str, list[Stretch]]) -> Iterator[ItemDay]:
    for agent_id in sorted(found):
        in_order = merge(*(places(connection, stretch) for stretch in found[agent_id]))
        for day, group in groupby(in_order, key=lambda place: place.day):
            yield ItemDay(agent_id, day, (item_bytes(connection, place.item) for place in group))


def _log(
    connection: Connection, wanted: Wanted, found: dict[str, list[Stretch]], sent: Iterable[int], bounds: Iterable[int]
) -> Iterator[Leaf | Hidden]:
    """Every leaf, or in a partial bundle every one but those of items that are not in it."""
    if wanted.scope.is_whole or wanted.whole_log:
        return all_leaves(connection)
    shown = shown_positions(connection, [one for own in found.values() for one in own], sent)
    return part_of_log(connection, shown, tree_size(connection), bounds)


def _checkpoints(connection: Connection, inventory: Inventory) -> list[Stored]:
    """The newest checkpoint, and that of the seal where the inventory is a sealed version.

    With them the newest one that has a time stamp, and the first such of the seal or after it.
    """
    newest = newest_checkpoint(connection)
    sealed = [one.leaf for one in all_versions(connection) if one.leaf is not None and one.inventory == inventory]
    sizes = [*(leaf + 1 for leaf in sealed), *(stamped_from(connection, leaf + 1) for leaf in sealed)]
    sizes.append(newest_stamped(connection))
    found = [newest, *(checkpoint_at(connection, size) for size in sizes if size is not None)]
    return list({one.head.size: one for one in found if one is not None}.values())


def scope_of(agents: Sequence[str] = (), sources: Sequence[str] = (), gases: Sequence[str] = ()) -> Scope:
    """A scope of these names."""
    agents_, sources_, gases_ = (tuple(sorted(set(names))) for names in (agents, sources, gases))
    return Scope(agents_, sources_, gases_)
