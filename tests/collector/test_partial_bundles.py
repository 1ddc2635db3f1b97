"""Any figure, source, agent or period leaves as a bundle: smaller, still provable, honest about what it lacks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from collector.books import Books, open_books
from collector.config import Config, Settings
from collector.evidence.container import open_container
from collector.evidence.layout import HOURS, LEAVES, MANIFEST, Manifest, decode_manifest
from collector.evidence.verify.document import as_json
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_text
from collector.exporting import Wanted, export, scope_of
from collector.hours.cells import HOUR_MS
from collector.ingest.worker import commit_group
from collector.inventory.scope import Scope
from collector.recompute import Recomputer
from collector.store.agents import add_agent
from protocols.errors import EmitraceError
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.evidence.forging import members_of, signed_anew

SECOND = Path(__file__).parents[2] / "docs" / "second_verifier.py"
LATER_MS = START_MS + 3 * HOUR_MS


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    """Books that the tests of this module only read."""
    with open_books(Config(tmp_path_factory.mktemp("books") / "collector.toml", Settings())) as opened:
        yield opened


@pytest.fixture(scope="module")
def edges(books: Books) -> tuple[Edge, Edge]:
    """Two agents of a site one after the other, three hours each."""
    found = (
        stream(0, window_s=60),
        stream(0, window_s=60, seed=b"\x11" * 32, stream_id=b"\x08" * 16, at_ms=LATER_MS),
    )
    for edge in found:
        for _ in range(9):
            edge.add_batch(span_ms=20 * 60_000)
        with books.database.writing() as connection:
            add_agent(connection, edge.public, "boiler house", START_MS)
        commit_group(books, [edge.message(sequence) for sequence in range(10)], START_MS + 1)
    while Recomputer(books).step():
        pass
    return found


def exported(books: Books, folder: Path, from_ms: int, to_ms: int, scope: Scope, *, whole_log: bool = False) -> Path:
    """The bundle's file."""
    path = folder / "part.zip"
    export(books, Wanted(from_ms, to_ms, scope, whole_log=whole_log), path)
    return path


def verified(books: Books, path: Path, *edges: Edge) -> Report:
    """What our verifier finds with the anchors of these agents and the collector."""
    with path.open("rb") as file:
        return verify_bundle(file, {*(edge.agent_id for edge in edges), books.collector_id})


@pytest.mark.parametrize("whole_log", [False, True])
def test_one_figure_is_proven_from_its_agents_items_alone(
    books: Books, edges: tuple[Edge, Edge], tmp_path: Path, whole_log: bool
) -> None:
    """One source, gas and hour: one row, its agent's batches of that hour, and the log's own root."""
    hour = START_MS + HOUR_MS
    path = exported(books, tmp_path, hour, hour + HOUR_MS, scope_of((), ("stack",), ("CO2",)), whole_log=whole_log)
    report = verified(books, path, *edges)
    with path.open("rb") as file:
        container = open_container(file)
        rows = [json.loads(line) for line in container.content(HOURS, 10**6).splitlines()]

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert [(edges[0].agent_id, "stack", hour)] == [(row["agent"], row["source"], row["from_ms"]) for row in rows]
    assert (scope_of([edge.agent_id for edge in edges], ("stack",), ("CO2",))) == report.scope
    assert whole_log is (report.left_out.get("leaves") is None)


def test_an_agents_bundle_leaves_the_others_out_and_says_so(
    books: Books, edges: tuple[Edge, Edge], tmp_path: Path
) -> None:
    """With the whole log every item left out is counted; without it only hashes stand for them, far fewer bytes."""
    whole, part = (
        exported(books, tmp_path, START_MS, LATER_MS, scope_of((edges[0].agent_id,)), whole_log=log).read_bytes()
        for log in (True, False)
    )
    anchors = {edges[0].agent_id, books.collector_id}
    counted, hashed = (verify_bundle(io.BytesIO(data), anchors) for data in (whole, part))
    said = "\n".join(as_text(hashed, "part.zip"))
    told = json.loads(as_json(hashed, "part.zip"))

    assert [Verdict.CONSISTENT] * 2 == [counted.verdict, hashed.verdict]
    assert {"streams": 1, "items": 10, "plans": 1} == counted.left_out
    assert {"leaves": 10, "plans": 1} == hashed.left_out
    assert len(members_of(part)[LEAVES]) < len(members_of(whole)[LEAVES])
    assert "Partial bundle: agents" in said
    assert "10 leaves of the log" in said
    assert "the site's total" in said
    assert [edges[0].agent_id] == told["scope"]["agents"]
    assert any("further stream" in one["en"] for one in told["does_not_show"])


def test_a_partial_bundle_agrees_with_the_whole_one(books: Books, edges: tuple[Edge, Edge], tmp_path: Path) -> None:
    """The rows of a source in its own bundle are, to the byte, those in the bundle of everything."""
    whole = exported(books, tmp_path, START_MS, LATER_MS + 3 * HOUR_MS, Scope()).read_bytes()
    part = exported(books, tmp_path, START_MS, LATER_MS + 3 * HOUR_MS, scope_of((), ("grid",))).read_bytes()
    rows, own = (open_container(io.BytesIO(data)).content(HOURS, 10**7).splitlines() for data in (whole, part))
    report = verify_bundle(io.BytesIO(whole), {*(edge.agent_id for edge in edges), books.collector_id})

    assert (Verdict.CONSISTENT, []) == (report.verdict, report.findings)
    assert [line for line in rows if json.loads(line)["source"] == "grid"] == own
    assert 6 == len(own)


def _scoped(manifest: Manifest, scope: Scope) -> Manifest:
    return replace(manifest, scope=scope)


def test_a_bundle_that_says_it_is_whole_hides_nothing(
    books: Books, edges: tuple[Edge, Edge], tmp_path: Path
) -> None:
    """The collector cannot leave leaves out and call the bundle whole; nor name one agent and hold another's items."""
    hour = Wanted(START_MS, LATER_MS, scope_of((edges[0].agent_id,)))
    part = tmp_path / "part.zip"
    export(books, hour, part)
    data = part.read_bytes()
    manifest = decode_manifest(members_of(data)[MANIFEST])
    other = scope_of((edges[1].agent_id,))
    findings = {
        name: verify_bundle(io.BytesIO(signed_anew(data, books.key, partial(_scoped, scope=scope))), set()).findings
        for name, scope in (("whole", Scope()), ("other", other))
    }

    assert manifest.scope == scope_of((edges[0].agent_id,))
    assert Step.LOG in {finding.step for finding in findings["whole"]}
    assert {Step.MANIFEST, Step.HOURS} <= {finding.step for finding in findings["other"]}


def test_what_the_books_do_not_know_is_named(books: Books, edges: tuple[Edge, Edge], tmp_path: Path) -> None:
    """A wrong source, gas or agent is refused with what there is; so is a combination nobody has."""
    for scope, said in (
        (scope_of((), ("stak",)), "boiler, grid, stack"),
        (scope_of((), (), ("N2O",)), "CO2"),
        (scope_of(("0" * 64,)), edges[0].agent_id),
    ):
        with pytest.raises(EmitraceError, match=said):
            export(books, Wanted(START_MS, LATER_MS, scope), tmp_path / "part.zip")
    assert [] == list(tmp_path.glob("*part.zip*"))


@pytest.mark.parametrize("whole_log", [False, True])
def test_the_second_verifier_agrees_on_partial_bundles(
    books: Books, edges: tuple[Edge, Edge], tmp_path: Path, whole_log: bool
) -> None:
    """Consistent as it is; refused where it is called whole, or of another agent."""
    path = exported(books, tmp_path, START_MS, LATER_MS, scope_of((edges[0].agent_id,)), whole_log=whole_log)
    data = path.read_bytes()
    other = tmp_path / "other.zip"
    other.write_bytes(signed_anew(data, books.key, partial(_scoped, scope=scope_of((edges[1].agent_id,)))))
    whole = tmp_path / "whole.zip"
    whole.write_bytes(signed_anew(data, books.key, partial(_scoped, scope=Scope())))
    anchors = [edges[0].agent_id, books.collector_id]
    codes = [
        subprocess.run([sys.executable, SECOND, str(one), *anchors], capture_output=True, check=False).returncode
        for one in (path, other, whole)
    ]

    assert [0, 1, 1] == codes
