"""Store values as JSON: names instead of positions, hex for bytes, strings for integers above 1e15."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

from collector.alerts.words import sentence
from collector.hours.sources import series_of
from collector.inventory.document import plain
from collector.store.agents import AgentView
from collector.store.alerts import Alert
from collector.store.certificates import StoredCertificate
from collector.store.hours import VersionedHour
from collector.store.inventories import StoredInventory
from collector.store.refresh import BrokenCell
from collector.web.language import LANGUAGES, Words
from protocols.plan.bound import BoundPlan
from protocols.records import Event, Window, fate_text

Json = dict[str, Any]


def agent(view: AgentView) -> Json:
    """An agent with its streams; ``status`` is its own unsigned word."""
    return {
        "agent": view.agent_id, "name": view.name, "last_seen_ms": view.last_seen_ms,
        "status": None if view.status is None else json.loads(view.status), "dropped_items": view.dropped_items,
        "replaces": view.replaces,
        "streams": [
            {"stream": s.stream_id.hex(), "contiguous": s.contiguous, "ahead": s.ahead, "placed": s.placed,
             "last_to_ms": s.last_to_ms}
            for s in view.streams
        ],
    }  # fmt: skip


def alert(one: Alert, zone: ZoneInfo) -> Json:
    """An alert with its sentence in both languages."""
    return {
        "id": one.id, "kind": one.kind.value, "subject": one.subject, "facts": dict(one.facts),
        "raised_ms": one.raised_ms, "ended_ms": one.ended_ms, "acknowledged_ms": one.acknowledged_ms,
        "acknowledged_by": one.acknowledged_by, "note": one.note,
        "text": {language: sentence(one, Words(language), zone) for language in LANGUAGES},
    }  # fmt: skip


def window(agent_id: str, plan: BoundPlan, one: Window) -> Json:
    """A window as the edge stated it; uncertainties in mg, shared ones by cause."""
    source = plan.sources[one.source]
    causes, _ = series_of(source, one)
    shared = dict(zip((cause.name for cause in causes), one.u_shared, strict=False))
    return {
        "agent": agent_id, "plan": plan.digest.hex(), "source": source.id, "input": one.input,
        "gas": source.gases[one.gas], "from_ms": one.from_ms, "to_ms": one.to_ms, "activity": plain(one.activity),
        "mass_mg": plain(one.mass_mg), "operating_ms": one.operating_ms, "measured_ms": one.measured_ms,
        "stopped_ms": one.stopped_ms, "flags": one.flags, "u_independent": one.u_independent, "u_shared": shared,
        "u_end": one.u_end,
    }  # fmt: skip


def event(item: int, one: Event) -> Json:
    """An event as the edge stated it, and the item that carries it."""
    details = {name: value.hex() if isinstance(value, bytes) else plain(value) for name, value in one.details}
    kind = one.kind.name.lower().replace("_", "-")
    return {"kind": kind, "at_ms": one.at_ms, "subject": one.subject, "details": details, "item": item}


def broken_cell(one: BrokenCell) -> dict[str, Any]:
    """An hour cell that could not be made."""
    return {"agent": one.agent_id, "from_ms": one.from_ms, "to_ms": one.to_ms, "error": one.error}


def hour(one: VersionedHour) -> Json:
    """An hour row with its version."""
    row = one.row
    shaped = plain(row)
    if not isinstance(shaped, dict):
        raise TypeError("an hour row is a map")
    return shaped | {
        "version": one.version, "status_mg": {k: plain(v) for k, v in row.status_mg},
        "status_ms": dict(row.status_ms), "u_shared": dict(row.u_shared),
    }  # fmt: skip


def inventory(stored: StoredInventory) -> Json:
    """A version with its rows, totals and pinned inputs."""
    return {
        "version": stored.version, "digest": stored.digest.hex(), "built_ms": stored.built_ms,
        "sealed_ms": stored.sealed_ms, "leaf": stored.leaf, "inventory": plain(stored.inventory),
    }  # fmt: skip


def certificate(stored: StoredCertificate) -> Json:
    """A certificate as it was entered, with its digest and the tree size from which it is known."""
    entered = stored.certificate.model_dump(mode="json", by_alias=True)
    return entered | {"digest": stored.digest.hex(), "known_from": stored.leaf + 1, "known_ms": stored.known_ms}


def fate_name(code: int) -> str:
    """A fate code as a word with its reason, such as ``exception-2`` or ``uncertain-frozen``."""
    return fate_text(code).replace("_", "-").replace(" ", "-")
