"""Notices as maps, and strictly back: what the central team knows of an agent's instruments."""

from __future__ import annotations

from typing import Any

from protocols.messages import Notice, Noticed
from protocols.wire import limits
from protocols.wire.fields import array, record, refuse, text, uint
from protocols.wire.items import STREAM, VERSION, VERSION_NOW, check_version, stream_id

ISSUED, ZONE, INSTRUMENTS = range(3, 6)
_NAME, _WORD = 128, 32


def notice_map(notice: Notice) -> dict[int, Any]:
    """The map of a notice."""
    return {
        VERSION: VERSION_NOW,
        STREAM: notice.stream_id,
        ISSUED: notice.issued_ms,
        ZONE: notice.zone,
        INSTRUMENTS: [[one.instrument, one.serial, one.state, one.until_ms] for one in notice.instruments],
    }


def read_notice_map(value: object) -> Notice:
    """The notice in a decoded map; every instrument stands in it once, in order."""
    check_version(value, "notice")
    fields = record(value, "notice", range(VERSION, INSTRUMENTS + 1))
    rows = array(fields[INSTRUMENTS], "notice.instruments", limits.INSTRUMENTS)
    instruments = tuple(_read_noticed(row, f"notice.instruments[{i}]") for i, row in enumerate(rows))
    names = [one.instrument for one in instruments]
    if names != sorted(set(names)):
        refuse("notice.instruments", "an instrument that stands twice, or not in order")
    return Notice(
        stream_id(fields[STREAM], "notice.stream_id"),
        uint(fields[ISSUED], "notice.issued_ms", limits.TIME_MS),
        text(fields[ZONE], "notice.zone", _NAME),
        instruments,
    )


def _read_noticed(row: object, where: str) -> Noticed:
    instrument, serial, state, until_ms = array(row, where, 4, 4)
    return Noticed(
        text(instrument, f"{where}.instrument", _NAME),
        text(serial, f"{where}.serial", _NAME),
        text(state, f"{where}.state", _WORD),
        uint(until_ms, f"{where}.until_ms", limits.TIME_MS),
    )
