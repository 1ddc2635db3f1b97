"""The report as a document for programs: its keys are stable, and this is their description."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from collector.evidence.verify.meaning import HEADLINES, Said, not_shown, shown
from collector.evidence.verify.report import Report


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Both(_Part):
    """A sentence in both languages."""

    zh: str
    en: str


class FindingPart(_Part):
    """One contradiction."""

    step: Annotated[str, Field(description="which promise it breaks, as in docs/verifier.md")]
    where: Annotated[str, Field(description="member, byte, stream and item, or hour")]
    seen: str


class StreamPart(_Part):
    """How far one stream reaches."""

    agent: Annotated[str, Field(description="fingerprint of the agent's key")]
    stream: str
    first: Annotated[int, Field(description="sequence of the first item here")]
    last: int
    from_ms: Annotated[int | None, Field(description="start of the first batch [UTC ms], null where none is here")]
    to_ms: int | None
    previous: Annotated[str, Field(description="digest that the first item names as its previous")]
    head: Annotated[str, Field(description="digest of the last item")]
    later: Annotated[int, Field(description="items that the part of the log shown has beyond the last")]


class SignerPart(_Part):
    """Whoever signed something."""

    fingerprint: str
    role: str
    held: Annotated[bool, Field(description="whether it was among the anchors given")]


class ScopePart(_Part):
    """What a partial bundle is of; an empty list means all."""

    agents: list[str]
    sources: list[str]
    gases: list[str]


class LogPart(_Part):
    """The evidence log as the bundle states it; compare it with checkpoints."""

    origin: Annotated[str, Field(description="its name; in bundles of versions 1 and 2, the collector's fingerprint")]
    size: int
    root: str


class CheckpointPart(_Part):
    """A signed checkpoint in the bundle that the log begins with."""

    origin: str
    size: int
    root: str
    key: Annotated[str, Field(description="the verifier key of the log (C2SP) that signed it")]
    held: Annotated[bool, Field(description="whether it was among the log keys given")]
    stamped_ms: Annotated[int | None, Field(description="time of its stamp (RFC 3161) [UTC ms]")]
    stamp_checked: Annotated[bool, Field(description="whether that stamp is signed under a root given")]


class ReportDocument(_Part):
    """A report of emitrace-verify. Keys are never removed or given another meaning within a version."""

    report: Literal["emitrace-verify"] = "emitrace-verify"
    version: Literal[1] = 1
    bundle: Annotated[str, Field(description="name of the file")]
    manifest: Annotated[str | None, Field(description="SHA-256 of manifest.cbor: which bundle this was")]
    made_ms: Annotated[int | None, Field(description="when it was made, by the collector's clock [UTC ms]")]
    software: Annotated[str | None, Field(description="what made it")]
    verdict: Literal["consistent", "contradicts", "unanchored"]
    exit_code: Literal[0, 1, 4]
    headline: Both
    log: LogPart | None
    checkpoints: list[CheckpointPart]
    period: Annotated[tuple[int, int] | None, Field(description="[from, to) [UTC ms]")]
    scope: Annotated[ScopePart | None, Field(description="null for a whole bundle")]
    left_out: Annotated[dict[str, int], Field(description="what a partial bundle says that it leaves out")]
    shows: list[Both]
    does_not_show: list[Both]
    checked: Annotated[dict[str, int], Field(description="how much of what was checked")]
    contradictions: Annotated[int, Field(description="findings in all; the first 200 are given")]
    findings: list[FindingPart]
    notes: list[str]
    streams: list[StreamPart]
    signers: list[SignerPart]
    anchors_unused: list[str]


def document_of(report: Report, bundle: str) -> ReportDocument:
    """The document of a report."""
    scope, stated = report.scope, report.stated
    return ReportDocument(
        bundle=bundle,
        manifest=None if stated is None else stated.manifest,
        made_ms=None if stated is None else stated.made_ms,
        software=None if stated is None else stated.software,
        verdict=report.verdict.name.lower(),
        exit_code=report.verdict.value,
        headline=_both(HEADLINES[report.verdict]),
        log=None if stated is None else LogPart(origin=stated.origin, size=stated.tree_size, root=stated.tree_root),
        checkpoints=[
            CheckpointPart(
                origin=one.origin, size=one.size, root=one.root, key=one.key, held=report.holds_log_key(one),
                stamped_ms=one.stamped_ms, stamp_checked=one.stamp_checked,
            )
            for one in report.checkpoints
        ],
        period=report.period,
        scope=None if scope.is_whole
        else ScopePart(agents=list(scope.agents), sources=list(scope.sources), gases=list(scope.gases)),
        left_out=dict(report.left_out),
        shows=[_both(said) for said in shown(report)],
        does_not_show=[_both(said) for said in not_shown(report)],
        checked=dict(report.counts),
        contradictions=report.contradictions,
        findings=[FindingPart(step=one.step.value, where=one.where, seen=one.seen) for one in report.findings],
        notes=list(report.notes),
        streams=[
            StreamPart(
                agent=one.agent, stream=one.stream, first=one.first, last=one.last, from_ms=one.from_ms,
                to_ms=one.to_ms, previous=one.previous, head=one.head, later=one.later,
            )
            for one in report.extents
        ],
        signers=[
            SignerPart(fingerprint=fingerprint, role=role, held=fingerprint in report.trusted)
            for fingerprint, role in sorted(report.signers.items())
        ],
        anchors_unused=report.unused(),
    )  # fmt: skip


def as_json(report: Report, bundle: str) -> str:
    """One JSON object."""
    return json.dumps(document_of(report, bundle).model_dump(mode="json"), ensure_ascii=False, indent=2)


def schema() -> str:
    """JSON Schema of the document."""
    return json.dumps(ReportDocument.model_json_schema(), ensure_ascii=False, indent=2)


def _both(said: Said) -> Both:
    return Both(zh=said.zh, en=said.en)
