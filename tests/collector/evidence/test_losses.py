"""A bundle of a collector that lost something: what its log admits is a note, what it only says is a contradiction."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from types import ModuleType

import pytest

from collector.evidence.layout import Leaf, encode_leaf, item_leaf_id
from collector.evidence.names import LogName
from collector.evidence.verify.report import Report, Verdict
from collector.evidence.verify.steps import verify_bundle
from protocols.transparency.checkpoint import Checkpoint
from protocols.transparency.loss import Loss, encode_loss
from protocols.transparency.succession import Predecessor, Succession, encode_succession
from protocols.transparency.tree import leaf_hash, root_of
from protocols.wire.keys import public_bytes
from tests.collector.evidence.site import LOG, LOG_KEY, Site, checkpoint


def lost(site: Site, first: int, last: int) -> Leaf:
    """The leaf by which a collector says that a range is lost."""
    loss = Loss(site.agent, site.stream, first, last, "li", "evicted", 5)
    return Leaf("lost", loss.leaf_id, hashlib.sha256(encode_loss(loss)).digest())


def without(site: Site, *sequences: int, forget: bool = True) -> Site:
    """The site without some items, and without their leaves where the log never had them."""
    site.items = [pair for pair in site.items if pair[0].sequence not in sequences]
    gone = {item_leaf_id(site.agent, site.stream, one) for one in sequences}
    site.leaves = [leaf for leaf in site.leaves if not forget or leaf.object_id not in gone]
    return site


def verified(site: Site, earlier: Checkpoint | None = None, **changes: object) -> tuple[Report, bytes]:
    data = site.bundle(replace(site.contents(), **changes))  # type: ignore[arg-type]
    return verify_bundle(io.BytesIO(data), site.anchors(), earlier), data


def test_a_range_that_the_log_admits_lost_is_a_note(second: ModuleType) -> None:
    """The chain goes on from the word of the item behind it; both verifiers agree."""
    site = without(Site().make(dropped=None), 3)
    site.leaves.append(lost(site, 3, 3))
    report, data = verified(site)

    assert [] == report.findings
    assert Verdict.CONSISTENT == report.verdict
    assert any("items 3 to 3 are lost and held by nobody" in note for note in report.notes)
    assert 1 == report.counts["lost items"]
    assert [] == second.verify(io.BytesIO(data))[0]


def test_several_ranges_are_stepped_over_together(second: ModuleType) -> None:
    """Two losses in a row, the stream's first items among them, and a tombstone beside them."""
    site = without(Site().make(minutes=6, dropped=3), 1, 2)
    site.leaves += [lost(site, 2, 2), lost(site, 1, 1)]
    report, data = verified(site)

    assert [] == report.findings
    assert [] == second.verify(io.BytesIO(data))[0]


@pytest.mark.parametrize(("lost_ranges", "missing"), [([(4, 4)], (3,)), ([(3, 3)], (3, 4)), ([], (3,))])
def test_what_is_missing_and_not_admitted_is_a_contradiction(
    second: ModuleType, lost_ranges: list[tuple[int, int]], missing: tuple[int, ...]
) -> None:
    """A range that does not cover the gap covers nothing."""
    site = without(Site().make(dropped=None), *missing)
    site.leaves += [lost(site, *one) for one in lost_ranges]
    report, data = verified(site)

    assert report.contradictions
    assert [] != second.verify(io.BytesIO(data))[0]


def test_what_is_declared_lost_must_not_stand_in_the_log(second: ModuleType) -> None:
    """An item that the log has, declared lost later, was here: the declaration is a lie, whoever verifies."""
    site = without(Site().make(dropped=None), 3, forget=False)
    site.leaves.append(lost(site, 3, 3))
    report, data = verified(site)

    assert any("which stand in the log before it" in finding.seen for finding in report.findings)
    assert [] != second.verify(io.BytesIO(data))[0]


def renamed(site: Site, size: int, kept: int, root: bytes = bytes(32)) -> tuple[Leaf, LogName, bytes]:
    """A new origin of the site's log, which admits a head of the old one."""
    record = encode_succession(Succession("emitrace/new", (Predecessor(Checkpoint(LOG.name, size, root), kept),)))
    leaf = Leaf("origin", "emitrace/new", hashlib.sha256(record).digest())
    return leaf, LogName("emitrace/new", public_bytes(LOG_KEY), len(site.leaves), record), record


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Checkpoint(LOG.name, 30, bytes(32)), "25 of these leaves are lost"),
        (Checkpoint(LOG.name, 20, b"\x01" * 32), "15 of these leaves are lost"),
    ],
)
def test_a_new_origin_admits_what_it_lost(held: Checkpoint, said: str) -> None:
    """A checkpoint of the old origin up to what it admits is no contradiction, and how much is lost is said."""
    site = Site().make()
    leaf, name, _ = renamed(site, 30, 5)
    site.leaves.append(leaf)
    signed = [checkpoint(site.leaves, origin="emitrace/new")]
    report, _ = verified(site, held, log=(LOG, name), checkpoints=signed)

    assert [] == report.findings
    assert any(said in note for note in report.notes)
    assert any("goes on from emitrace/site, of which 25 of 30 signed leaves are lost" in note for note in report.notes)


def test_a_checkpoint_up_to_what_was_kept_must_hold_as_ever() -> None:
    """A new origin excuses nothing of the leaves that it says it begins with."""
    site = Site().make()
    leaf, name, _ = renamed(site, 30, 5)
    site.leaves.append(leaf)
    hashes = [leaf_hash(encode_leaf(one)) for one in site.leaves]
    signed = [checkpoint(site.leaves, origin="emitrace/new")]
    good, _ = verified(site, Checkpoint(LOG.name, 5, root_of(hashes[:5])), log=(LOG, name), checkpoints=signed)
    bad, _ = verified(site, Checkpoint(LOG.name, 5, bytes(32)), log=(LOG, name), checkpoints=signed)

    assert [] == good.findings
    assert any("rewritten" in finding.seen for finding in bad.findings)


@pytest.mark.parametrize(
    ("size", "change", "seen"),
    [
        (29, {}, "admits 29 leaves of it only"),
        (30, {}, "admits 30 leaves of it only"),
        (40, {"record": b"nonsense"}, "CBOR"),
        (40, {"position": 1}, "its record is not leaf 1"),
    ],
)
def test_a_new_origin_that_admits_too_little_or_is_not_in_the_log(
    size: int, change: dict[str, bytes | int], seen: str
) -> None:
    """Less than the verifier holds, another root at that size, or a record that no leaf stands for."""
    site = Site().make()
    leaf, name, _ = renamed(site, size, 5)
    site.leaves.append(leaf)
    name = replace(name, **change)  # type: ignore[arg-type]
    signed = [checkpoint(site.leaves, origin="emitrace/new")]
    held = Checkpoint(LOG.name, 30, b"\x01" * 32)
    report, _ = verified(site, held, log=(LOG, name), checkpoints=signed)

    assert any(seen in f"{finding.where} {finding.seen}" for finding in report.findings)
