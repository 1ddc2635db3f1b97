"""The verifier against honest bundles and against every lie we could think of."""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evidence.bundle import BundleContents
from collector.evidence.container import open_container
from collector.evidence.layout import (
    MANIFEST,
    SIGNATURE,
    Leaf,
    canonical_json,
)
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from protocols.records import Batch
from protocols.wire.codec import seal_item
from protocols.wire.keys import public_bytes
from tests.collector.evidence import forging
from tests.collector.evidence.site import HOUR, Site, checkpoint, with_items

SITE = Site().make()
BUNDLE = SITE.bundle()
HEADER = 30 + 255  # a wrong checksum in a header shows at the content behind it
NEW_AGENT = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
NEW_COLLECTOR = Ed25519PrivateKey.from_private_bytes(b"m" * 32)


def verified(data: bytes, trusted: list[str] | None = None) -> Report:
    """The report on a bundle for somebody who holds the right anchors."""
    return verify_bundle(io.BytesIO(data), SITE.anchors() if trusted is None else trusted)


def refused(data: bytes, step: Step) -> Report:
    """The report on a bundle that must contradict itself in a step."""
    report = verified(data)

    assert report.verdict is Verdict.CONTRADICTS
    assert step in {finding.step for finding in report.findings}
    assert all(finding.where and finding.seen for finding in report.findings)
    return report


def test_an_honest_bundle_is_consistent_with_the_anchors_held() -> None:
    """Everything recomputes; what was dropped is said."""
    report = verified(BUNDLE)

    assert ([], Verdict.CONSISTENT) == (report.findings, report.verdict)
    assert (6, 4, 1) == (report.counts["items"], report.counts["batches"], report.counts["dropped items"])
    assert report.counts["hour rows"] == 3
    assert "disk full" in report.notes[0]


@pytest.mark.parametrize("held", [0, 1])
def test_without_every_anchor_the_origin_is_not_established(held: int) -> None:
    """Keys in the bundle are never anchors, and each key that signed must be held."""
    for anchors in ([], [SITE.anchors()[held]], ["0" * 64]):
        assert verified(BUNDLE, anchors).verdict is Verdict.UNANCHORED


def test_signed_anew_with_other_keys_it_is_never_more_than_unanchored() -> None:
    """The forger's bundle is consistent in itself; holding the old fingerprints it never passes."""
    forged = Site(agent_key=NEW_AGENT, collector_key=NEW_COLLECTOR).make().bundle()
    half = Site(collector_key=NEW_COLLECTOR).make().bundle()

    assert verified(forged).verdict is Verdict.UNANCHORED
    assert verified(half).verdict is Verdict.UNANCHORED
    assert verified(forged, Site(NEW_AGENT, NEW_COLLECTOR).anchors()).verdict is Verdict.CONSISTENT


def test_bundles_from_before_logs_had_names_are_verified() -> None:
    """They pin the fingerprint of the collector's key; so may an inventory sealed then, in a bundle of today."""
    before = _pinned(origin=SITE.anchors()[1])
    bare = replace(SITE.contents(), log=(), checkpoints=())
    old = verified(SITE.bundle(before(bare)))
    sealed = verified(SITE.bundle(before(SITE.contents())))
    mixed = verified(SITE.bundle(bare))

    assert [Verdict.CONSISTENT] * 2 == [old.verdict, sealed.verdict]
    assert old.stated is not None
    assert SITE.anchors()[1] == old.stated.origin
    assert {Step.INVENTORY} == {finding.step for finding in mixed.findings}


@pytest.mark.parametrize("part", range(10))
def test_any_flipped_bit_fails_and_says_where(part: int) -> None:
    """Hundreds of single bits over the whole bundle; the place named is where it shows first."""
    draw = random.Random(part)
    places = {*range(part, len(BUNDLE), 173), *(draw.randrange(len(BUNDLE)) for _ in range(40))}
    for place in places:
        flipped = bytearray(BUNDLE)
        flipped[place] ^= 1 << draw.randrange(8)
        (finding,) = verified(bytes(flipped)).findings
        assert finding.step is Step.CONTAINER
        offset = int(finding.where.split(",")[0].removeprefix("byte "))
        assert offset <= place + HEADER or "director" in finding.where
        assert finding.seen


def test_a_bundle_cut_short_fails() -> None:
    """At any length."""
    for length in range(0, len(BUNDLE), 997):
        refused(BUNDLE[:length], Step.CONTAINER)
    refused(BUNDLE + b"\x00", Step.CONTAINER)


def reforged(changes: dict[str, bytes | None], *, sign_again: bool = True) -> bytes:
    """The bundle with members changed, added or (None) left out, its manifest made and signed again."""
    return forging.reforged(BUNDLE, SITE.collector_key, changes, sign_again=sign_again)


NAMES = sorted(open_container(io.BytesIO(BUNDLE)).members)


@pytest.mark.parametrize("name", [name for name in NAMES if name != MANIFEST])
def test_a_changed_member_in_a_canonical_container_is_named(name: str) -> None:
    """The container is well made again, but the manifest is the old one."""
    content = open_container(io.BytesIO(BUNDLE)).content(name, 10**7)
    report = verified(reforged({name: content[:-1] + bytes([content[-1] ^ 1])}, sign_again=False))

    assert report.verdict is Verdict.CONTRADICTS
    assert name in report.findings[0].where


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_member_is_named(name: str) -> None:
    """Left out of the container only, and left out of a manifest made anew."""
    for sign_again in (False, name not in (MANIFEST, SIGNATURE)):
        assert verified(reforged({name: None}, sign_again=sign_again)).verdict is Verdict.CONTRADICTS


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"readme.txt": b"hello"}, Step.MANIFEST),
        ({"gwp.json": b"{}"}, Step.DOCUMENT),
        ({"gwp.json": canonical_json({"name": "AR6"})}, Step.DOCUMENT),
        ({"inventory.json": b"{}"}, Step.INVENTORY),
        ({"inventory.json": b"[" * 100_000}, Step.INVENTORY),
        ({"hours.jsonl": b"\n"}, Step.HOURS),
        ({"hours.jsonl": b"x" * 5_000_000}, Step.HOURS),
        ({"profile.toml": b"id = 1"}, Step.DOCUMENT),
        ({"leaves.cborseq": b"\x9f"}, Step.LOG),
        ({f"keys/agent-{'0' * 64}.pub": bytes(32)}, Step.MANIFEST),
        ({f"plans/{'0' * 64}.cbor": b"\xa0"}, Step.DOCUMENT),
        ({f"certificates/{'0' * 64}.cbor": b"\xa0"}, Step.DOCUMENT),
        ({f"items/{'0' * 64}/2026-01-01.cborseq": b"\x00"}, Step.SIGNATURE),
        ({f"items/{SITE.agent}/2026-01-01.cborseq": b"\x00"}, Step.ITEM),
        ({f"items/{SITE.agent}/2026-01-01.cborseq": b"\xff"}, Step.ITEM),
    ],
)
def test_a_member_that_makes_no_sense_is_a_finding(changes: dict[str, bytes | None], step: Step) -> None:
    """Signed by the collector itself, and still it is refused in its step, never a crash."""
    refused(reforged(changes), step)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


_FLOAT = re.compile(rb"-?\d+\.\d+(?:e[-+]?\d+)?")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_rubbish_in_any_member_is_a_finding(data: st.DataObject) -> None:
    """Random bytes, random JSON, or a good member with some bytes changed, under the collector's signature."""
    name = data.draw(st.sampled_from([name for name in NAMES if name not in (MANIFEST, SIGNATURE)]))
    content = bytearray(open_container(io.BytesIO(BUNDLE)).content(name, 10**7))
    how = data.draw(st.sampled_from(["bytes", "json", "changed"]))
    if how == "bytes":
        content = bytearray(data.draw(st.binary(max_size=200)))
    elif how == "json":
        content = bytearray(json.dumps(data.draw(_json)).encode() + b"\n")
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= data.draw(st.integers(1, 255))
    if not _says_the_same(bytes(content), open_container(io.BytesIO(BUNDLE)).content(name, 10**7)):
        assert verified(reforged({name: bytes(content)})).verdict is Verdict.CONTRADICTS


def _says_the_same(own: bytes, other: bytes) -> bool:
    """Equal to the byte but for an uncertainty, still in its one form, within the stated 1e-9: no contradiction."""
    if _FLOAT.sub(b"u", own) != _FLOAT.sub(b"u", other):
        return False
    pairs = zip(_FLOAT.findall(own), _FLOAT.findall(other), strict=True)
    return all(
        repr(float(a)).encode() == a and math.isclose(float(a), float(b), rel_tol=1e-9) for a, b in pairs
    )


def _items(contents: BundleContents) -> list[bytes]:
    return list(next(iter(contents.days)).items)


def _without(number: int) -> Callable[[BundleContents], BundleContents]:
    return lambda c: with_items(c, [data for i, data in enumerate(_items(c)) if i != number])


def _exchanged(contents: BundleContents) -> BundleContents:
    items = _items(contents)
    items[2], items[3] = items[3], items[2]
    return with_items(contents, items)


def _scaled(contents: BundleContents) -> BundleContents:
    first, *rest = contents.hours
    return replace(contents, hours=[replace(first, mass_mg=first.mass_mg + 1), *rest])


def _better(contents: BundleContents) -> BundleContents:
    first, *rest = contents.inventory.rows
    row = replace(first, co2e_mg=first.co2e_mg - 1)
    return replace(contents, inventory=replace(contents.inventory, rows=(row, *rest)))


def _pinned(**changes: object) -> Callable[[BundleContents], BundleContents]:
    return lambda c: replace(
        c, inventory=replace(c.inventory, pinned=replace(c.inventory.pinned, **changes))  # type: ignore[arg-type]
    )  # fmt: skip


def _surer(contents: BundleContents) -> BundleContents:
    first, *rest = contents.hours
    assert first.u_end_first > 0
    return replace(contents, hours=[replace(first, u_end_first=first.u_end_first * (1 - 1e-8)), *rest])


def _uncertified(contents: BundleContents) -> BundleContents:
    return _pinned(certificates=())(replace(contents, certificates=[]))


def _decimal(contents: BundleContents) -> BundleContents:
    first, *rest = contents.hours
    return replace(contents, hours=[replace(first, mass_mg=first.mass_mg + 1e-6), *rest])  # type: ignore[arg-type]


def _laxer(contents: BundleContents) -> BundleContents:
    profile = contents.profile.replace(b"0.75", b"0.25")
    return _pinned(profile_digest=hashlib.sha256(profile).hexdigest())(replace(contents, profile=profile))


def _foreign(contents: BundleContents) -> BundleContents:
    foreign = Site(agent_key=NEW_AGENT).make(minutes=1, dropped=None)
    return with_items(contents, [*_items(contents), foreign.items[1][1]])


LIES: dict[str, tuple[Callable[[BundleContents], BundleContents], Step]] = {
    "a batch left out": (_without(2), Step.CHAIN),
    "the first items left out": (lambda c: _without(0)(_without(1)(c)), Step.CHAIN),
    "the last batch left out": (_without(4), Step.CHAIN),
    "the tombstone left out": (_without(5), Step.CHAIN),
    "two batches exchanged": (_exchanged, Step.CHAIN),
    "an item twice": (lambda c: with_items(c, [*_items(c)[:3], *_items(c)[2:]]), Step.CHAIN),
    "an item cut": (lambda c: with_items(c, [*_items(c)[:-1], _items(c)[-1][:-1]]), Step.ITEM),
    "another agent's item": (_foreign, Step.ITEM),
    "a flipped bit in a payload": (
        lambda c: with_items(c, [*_items(c)[:-1], _items(c)[-1][:150] + b"\x00" + _items(c)[-1][151:]]), Step.ITEM,
    ),
    "one milligram more in an hour": (_scaled, Step.HOURS),
    "an uncertainty a little smaller": (_surer, Step.HOURS),
    "an hour row left out": (lambda c: replace(c, hours=list(c.hours)[1:]), Step.HOURS),
    "hour rows exchanged": (lambda c: replace(c, hours=list(c.hours)[::-1]), Step.HOURS),
    "one milligram of CO2e less": (_better, Step.INVENTORY),
    "an unknown GWP profile": (_pinned(profile_digest="0" * 64), Step.DOCUMENT),
    "another origin": (_pinned(origin="0" * 64), Step.INVENTORY),
    "no plans pinned": (_pinned(plans=()), Step.INVENTORY),
    "a tree of the future": (_pinned(tree_size=99), Step.INVENTORY),
    "a tree of the past": (_pinned(tree_size=3), Step.HOURS),
    "a leaf left out": (lambda c: replace(c, leaves=list(c.leaves)[:-1]), Step.LOG),
    "a leaf changed": (lambda c: replace(c, leaves=[*list(c.leaves)[:-1], Leaf("item", "x/y/1", bytes(32))]), Step.LOG),
    "items logged after their agent was revoked": (
        lambda c: replace(c, leaves=[Leaf("agent-revoked", SITE.agent, bytes(32)), *c.leaves]), Step.LOG,
    ),
    "a certificate left out": (lambda c: replace(c, certificates=[]), Step.INVENTORY),
    "a certificate that was never logged": (
        lambda c: replace(c, certificates=[*c.certificates, b"\xa1\x01\x01"]), Step.LOG,
    ),
    "a certificate left out and not pinned either": (_uncertified, Step.LOG),
    "a plan named twice": (lambda c: replace(c, plans=[*c.plans, *c.plans]), Step.LOG),
    "an integer as a decimal": (_decimal, Step.HOURS),
    "a packaged profile with another rule": (_laxer, Step.DOCUMENT),
    "the plan left out": (lambda c: replace(c, plans=[]), Step.DOCUMENT),
    "a plan that does not open": (lambda c: replace(c, plans=[*c.plans, ("ab" * 32, b"\xa0")]), Step.DOCUMENT),
    "the agent's key left out": (lambda c: replace(c, agents=[]), Step.SIGNATURE),
    "another agent's key": (lambda c: replace(c, agents=[public_bytes(NEW_AGENT)]), Step.SIGNATURE),
    "another period": (lambda c: replace(c, from_ms=c.from_ms - 3_600_000), Step.INVENTORY),
    "a period that cuts an hour": (lambda c: replace(c, from_ms=c.from_ms + 1), Step.HOURS),
    "another profile": (lambda c: replace(c, profile=c.profile.replace(b"0.75", b"0.25")), Step.DOCUMENT),
    "no profile at all": (lambda c: replace(c, profile=b"\xff"), Step.DOCUMENT),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_collector_contradicts_itself(lie: str) -> None:
    """Each lie is told in a bundle that the collector signs with its own good key."""
    change, step = LIES[lie]
    refused(SITE.bundle(change(SITE.contents())), step)


def _heavier(batch: Batch) -> Batch:
    first, *rest = batch.windows
    return replace(batch, windows=(replace(first, mass_mg=first.mass_mg + 1), *rest))


def _forgetful(batch: Batch) -> Batch:
    point, *rest = batch.opening.points
    if point.counter is None:
        return batch
    counter = replace(point.counter, last_index=point.counter.last_index - 1000)
    return replace(batch, opening=replace(batch.opening, points=(replace(point, counter=counter), *rest)))


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (_heavier, Step.RECOMPUTE),
        (_forgetful, Step.STATE),
        (lambda batch: replace(batch, slots=batch.slots[1:]), Step.RECOMPUTE),
        (lambda batch: replace(batch, plan=bytes(32)), Step.DOCUMENT),
        (lambda batch: replace(batch, samples=batch.samples[1:]), Step.RECOMPUTE),
        (lambda batch: replace(batch, windows=()), Step.RECOMPUTE),
        (lambda batch: replace(batch, to_ms=batch.to_ms - 1000), Step.RECOMPUTE),
    ],
)  # fmt: skip
def test_a_lying_agent_contradicts_its_own_words(change: Callable[[Batch], Batch], step: Step) -> None:
    """Well signed, well chained, well logged, and yet its raw words give something else."""
    site = Site().make(dropped=None, change=change)
    report = verified(site.bundle())

    assert report.verdict is Verdict.CONTRADICTS
    found = [finding for finding in report.findings if finding.step is step]
    assert found
    assert "item" in found[0].where


def test_an_item_signed_again_breaks_the_chain() -> None:
    """The agent's own key over another batch in the same place."""
    site = Site().make(dropped=None)
    batch = site.items[2][0]
    assert isinstance(batch, Batch)
    contents = site.contents()
    items = _items(contents)
    items[2] = seal_item(replace(batch, software="another"), site.agent_key)
    report = refused(site.bundle(with_items(contents, items)), Step.CHAIN)

    assert {Step.LOG, Step.CHAIN} == {finding.step for finding in report.findings}


def _late(site: Site, *, with_tombstone: bool) -> bytes:
    """A bundle that ends before the stream does, with the tombstone from beyond its end or without it."""
    contents = site.contents()
    items = _items(contents)
    cut = [*items[:-2], items[-1]] if with_tombstone else items[:-2]
    kept = [item for item, _ in site.items[:-2]]
    short = Site(plan=site.plan, items=[pair for pair in site.items if pair[0] in kept], leaves=site.leaves).contents()
    return site.bundle(with_items(short, cut))


def test_a_tombstone_from_beyond_the_end_is_carried_along() -> None:
    """It closes the gap inside the period; without it the gap is one."""
    site = Site().make(minutes=14, dropped=2)
    carried = verified(_late(site, with_tombstone=True))

    assert ([], Verdict.CONSISTENT) == (carried.findings, carried.verdict)
    assert any("stands after the period" in note for note in carried.notes)
    refused(_late(site, with_tombstone=False), Step.CHAIN)


def test_counts_of_an_hour_without_any_agent() -> None:
    """A bundle of a period without items is consistent when it says so; nobody but the collector signed it."""
    site = Site()
    contents = site.make().contents()
    empty = replace(
        contents, days=[], hours=[], plans=[], agents=[],
        inventory=replace(
            contents.inventory, rows=(), cross_checks=(), by_gas=(), by_source=(), by_category=(), by_cell=(),
            total=replace(contents.inventory.total, co2e_mg=0, u_co2e_mg=0.0), covered_ms=0, expected_ms=0,
            status_co2e_mg=(), pinned=replace(contents.inventory.pinned, plans=()),
        ),
    )  # fmt: skip
    logged = [leaf for leaf in contents.leaves if isinstance(leaf, Leaf) and leaf.kind not in ("item", "plan")]
    pinned = replace(empty.inventory.pinned, tree_size=len(logged))
    silent = replace(
        empty, leaves=logged, inventory=replace(empty.inventory, pinned=pinned), checkpoints=[checkpoint(logged)]
    )
    report = verified(site.bundle(silent))

    assert HOUR == contents.from_ms
    assert ([], [site.anchors()[1]]) == (report.findings, list(report.signers))
    refused(site.bundle(empty), Step.CHAIN)
