"""The report on a bus, in Chinese and English: what a technician prints, dates and signs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from protocols.plan.model import Plan

SOUND_PERCENT = 99.0
"""Of requests that must be answered on a line in order; our own figure, no standard has one."""


def report_lines(report: Mapping[str, Any], plan: Plan, places: Mapping[str, str]) -> tuple[list[str], bool]:
    """The report line by line, and whether every line is in order.

    Parameters
    ----------
    report : mapping
        As the desk gives it: ``since_ms``, ``at_ms``, and per bus ``connected``, ``problem`` and ``units``.
    plan : Plan
        Whose facility and meters it is about.
    places : mapping of str to str
        Address or port of each bus, with the settings of a serial line.
    """
    facility = plan.facility.name
    lines = [
        f"总线报告 / Bus report: {facility.zh} / {facility.en}",
        f"时段 / From {_utc(report['since_ms'])} to {_utc(report['at_ms'])} (UTC)",
    ]
    sound = True
    for name, bus in report["buses"].items():
        state = "已连接 / connected" if bus["connected"] else f"未连接 / not connected: {bus['problem']}"
        sound &= bus["connected"]
        lines += ["", f"总线 / Bus {name}, {places.get(name, '-')}: {state}"]
        for unit, tally in bus["units"].items():
            told, fine = judge(tally)
            sound &= fine
            meters = "".join(
                f", {one.id} (表号 / serial {one.serial})"
                for one in plan.instruments if one.bus == name and str(one.unit) == unit
            )  # fmt: skip
            lines += [f"  单元 / Unit {unit}{meters}: {told}", *(f"    {text}" for text in unit_lines(tally))]
    lines += ["", "日期 / Date: ____________________   签名 / Signature: ____________________"]
    return lines, sound


def judge(tally: Mapping[str, Any]) -> tuple[str, bool]:
    """One unit in a few words, and whether it is in order."""
    requests, answers = tally["requests"], tally["answers"]
    if not requests:
        return "未询问 / not asked", True
    percent = 100 * answers / requests
    if tally["bad_checksums"]:
        return "校验错误，请检查电缆、终端电阻和接地 / checksum errors: check cable, termination and earth", False
    if percent < SOUND_PERCENT:
        return f"仅应答 {percent:.2f} % / answered only {percent:.2f} %", False
    return "正常 / in order", True


def unit_lines(tally: Mapping[str, Any]) -> Iterator[str]:
    """The counts of one unit."""
    yield f"请求 / requests {tally['requests']}, 应答 / answers {tally['answers']}"
    others = [f"{fate} {count}" for fate, count in tally["fates"].items() if fate != "good"]
    yield f"失败 / failures: {', '.join(others) or '无 / none'}"
    yield f"校验错误 / checksum errors {tally['bad_checksums']}, 多余帧 / strays {tally['strays']}"
    times = ", ".join(f"{name} {ms:g} ms" for name, ms in tally["turnaround_ms"].items() if ms is not None)
    yield f"应答时间 / turnaround: {times.replace('p100', 'max') or '-'}"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
