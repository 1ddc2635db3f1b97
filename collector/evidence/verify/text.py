"""A report for a terminal, headline in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from collector.evidence.verify.meaning import HEADLINES, left_out, not_shown, scope_said, shown
from collector.evidence.verify.report import KEPT, Report, Verdict


def as_text(report: Report, bundle: str) -> Iterator[str]:
    """Lines for a terminal."""
    chinese, english = HEADLINES[report.verdict]
    yield f"{bundle}: {chinese} / {english}"
    for said in (scope_said(report), left_out(report)):
        if said is not None:
            yield f"  {printable(said.zh)} / {printable(said.en)}"
    yield f"  checked: {', '.join(f'{number} {what}' for what, number in report.counts.items()) or 'nothing'}"
    if report.stated is not None:
        stated = report.stated
        yield f"  bundle {stated.manifest}"
        yield f"  log {printable(stated.origin)} of {stated.tree_size} leaves, root {stated.tree_root}"
    yield from _extents(report)
    for finding in report.findings:
        yield f"  [{finding.step.value}] {printable(finding.where)}: {printable(finding.seen)}"
    if report.contradictions > len(report.findings):
        yield f"  ... and {report.contradictions - len(report.findings)} findings more"
    for remark in report.notes:
        yield f"  note: {printable(remark)}"
    if report.remarks > len(report.notes):
        yield f"  ... and {report.remarks - len(report.notes)} notes more"
    yield from _signers(report)
    for one in report.checkpoints:
        held = "held / 已持有" if report.holds_log_key(one) else "NOT held / 未持有"
        yield f"  checkpoint of {one.size} leaves, root {one.root}"
        yield f"    signed by log {printable(one.key)}: {held}"
        if one.stamped_ms is not None:
            checked = "by a root you hold / 由所持根证书" if one.stamp_checked else "NOT checked (--tsa-root) / 未核对"
            yield f"    time stamp {utc(one.stamped_ms)}: {checked}"
    if report.verdict is Verdict.UNANCHORED:
        yield "  Compare each fingerprint with one you got from elsewhere, then pass it with --trust FINGERPRINT."
    for said in shown(report):
        yield f"  shows / 证明: {said.en}"
    for said in not_shown(report):
        yield f"  does not show / 不证明: {said.en}"


def _extents(report: Report) -> Iterator[str]:
    """How far each stream reaches: what lies beyond its end is not in the figures."""
    if report.period is not None:
        yield f"  period {utc(report.period[0])} to {utc(report.period[1])}"
    for one in report.extents[:KEPT]:
        time = f"{utc(one.from_ms)} to {utc(one.to_ms)}" if one.from_ms is not None else "no batch"
        later = f"the log has {one.later} later" if one.later else "the log has none later; the agent may hold more"
        later = "whether the log has later ones is left out here" if report.left_out.get("leaves") else later
        yield f"  stream {one.stream} of agent {one.agent[:12]}: items {one.first} to {one.last}, {time}; {later}"
    if len(report.extents) > KEPT:
        yield f"  ... and {len(report.extents) - KEPT} streams more"


def _signers(report: Report) -> Iterator[str]:
    for fingerprint, role in sorted(report.signers.items(), key=lambda signer: (signer[1], signer[0])):
        held = "held / 已持有" if fingerprint in report.trusted else "NOT held / 未持有"
        yield f"  signed by {role} {fingerprint}: {held}"
    for fingerprint in report.unused():
        yield f"  held, but signed nothing here / 已持有，但此处无其签名: {fingerprint}"


def utc(at_ms: int | None) -> str:
    """An instant as people write it, to the millisecond; beyond the calendar, as a number."""
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms or 0)
    except OverflowError:
        return f"{at_ms} ms"
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Text that others wrote, unable to steer a terminal or to look like a line of this report."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
