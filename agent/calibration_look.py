"""How the instruments stand, as the central team said last: it changes no reading and no figure.

It stays true without a connection: an interval that has ended since is shown as overdue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.look import Look, Said
from calibration.status import VALID, State
from protocols.messages import Notice, Noticed

SOON_MS = 30 * 86_400_000
_WORDS = {
    State.IN_INTERVAL: Said("在有效期内", "in interval"),
    State.DUE_SOON: Said("即将到期", "due soon"),
    State.EXEMPT: Said("豁免", "exempt"),
    State.OVERDUE_JUSTIFIED: Said("已超期（有正当理由）", "overdue, justified"),
    State.OVERDUE: Said("已超期", "overdue"),
    State.UNKNOWN: Said("无有效证据", "nothing proves it"),
    State.FAILED: Said("不合格", "failed"),
    State.SUSPENDED: Said("停用", "out of use"),
}
_TODO = Said("请中心团队安排检定或校准", "ask the central team to have it verified or calibrated")


def calibration_looks(notice: Notice | None, now_ms: int) -> Iterator[Look]:
    """How each instrument stands; those in interval in one line, and nothing where no notice came."""
    if notice is None:
        return
    zone = _zone(notice.zone)
    fine = []
    for one in notice.instruments:
        state = _now(one, now_ms)
        if state is State.IN_INTERVAL:
            fine.append(one)
            continue
        zh, en = _ends(one, zone)
        words = _WORDS[state]
        seen = Said(f"{one.instrument}：{words.zh}{zh}", f"{one.instrument}: {words.en}{en}")
        well = state in VALID or state is State.EXEMPT
        yield Look("calibration", well, seen, None if well and state is not State.DUE_SOON else _TODO)
    if fine:
        soonest = min((one for one in fine if one.until_ms), key=lambda one: one.until_ms, default=None)
        zh, en = ("", "") if soonest is None else _ends(soonest, zone)
        yield Look(
            "calibration", True,
            Said(f"{len(fine)} 台计量器具在有效期内{zh}", f"{len(fine)} instruments in interval{en}"),
        )  # fmt: skip


def _now(one: Noticed, now_ms: int) -> State:
    """What it is by now: a validity that has ended since is over."""
    try:
        state = State(one.state)
    except ValueError:  # a word of a newer collector: not known to be well
        return State.UNKNOWN
    if state not in VALID or not one.until_ms:
        return state
    if now_ms >= one.until_ms:
        return State.OVERDUE
    return State.DUE_SOON if one.until_ms - now_ms <= SOON_MS else state


def _ends(one: Noticed, zone: ZoneInfo) -> tuple[str, str]:
    if not one.until_ms:
        return "", ""
    day = datetime.fromtimestamp((one.until_ms - 1) / 1000, zone).date()
    return f"，有效期至 {day}", f", valid through {day}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
