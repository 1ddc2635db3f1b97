"""The overview's lists as tables that leave the page: versions, agents, latest hours, slots by day, quarantine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collector.store.inventories import StoredInventory
from collector.web.frame import View
from collector.web.overview import Overview
from collector.web.table import Cell, Column, Kind, Table, Value

MINUTE = "%Y-%m-%d %H:%M"


def overview_tables(
    o: Overview, view: View, name: Callable[[str, str], str], fate: Callable[[str], str]
) -> tuple[Table, ...]:
    """Every list of the page, the exact integers in them; ``name`` and ``fate`` are the page's words."""
    return (_versions(o, view), _agents(o, view), _hours(o, view, name), _slots(o, view, fate), _quarantine(o, view))


def _table(name: str, caption: str, columns: Sequence[Column], lines: Sequence[Sequence[Value]]) -> Table:
    return Table(name, caption, columns, [[Cell(value) for value in line] for line in lines])


def _versions(o: Overview, view: View) -> Table:
    words = view.words
    columns = [
        Column(words("col.version"), Kind.COUNT), Column(words("versions.gwp")), Column(words("version.digest")),
        Column(words("col.period")), Column(words("col.co2e"), Kind.MASS), Column(words("col.covered"), Kind.SHARE),
        Column(words("col.state")),
    ]  # fmt: skip

    def line(v: StoredInventory) -> Sequence[Value]:
        i = v.inventory
        known = i.covered_ms or i.total.co2e_mg
        sealed = words("versions.open") if v.sealed_ms is None else words(
            "versions.sealed", time=view.time(v.sealed_ms, MINUTE)
        )  # fmt: skip
        return (
            v.version, i.pinned.gwp_set, v.digest.hex(),
            " – ".join(view.time(at_ms, MINUTE) for at_ms in (i.from_ms, i.to_ms)),
            i.total.co2e_mg if known else None, _share(i.covered_ms, i.expected_ms), sealed,
        )  # fmt: skip

    return _table("versions", words("versions"), columns, [line(v) for v in o.versions])


def _agents(o: Overview, view: View) -> Table:
    words = view.words
    columns = [
        Column(words("col.agent")), Column(f"{words('col.agent')} ID"), Column(words("col.seen")),
        Column(words("col.committed")), Column(words("col.ahead"), Kind.COUNT),
        Column(words("col.backlog"), Kind.COUNT), Column(words("col.phase")),
    ]  # fmt: skip
    lines = []
    for a in o.agents:
        said = o.statuses[a.agent_id]
        backlog = said.get("backlog_items")
        lines.append((
            a.name, a.agent_id, view.time(a.last_seen_ms) if a.last_seen_ms else None,
            ", ".join(str(stream.contiguous) for stream in a.streams) or None, sum(s.ahead for s in a.streams),
            backlog if type(backlog) is int else None,
            words.of("phase", str(said["phase"])) if said.get("phase") else None,
        ))  # fmt: skip
    return _table("agents", words("agents"), columns, lines)


def _hours(o: Overview, view: View, name: Callable[[str, str], str]) -> Table:
    words = view.words
    columns = [
        Column(words("col.hour")), Column(words("col.source")), Column(words("col.gas")),
        Column(words("col.mass"), Kind.MASS), Column(words("col.added"), Kind.MASS), Column(words("col.method")),
        Column(words("col.covered"), Kind.SHARE),
    ]  # fmt: skip
    lines = [
        (
            view.time(r.from_ms, MINUTE), name(r.agent, r.source), r.gas,
            r.mass_mg if (known := r.measured_ms + r.stopped_ms) or r.mass_mg else None, r.added_mg,
            words.of("method", r.method), _share(known, r.to_ms - r.from_ms),
        )
        for r in (hour.row for hour in o.recent)
    ]  # fmt: skip
    return _table("hours", words("hours"), columns, lines)


def _slots(o: Overview, view: View, fate: Callable[[str], str]) -> Table:
    """A line per day and reason; a day without a missing slot has one line without a reason."""
    words = view.words
    columns = [
        Column(words("col.day")), Column(words("col.slots"), Kind.COUNT), Column(words("col.answered"), Kind.SHARE),
        Column(words("col.reason")), Column(words("col.missing"), Kind.COUNT),
    ]  # fmt: skip
    lines = [
        (d.day, d.total, _share(d.answered, d.total), reason and fate(reason), count)
        for d in o.slots for reason, count in d.missing or ((None, 0),)
    ]  # fmt: skip
    return _table("slots", words("slots"), columns, lines)


def _quarantine(o: Overview, view: View) -> Table:
    words = view.words
    columns = [
        Column(words("col.seen")), Column(words("col.reason")), Column(words("col.agent")), Column(words("col.detail")),
        Column(words("col.times"), Kind.COUNT), Column(words("col.bytes"), Kind.COUNT),
    ]  # fmt: skip
    lines = [
        (view.time(q.last_ms), words.of("reason", q.reason), q.agent_id or None, q.detail, q.times, q.size)
        for q in o.quarantined
    ]
    return _table("quarantine", words("quarantine"), columns, lines)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
