"""A trail as one JSON document: names for positions, hex for bytes, exact decimals as text."""

from __future__ import annotations

from typing import Any

from collector.api.shapes import Json, fate_name, hour
from collector.inventory.document import plain
from collector.store.explain import ExplainedHour, StatedWindow
from collector.store.explain_formula import IndexAt
from collector.store.explain_instruments import Deciding
from collector.store.explain_readings import PointTrail, Shown
from collector.store.explain_signed import SignedBatch
from collector.store.explain_window import ExplainedWindow
from collector.store.knowledge import KnownAt
from collector.store.series import SeriesRow
from collector.store.trail import Level, Trail
from protocols.modbus.registermap import Register
from protocols.plan.model import FactorRecord

RULES = {
    "sum": "mass = sum of the parts' masses, integers in mg",
    "hour": "mass = sum of the windows' masses + what is added for operating time without valid data",
    "factor": "The monitoring plan in force names the factors of each gas; their values multiply. A changed factor is "
    "a new plan version.",
    "hold": "A value stands from its sample until the next good or uncertain one, the next stop, check or start, or "
    "for hold_ms, whichever is first; never backwards.",
    "counter": "mass = sign x rint(activity x coefficient); activity = index at the end - index at the beginning; "
    "an index between two readings is interpolated by time, rounded half to even.",
    "held": "mass = sum over stretches of rate x time [ug], rounded half to even to mg",
}
"""What each step of a trail does, in words."""


def trail(one: Trail, known: KnownAt) -> Json:
    """The whole way from a figure to signed words, with the log's size to prove leaves against."""
    facts = one.named.facts
    return {
        "figure": {
            "agent": facts.agent, "source": facts.source, "gas": one.named.gas, "site": one.named.site,
            "zone": one.named.zone.key, "name": {"zh": facts.name_zh, "en": facts.name_en}, "method": facts.method,
        },
        "rules": RULES,
        "levels": [_level(level) for level in one.levels],
        "hour": None if one.hour is None else _hour(one.hour),
        "window": None if one.window is None else window_trail(one.window),
        "log": {"origin": known.origin, "tree_size": known.tree_size},
    }  # fmt: skip


def _level(level: Level) -> Json:
    return {
        "from_ms": level.from_ms, "to_ms": level.to_ms, "parts_by": level.by.value, "adds_up": level.adds_up,
        "total": None if level.total is None else _row(level.total), "parts": [_row(part) for part in level.parts],
    }  # fmt: skip


def _row(row: SeriesRow) -> Json:
    own = row.total
    return {
        "from_ms": row.from_ms, "to_ms": row.to_ms, "mass_mg": plain(row.mass_mg), "added_mg": plain(row.added_mg),
        "activity": plain(row.activity), "operating_ms": row.operating_ms, "measured_ms": row.measured_ms,
        "stopped_ms": row.stopped_ms, "u_mg": row.u_mg, "u_independent": own.u_independent,
        "u_shared": dict(own.u_shared), "methods": dict(row.methods),
        "status_mg": {name: plain(mass) for name, mass in row.status_mg},
    }  # fmt: skip


def _hour(found: ExplainedHour) -> Json:
    return {
        "from_ms": found.cell[0], "to_ms": found.cell[1], "row": None if found.row is None else hour(found.row),
        "windows": [_stated(one) for one in found.windows], "holes": [list(span) for span in found.holes],
        "instruments": [
            {"instrument": one.instrument.model_dump(mode="json"), "points": list(one.points),
             "status": [{"from_ms": start, "to_ms": end, "state": status.state.value, "certificate": status.cause}
                        for start, end, status in one.stretches],
             "chain": [{"part": other.part, "instrument": other.instrument,
                        "status": [{"from_ms": start, "to_ms": end, "state": status.state.value}
                                   for start, end, status in other.stretches]} for other in one.members],
             **_deciding(one.deciding)}
            for one in found.instruments
        ],
        "batches": [{"item": one.item, "sequence": one.sequence, "digest": one.digest.hex(), "leaf": one.leaf,
                     "equal": one.equal} for one in found.batches],
        "plans": [{"digest": one.plan.digest.hex(), "version": one.plan.plan.version, "item": one.item,
                   "known_ms": one.known_ms, "factors": [_factor(factor) for factor in one.factors]}
                  for one in found.plans],
    }  # fmt: skip


def _deciding(one: Deciding | None) -> Json:
    """The record behind a status; ``certificate`` is null where it was entered as an event."""
    if one is None:
        return {
            "event": None, "certificate": None, "certificate_known_ms": None, "certificate_known_from": None
        }  # fmt: skip
    entered = one.certificate
    return {
        "event": {"id": one.event.id, "what": one.event.what.value},
        "certificate": None if entered is None else entered.model_dump(mode="json", by_alias=True),
        "certificate_known_ms": one.known_ms, "certificate_known_from": one.known_from,
    }  # fmt: skip


def _stated(one: StatedWindow) -> Json:
    window = one.window
    return {
        "from_ms": window.from_ms, "to_ms": window.to_ms, "input": window.input, "item": one.item,
        "activity": plain(window.activity), "mass_mg": plain(window.mass_mg), "measured_ms": window.measured_ms,
        "operating_ms": window.operating_ms, "stopped_ms": window.stopped_ms, "flags": window.flags,
    }  # fmt: skip


def _factor(one: FactorRecord) -> object:
    return one.model_dump(mode="json")


def window_trail(found: ExplainedWindow) -> Json:
    """One window down to signed words."""
    window = found.window
    shared = dict(zip(found.causes, window.u_shared, strict=False))
    return {
        "agent": found.agent, "source": found.source, "gas": found.gas, "input": window.input,
        "from_ms": window.from_ms, "to_ms": window.to_ms, "mass_mg": plain(window.mass_mg),
        "activity": plain(window.activity), "operating_ms": window.operating_ms, "measured_ms": window.measured_ms,
        "stopped_ms": window.stopped_ms, "flags": window.flags, "u_independent": window.u_independent,
        "u_shared": shared, "u_end": window.u_end,
        "plan": {"digest": found.plan.digest.hex(), "version": found.plan.plan.version},
        "factors": [_factor(one) for one in found.factors],
        "counted": _counted(found), "held": None if found.held is None else plain(found.held),
        "points": [_point(one) for one in found.points], "batches": [_batch(one) for one in found.batches],
    }  # fmt: skip


def _counted(found: ExplainedWindow) -> Json | None:
    one = found.counted
    if one is None:
        return None
    return {
        "sign": one.sign, "coefficient": one.coefficient, "base_unit": one.base_unit, "agrees": one.agrees,
        "begin": _index(one.begin), "end": _index(one.end),
    }  # fmt: skip


def _index(one: IndexAt | None) -> object:
    return None if one is None else plain(one)


def _point(one: PointTrail) -> Json:
    request, point = one.request, one.point
    return {
        "input": one.name, "point": point.id, "quantity": point.quantity.value,
        "base_unit": point.quantity.definition.base_unit, "ratio": str(point.ratio), "offset": str(point.offset),
        "hold_ms": point.hold_ms, "interval_ms": point.interval_ms, "instrument": one.instrument.id,
        "serial": one.instrument.serial, "register_map": one.instrument.map, "register": _register(point.register),
        "request": {"bus": one.bus, "unit": request.unit, "function": request.function, "address": request.address,
                    "count": request.count},
        "readings": [_reading(reading) for reading in one.readings],
    }  # fmt: skip


def _register(register: Register) -> Any:
    keys = {"name", "function", "address", "addresses", "type", "word_order", "byte_order", "bits", "scale",
            "scale_by", "scale_factor", "offset", "unit", "sentinels", "page", "note"}  # fmt: skip
    return register.model_dump(mode="json", include=keys)


def _reading(one: Shown) -> Json:
    reading = one.reading
    return {
        "due_ms": reading.due_ms, "delay_ms": reading.delay_ms, "at_ms": reading.at_ms,
        "fate": fate_name(reading.fate), "words": list(one.registers), "value": one.value, "base": plain(one.base),
        "holds_to_ms": one.holds_to_ms, "item": reading.item,
    }  # fmt: skip


def _batch(one: SignedBatch) -> Json:
    return {
        "item": one.item, "sequence": one.sequence, "stream": one.stream_id.hex(), "from_ms": one.from_ms,
        "to_ms": one.to_ms, "received_ms": one.received_ms, "bytes": one.size, "digest": one.digest.hex(),
        "previous": one.previous.hex(), "key": one.key_id.hex(), "content_type": one.content_type,
        "signature": one.signature.hex(), "signature_holds": True, "clock": one.clock,
        "clock_uncertainty_ms": one.clock_uncertainty_ms, "software": one.software, "leaf": one.leaf,
        "leaf_hash": one.leaf_hash.hex(),
        "inclusion": {"tree_size": one.tree_size, "root": one.root.hex(), "path": [node.hex() for node in one.path]},
        "recomputed": "equal" if not one.differences else "different",
        "differences": list(one.differences),
    }  # fmt: skip
