"""A report for people, headline in both languages, and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator

from collector.evidence.verify.report import Report, Verdict

HEADLINES = {
    Verdict.CONSISTENT: ("与所持信任锚一致", "Consistent with the anchors held"),
    Verdict.CONTRADICTS: ("存在矛盾", "Contradicts itself or its proofs"),
    Verdict.UNANCHORED: ("内部一致，来源未经证实", "Internally consistent, origin not established"),
}
NOT_CLAIMED = (
    "Not claimed: that the meters told the truth, that nothing was kept from the collector, or that the log shown"
    " here is the only one (checkpoints come later)."
)


def as_text(report: Report, bundle: str) -> Iterator[str]:
    """Lines for a terminal."""
    chinese, english = HEADLINES[report.verdict]
    yield f"{bundle}: {chinese} / {english}"
    yield f"  checked: {', '.join(f'{number} {what}' for what, number in report.counts.items()) or 'nothing'}"
    for finding in report.findings:
        yield f"  [{finding.step.value}] {finding.where}: {finding.seen}"
    if report.contradictions > len(report.findings):
        yield f"  ... and {report.contradictions - len(report.findings)} findings more"
    for remark in report.notes:
        yield f"  note: {remark}"
    if report.remarks > len(report.notes):
        yield f"  ... and {report.remarks - len(report.notes)} notes more"
    for fingerprint, role in sorted(report.signers.items(), key=lambda signer: (signer[1], signer[0])):
        held = "held / 已持有" if fingerprint in report.trusted else "NOT held / 未持有"
        yield f"  signed by {role} {fingerprint}: {held}"
    if report.verdict is Verdict.UNANCHORED:
        yield "  Compare each fingerprint with one you got from elsewhere, then pass it with --trust FINGERPRINT."
    yield f"  {NOT_CLAIMED}"


def as_json(report: Report, bundle: str) -> str:
    """One JSON object."""
    table = {
        "bundle": bundle,
        "verdict": report.verdict.name.lower(),
        "exit_code": report.verdict.value,
        "headline": dict(zip(("zh", "en"), HEADLINES[report.verdict], strict=True)),
        "checked": report.counts,
        "contradictions": report.contradictions,
        "findings": [{"step": f.step.value, "where": f.where, "seen": f.seen} for f in report.findings],
        "notes": report.notes,
        "signers": [
            {"fingerprint": fingerprint, "role": role, "held": fingerprint in report.trusted}
            for fingerprint, role in sorted(report.signers.items())
        ],
    }
    return json.dumps(table, ensure_ascii=False, indent=2)
