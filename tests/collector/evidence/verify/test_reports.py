"""The report in text, JSON and HTML: the same facts, stable keys, nothing that steers, runs or loads."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from collector.evidence.verify.__main__ import main
from collector.evidence.verify.document import ReportDocument, as_json, schema
from collector.evidence.verify.page import as_html
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.inventory.scope import Scope
from tests.collector.evidence.site import Site

SITE = Site().make()
BUNDLE = SITE.bundle()
HOSTILE = "</td><script>alert(1)</script>\x1b[2J\u202e\"'&"
KEYS = [
    "report", "version", "bundle", "manifest", "made_ms", "software", "verdict", "exit_code", "headline", "log",
    "checkpoints",
    "period", "scope", "left_out", "shows", "does_not_show", "checked", "contradictions", "findings", "notes",
    "streams", "signers", "anchors_unused",
]  # fmt: skip


class _Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def hostile() -> Report:
    """A report in which every text that others write is hostile."""
    report = verify_bundle(io.BytesIO(BUNDLE), SITE.anchors())
    report.find(Step.ITEM, HOSTILE, HOSTILE)
    report.note(HOSTILE)
    report.scope = Scope(("ab" * 32,), (HOSTILE,), (HOSTILE,))
    report.leave_out("leaves", 3)
    if report.stated is not None:
        report.stated = replace(report.stated, software=HOSTILE)
    return report


def test_the_keys_of_the_json_report_are_stable() -> None:
    """Each key is there in every report, also of a file that is no bundle, and the schema describes them."""
    whole = json.loads(as_json(verify_bundle(io.BytesIO(BUNDLE), SITE.anchors()), "b.zip"))
    broken = json.loads(as_json(verify_bundle(io.BytesIO(b"PK"), []), "b.zip"))

    assert [KEYS, KEYS] == [list(whole), list(broken)]
    assert ("consistent", 0, "contradicts", 1) == (
        whole["verdict"], whole["exit_code"], broken["verdict"], broken["exit_code"]
    )  # fmt: skip
    assert KEYS == list(json.loads(schema())["properties"])
    assert (1, None) == (ReportDocument.model_validate(whole).version, broken["log"])
    assert "emitrace/site" == whole["log"]["origin"]


def test_a_page_of_hostile_text_runs_and_loads_nothing() -> None:
    """No script, no link, no picture, no style from elsewhere; what others wrote is shown as text."""
    page = as_html(hostile(), f"{HOSTILE}.zip")
    tags = _Tags(page).seen
    attributes = {name for _, attributes in tags for name in attributes}

    assert {tag for tag, _ in tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "strong", "span", "p", "table", "thead",
        "tr", "th", "td", "ul", "li",
    }  # fmt: skip
    assert attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "default-src 'none'" in page
    assert [] == re.findall(r"url\(|@import|https?://", page)
    assert [] == [character for character in page if not (character.isprintable() or character == "\n")]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_says_everything_in_both_languages() -> None:
    """Headline, what it shows and what it does not; the verdict, the manifest and the root stand in it."""
    report = verify_bundle(io.BytesIO(BUNDLE), SITE.anchors())
    page = as_html(report, "b.zip")
    assert report.stated is not None
    wanted = [
        "与所持信任锚一致", "Consistent with the anchors held", "不证明", "What this does not show",
        report.stated.manifest, report.stated.tree_root, *SITE.anchors(), "@media print",
    ]  # fmt: skip

    assert Verdict.CONSISTENT is report.verdict
    assert [] == [text for text in wanted if text not in page]


def test_reports_are_written_in_the_form_their_names_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run, three files; an unknown ending is refused before anything is read."""
    bundle = tmp_path / "b.zip"
    bundle.write_bytes(BUNDLE)
    files = [tmp_path / f"out.{ending}" for ending in ("html", "json", "txt")]
    with pytest.raises(SystemExit) as ended:
        main([str(bundle), *(part for path in files for part in ("--report", str(path)))])
    printed = capsys.readouterr().out
    with pytest.raises(SystemExit) as refused:
        main([str(tmp_path / "none.zip"), "--report", "out.pdf"])
    with pytest.raises(SystemExit) as unwritable:
        main([str(bundle), "--report", str(tmp_path / "nowhere" / "out.html")])

    assert (4, 2, 2) == (ended.value.code, refused.value.code, unwritable.value.code)
    assert files[0].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "unanchored" == json.loads(files[1].read_text(encoding="utf-8"))["verdict"]
    assert printed == files[2].read_text(encoding="utf-8")
