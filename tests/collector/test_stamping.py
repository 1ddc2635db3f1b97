"""Checkpoints stamped by a real authority: kept, in bundles, checked by a root; its failures hold up nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.books import Books, open_books
from collector.config import Config, Settings, TransparencyTable
from collector.doctor.books import LATE_STAMP_MS, look_at_books
from collector.evidence.stamps import StampError, check_stamp, query_for, read_roots, read_stamp
from collector.evidence.verify.__main__ import main
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_text
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.recompute import Recomputer
from collector.stamping import RETRY_MS, Stamper
from collector.store.agents import add_agent
from collector.store.checkpoints import GROWN, make_checkpoint
from collector.store.timestamps import timestamps_of, to_be_stamped
from tests.collector.authority import Authority, serving
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.evidence.site import Site

pytest.importorskip("rfc3161_client", reason="the extra timestamps is not installed")
pytestmark = pytest.mark.openssl
SITE = Site().make()
SIZE, NOTE = SITE.contents().checkpoints[0]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(Authority(tmp_path_factory.mktemp("tsa") / "one")) as made:
        yield made


@pytest.fixture
def books(tmp_path: Path, authority: Authority) -> Iterator[Books]:
    authority.status, authority.spoil, authority.asked = 200, {}, 0
    settings = Settings(transparency=TransparencyTable(timestamp_url=authority.url))
    with open_books(Config(tmp_path / "collector.toml", settings)) as opened:
        yield opened


def filled(books: Books) -> Edge:
    """An hour of batches, signed once."""
    edge = stream(0, window_s=60)
    for _ in range(4):
        edge.add_batch(span_ms=20 * 60_000)
    with books.database.writing() as connection:
        add_agent(connection, edge.public, "boiler house", START_MS)
    commit_group(books, [edge.message(sequence) for sequence in range(5)], START_MS)
    while Recomputer(books).step():
        pass
    with books.database.writing() as connection:
        make_checkpoint(connection, books.log_key, START_MS, GROWN)
    return edge


def verified(data: bytes, anchors: set[str], roots: bytes = b"") -> Report:
    return verify_bundle(io.BytesIO(data), anchors, tsa_roots=read_roots(roots) if roots else ())


def test_a_stamp_is_kept_carried_and_checked(
    books: Books, authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for once; in a bundle beside its checkpoint; believed under the authority's root alone."""
    edge, stamper = filled(books), Stamper(books)
    stamper.step(START_MS)
    stamper.step(START_MS)
    path, root = tmp_path / "bundle.zip", tmp_path / "root.pem"
    export_bundle(books, START_MS, START_MS + HOUR_MS, path)
    root.write_bytes(authority.root)
    anchors = {edge.agent_id, books.collector_id}
    checked, unchecked = (verified(path.read_bytes(), anchors, roots) for roots in (authority.root, b""))
    trust = [word for anchor in sorted(anchors) for word in ("--trust", anchor)]
    with pytest.raises(SystemExit) as end:
        main([str(path), *trust, "--tsa-root", str(root)])

    assert 1 == authority.asked
    assert [Verdict.CONSISTENT] * 2 == [checked.verdict, unchecked.verdict]
    assert [(True, True), (False, False)] == [
        (one.stamped_ms is not None, one.stamp_checked) for one in checked.checkpoints
    ]  # the one made with the bundle has none yet
    assert not unchecked.checkpoints[0].stamp_checked
    assert any("NOT checked (--tsa-root)" in said for said in as_text(unchecked, "b.zip"))
    assert 0 == end.value.code
    assert "by a root you hold" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["status", "nonsense"])
def test_an_authority_that_fails_holds_up_nothing(books: Books, authority: Authority, fault: str) -> None:
    """It is asked again after a while, longer each time; the doctor says so after two hours; then it goes on."""
    filled(books)
    stamper = Stamper(books)
    if fault == "status":
        authority.status = 503
    else:
        authority.spoil = {b"\x30\x03\x02\x01\x00": b"\x30\x03\x02\x01\x02"}  # PKIStatus: rejection
    for at_ms in (0, RETRY_MS[0] - 1, RETRY_MS[0], 3 * RETRY_MS[0] - 1):
        stamper.step(START_MS + at_ms)
    with books.database.reading() as connection:
        waiting = to_be_stamped(connection)
    late = START_MS + LATE_STAMP_MS + 1
    found = {one.check: one for one in look_at_books(books.config, late, deep=False)}
    authority.status, authority.spoil = 200, {}
    stamper.step(late)
    with books.database.reading() as connection:
        assert waiting is not None
        stamps = timestamps_of(connection, [waiting.id])

    assert 3 == authority.asked
    assert found["time stamps"].is_finding
    assert [waiting.id] == list(stamps)


def test_a_stamp_that_does_not_hold_is_a_contradiction(authority: Authority, tmp_path: Path) -> None:
    """Of another checkpoint, under another root of the same name, changed, or of a checkpoint that is not there."""
    authority.status, authority.spoil = 200, {}
    good, foreign = (authority.stamp(query_for(note).data) for note in (NOTE, b"other note\n"))
    other = Authority(tmp_path / "other")
    roots, wrong = read_roots(authority.root), read_roots(other.root)
    anchors = set(SITE.anchors())
    bundles = {
        name: SITE.bundle(replace(SITE.contents(), stamps=[(size, reply)]))
        for name, size, reply in (
            ("good", SIZE, good), ("foreign", SIZE, foreign), ("cut", SIZE, good[:-1]), ("stray", SIZE + 1, good),
        )
    }  # fmt: skip
    changed = bytearray(good)
    changed[-3] ^= 1

    assert [] == verified(bundles["good"], anchors, authority.root).findings
    for name in ("foreign", "cut", "stray"):
        assert {Step.LOG} == {one.step for one in verified(bundles[name], anchors).findings}
    assert {Step.LOG} == {one.step for one in verified(bundles["good"], anchors, other.root).findings}
    assert read_stamp(good, NOTE) == check_stamp(good, NOTE, roots)
    for reply, trusted in ((good, wrong), (bytes(changed), roots), (other.stamp(query_for(NOTE).data), roots)):
        with pytest.raises(StampError, match=r"not signed under the root|cannot be read"):
            check_stamp(reply, NOTE, trusted)
    with pytest.raises(StampError, match="another request"):
        read_stamp(good, NOTE, 7)


def test_without_the_library_a_stamp_is_passed_over_and_said(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bundle is verified all the same; who brings a root is told what to install."""
    bundle = SITE.bundle(replace(SITE.contents(), stamps=[(SIZE, authority.stamp(query_for(NOTE).data))]))
    monkeypatch.setattr("collector.evidence.stamps.find_spec", lambda _name: None)
    report = verified(bundle, set(SITE.anchors()))
    (tmp_path / "root.pem").write_bytes(authority.root)
    with pytest.raises(SystemExit) as end:
        main(["bundle.zip", "--tsa-root", str(tmp_path / "root.pem")])

    assert Verdict.CONSISTENT is report.verdict
    assert any("emitrace[timestamps]" in note for note in report.notes)
    assert 2 == end.value.code


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data: bytes) -> None:
    """StampError and nothing else, for a stamp and for a root."""
    with pytest.raises(StampError):
        read_stamp(data, b"note\n")
    with pytest.raises(StampError):
        read_roots(data)
