"""What a technician writes down of a swap, a stop or a commissioning, checked and made an event. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

from agent.desk.asks import DeskError, Detail, NoteAsk
from agent.desk.commissioning import Check

DIGEST_CHARACTERS = 64
MOST_PHOTOS = 8
CHINESE = {
    "old_serial": "旧表编号", "new_serial": "新表编号", "unit": "单位", "by": "操作人", "closing_index": "旧表止码",
    "opening_index": "新表起码",
}  # fmt: skip


def swap_note(
    instrument: str,
    *,
    old_serial: str,
    new_serial: str,
    closing_index: str,
    opening_index: str,
    unit: str,
    load: str,
    by: str,
    seal_removed: str = "",
    seal_applied: str = "",
    photos: Sequence[str] = (),
) -> NoteAsk:
    """A meter went and another came.

    Parameters
    ----------
    instrument : str
        Id in the plan; it stays that of the place, whichever meter hangs there.
    closing_index, opening_index : str
        Last index of the old meter and first of the new one, as their displays show them, in ``unit``.
    load : str
        "on" where energy flowed unmeasured meanwhile, "off" where nothing did.
    by : str
        Who did it.
    photos : sequence of str
        SHA-256 of each photograph, in hexadecimal.
    """
    told = {"old_serial": old_serial, "new_serial": new_serial, "unit": unit, "by": by}
    for name, text in told.items():
        if not text.strip():
            hint, zh = "write it down from the meter", f"更换 {instrument}：请填写{CHINESE[name]}。"
            raise DeskError(f"swap of {instrument}", f"{name} is empty", hint, zh=zh)
    if old_serial.strip() == new_serial.strip():
        hint, zh = "read both name plates again", f"更换 {instrument}：新旧表编号相同。请再看一次两块表的铭牌。"
        raise DeskError(f"swap of {instrument}", f"both meters bear {old_serial.strip()}", hint, zh=zh)
    if load not in {"on", "off"}:
        hint, zh = "say on or off: did energy flow meanwhile?", f"更换 {instrument}：请选择更换期间是否带负荷。"
        raise DeskError(f"swap of {instrument}", f"load '{load}'", hint, zh=zh)
    if len(photos) > MOST_PHOTOS or any(len(one) != DIGEST_CHARACTERS for one in photos):
        raise DeskError(f"swap of {instrument}", "photographs", f"give up to {MOST_PHOTOS} digests (SHA-256)")
    details: list[Detail] = [
        ("old_serial", old_serial.strip()), ("new_serial", new_serial.strip()),
        ("closing_index", str(_index(instrument, "closing_index", closing_index))),
        ("opening_index", str(_index(instrument, "opening_index", opening_index))),
        ("unit", unit.strip()), ("load", load), ("by", by.strip()),
    ]  # fmt: skip
    seals = (("seal_removed", seal_removed), ("seal_applied", seal_applied))
    details += [(name, text.strip()) for name, text in seals if text.strip()]
    details += [(f"photo_{number}", one) for number, one in enumerate(photos, start=1)]
    return NoteAsk(kind="meter_swap", subject=instrument, details=tuple(details))


def stop_note(source: str, reason: str, by: str, state: Literal["stopped", "running"] = "stopped") -> NoteAsk:
    """Why a source stands still, or that it runs again."""
    if not reason.strip() or not by.strip():
        zh = f"{source} 停运：请填写原因和填写人。"
        raise DeskError(f"stop of {source}", "no reason or no name", "say why, and who says so", zh=zh)
    details = (("state", state), ("reason", reason.strip()), ("by", by.strip()))
    return NoteAsk(kind="operating_stop", subject=source, details=details)


def commissioning_note(instrument: str, checks: Sequence[Check], by: str) -> NoteAsk:
    """What was held against the display and a clamp meter, and what came of it."""
    if not checks:
        hint = "give at least the display's index"
        zh = f"{instrument} 的投运检查：没有任何核对内容。请至少填写表盘示数。"
        raise DeskError(f"commissioning of {instrument}", "nothing was checked", hint, zh=zh)
    if not by.strip():
        zh = f"{instrument} 的投运检查：请填写核对人。"
        raise DeskError(f"commissioning of {instrument}", "no name", "say who checked", zh=zh)
    details: list[Detail] = [("passed", all(check.well for check in checks)), ("by", by.strip())]
    for check in checks:
        details.append((check.name, check.verdict))
        details.append((f"{check.name}_seen", check.seen[:500]))
    return NoteAsk(kind="commissioning", subject=instrument, details=tuple(details))


def number(what: str, text: str) -> Decimal:
    """A number as a person writes it; DeskError where it is none."""
    try:
        found = Decimal(text.strip().replace(" ", ""))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        zh = f"“{text}”不是数字。请写成 12345.67 的形式。"
        raise DeskError(what, f"'{text}' is no number", "write digits with a point, such as 12345.67", zh=zh)
    return found


def _index(instrument: str, name: str, text: str) -> Decimal:
    found = number(f"swap of {instrument}: {name}", text)
    if found < 0:
        zh = f"{CHINESE[name]} {found}：示数不会是负数。"
        raise DeskError(f"swap of {instrument}: {name}", f"{found}", "an index is never negative", zh=zh)
    return found
