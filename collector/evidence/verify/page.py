"""The report as one page of HTML for people: both languages, printable, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from collector.evidence.verify.meaning import HEADLINES, Said, left_out, not_shown, scope_said, shown
from collector.evidence.verify.report import Report, Verdict
from collector.evidence.verify.text import printable, utc

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 "Noto Sans CJK SC", "Noto Sans SC", system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #1c2430; background: #fff; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
.verdict { border-left: .5rem solid; padding: .6rem 1rem; margin: 1rem 0; }
.consistent { border-color: #1a7f4b; background: #eef8f2; } .contradicts { border-color: #b3261e; background: #fdeeed; }
.unanchored { border-color: #9a6700; background: #fdf6e7; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .25rem .6rem;
  border-bottom: 1px solid #d5dbe3; overflow-wrap: anywhere; }
th { font-weight: 600; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: .85em; } li { margin: .3rem 0; } .en { color: #4a5566; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } tr, li { break-inside: avoid; } }
""".strip()


def as_html(report: Report, bundle: str) -> str:
    """The whole page."""
    return "\n".join(_lines(report, bundle)) + "\n"


def _lines(report: Report, bundle: str) -> Iterator[str]:
    headline = HEADLINES[report.verdict]
    yield "<!doctype html>"
    yield '<html lang="zh-CN"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(headline.zh)} / {_text(headline.en)}: {_text(bundle)}</title>"
    yield f"<style>{_STYLE}</style></head><body>"
    yield "<h1>证据包复核报告 <span class='en' lang='en'>Verification report</span></h1>"
    yield f'<div class="verdict {report.verdict.name.lower()}"><strong>{_said(headline)}</strong></div>'
    for said in (scope_said(report), left_out(report)):
        if said is not None:
            yield f"<p>{_said(said)}</p>"
    yield from _table("证据包", "Bundle", _facts(report, bundle))
    if report.verdict is not Verdict.CONTRADICTS:
        yield from _list("证明", "What this shows", map(_said, shown(report)))
    yield from _list("不证明", "What this does not show", map(_said, not_shown(report)))
    found = [(one.step.value, one.where, one.seen) for one in report.findings]
    yield from _grid("矛盾之处", "Findings", ("步骤 / step", "位置 / where", "所见 / seen"), found)
    if report.contradictions > len(found):
        yield f"<p>… {report.contradictions - len(found)} 条以上 / more</p>"
    yield from _list("备注", "Notes", map(_text, report.notes))
    if report.remarks > len(report.notes):
        yield f"<p>… {report.remarks - len(report.notes)} 条以上 / more</p>"
    yield from _grid("签名者", "Signed by", ("角色 / role", "指纹 / fingerprint", "信任锚 / anchor"), _signers(report))
    yield from _grid("日志检查点", "Checkpoints of the log", _CHECKPOINT_HEAD, _checkpoints(report))
    yield from _grid("数据流", "Streams", _STREAM_HEAD, _streams(report))
    counts = [(what, f"{number:,}") for what, number in report.counts.items()]
    yield from _grid("已核对", "Checked", ("内容 / what", "数量 / number"), counts)
    yield "</body></html>"


_CHECKPOINT_HEAD = ("大小 / size", "根 / root", "日志密钥 / key of the log", "信任锚 / anchor", "时间戳 / time stamp")
_STREAM_HEAD = ("终端 / agent", "数据流 / stream", "项 / items", "起 / from", "止 / to", "其后 / later in log")


def _facts(report: Report, bundle: str) -> Iterator[tuple[str, str]]:
    yield "文件 / file", bundle
    if report.period is not None:
        yield "期间 / period", f"{utc(report.period[0])} – {utc(report.period[1])}"
    stated = report.stated
    if stated is not None:
        yield "清单摘要 / SHA-256 of the manifest", stated.manifest
        yield "生成 / made", f"{utc(stated.made_ms)}, {stated.software}"
        yield "日志来源 / log origin", stated.origin
        yield "日志大小 / log size", f"{stated.tree_size:,}"
        yield "日志根 / log root", stated.tree_root


def _signers(report: Report) -> Iterator[tuple[str, str, str]]:
    for fingerprint, role in sorted(report.signers.items(), key=lambda signer: (signer[1], signer[0])):
        held = "已持有 / held" if fingerprint in report.trusted else "未持有 / NOT held"
        yield role, fingerprint, held
    for fingerprint in report.unused():
        yield "–", fingerprint, "已持有，此处无其签名 / held, signed nothing here"


def _checkpoints(report: Report) -> Iterator[tuple[str, ...]]:
    for one in report.checkpoints:
        held = "已持有 / held" if report.holds_log_key(one) else "未持有 / NOT held"
        stamp = "–" if one.stamped_ms is None else utc(one.stamped_ms)
        if one.stamped_ms is not None and not one.stamp_checked:
            stamp += "，未核对 / NOT checked"
        yield f"{one.size:,}", one.root, one.key, held, stamp


def _streams(report: Report) -> Iterator[tuple[str, ...]]:
    hidden = bool(report.left_out.get("leaves"))
    for one in report.extents:
        times = ("–", "–") if one.from_ms is None else (utc(one.from_ms), utc(one.to_ms))
        later = "未包含 / left out" if hidden and not one.later else f"{one.later:,}"
        yield one.agent, one.stream, f"{one.first} – {one.last}", *times, later


def _table(zh: str, en: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield _heading(zh, en) + "<table>"
    for name, value in rows:
        yield f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>"
    yield "</table>"


def _grid(zh: str, en: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    yield _heading(zh, en) + "<table><thead><tr>" + "".join(f"<th>{_text(one)}</th>" for one in head) + "</tr></thead>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_text(one)}</td>" for one in row) + "</tr>"
    yield "</table>"


def _list(zh: str, en: str, markup: Iterable[str]) -> Iterator[str]:
    lines = list(markup)
    if lines:
        yield _heading(zh, en) + "<ul>"
        yield from (f"<li>{line}</li>" for line in lines)
        yield "</ul>"


def _heading(zh: str, en: str) -> str:
    return f'<h2>{_text(zh)} <span class="en" lang="en">{_text(en)}</span></h2>'


def _said(said: Said) -> str:
    return f'{_text(said.zh)} <span class="en" lang="en">{_text(said.en)}</span>'


def _text(text: str) -> str:
    """Text that others wrote, unable to become markup."""
    return escape(printable(text))
