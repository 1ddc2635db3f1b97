"""What a verdict shows and what it cannot show, in both languages; a partial bundle shows less, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from collector.evidence.verify.report import Report, Verdict


class Said(NamedTuple):
    """One statement in both languages."""

    zh: str
    en: str


HEADLINES = {
    Verdict.CONSISTENT: Said("与所持信任锚一致", "Consistent with the anchors held"),
    Verdict.CONTRADICTS: Said("存在矛盾", "Contradicts itself or its proofs"),
    Verdict.UNANCHORED: Said("内部一致，来源未经证实", "Internally consistent, origin not established"),
}

_WHAT = {
    "leaves": ("条日志叶", "leaves of the log"),
    "streams": ("条数据流", "streams"),
    "items": ("个数据项", "items"),
    "plans": ("份监测计划", "plans"),
    "hour rows": ("行小时数据", "hour rows"),
}


def scope_said(report: Report) -> Said | None:
    """What a partial bundle is of; None for a whole one."""
    scope = report.scope
    if scope.is_whole:
        return None
    agents = ", ".join(agent[:12] for agent in scope.agents)
    sources, gases = ", ".join(scope.sources), ", ".join(scope.gases)
    return Said(
        f"部分证据包：终端 {agents}；排放源 {sources or '全部'}；气体 {gases or '全部'}",
        f"Partial bundle: agents {agents}; sources {sources or 'all'}; gases {gases or 'all'}",
    )


def left_out(report: Report) -> Said | None:
    """What it says that it leaves out; None where it leaves nothing out."""
    counts = [(number, _WHAT[what]) for what, number in report.left_out.items()]
    if not counts:
        return None
    return Said(
        "未包含：" + "，".join(f"{number} {zh}" for number, (zh, _) in counts),
        "Left out: " + ", ".join(f"{number} {en}" for number, (_, en) in counts),
    )


def shown(report: Report) -> Iterator[Said]:
    """What the verdict shows; nothing where it contradicts."""
    if report.verdict is Verdict.CONTRADICTS:
        return
    yield Said(
        "所列数值由终端签名的寄存器原始字逐位重算得出",
        "The figures here follow, to the last digit, from register words that the agents signed",
    )
    yield Said(
        "每个数据项都在所述大小和根值的证据日志中；每条数据流在此期间内无缺口",
        "Each item here is in the evidence log of the stated size and root, and each stream is without a gap",
    )
    if report.left_out.get("leaves"):
        yield Said(
            "未包含的日志叶以完整子树的哈希代替，因此根值仍可重算",
            "Leaves left out are there as hashes of complete subtrees, so that the root still follows",
        )
    elif not report.scope.is_whole:
        yield Said(
            "日志完整：未包含的数据项各有摘要可查，且所列终端的数据流无遗漏",
            "The log is whole: each item left out stands in it with its digest, and no stream of the agents named is "
            "left out",
        )


def not_shown(report: Report) -> Iterator[Said]:
    """What no verdict on this bundle can show."""
    if not report.scope.is_whole:
        yield Said(
            "其他排放源、气体或终端的数值，以及全厂合计",
            "figures of other sources, gases or agents, and the site's total",
        )
    if report.left_out.get("leaves"):
        yield Said(
            "哈希背后没有同一终端的其他数据流、后续数据项或其他证书（可索取完整日志或整个期间）",
            "that no further stream or later item of these agents, and no certificate, stands behind the hashes of "
            "what was left out (ask for the whole log, or for the whole period)",
        )
    yield Said("仪表读数本身属实", "that the meters told the truth")
    yield Said("没有数据未交给收集端", "that nothing was kept from the collector")
    yield Said(
        "此处的日志是唯一的日志（须与检查点核对）",
        "that the log shown here is the only one (compare checkpoints)",
    )
