"""What somebody could do to the evidence, who notices, and how it is said; and bundles made to break the verifier.

docs/verifier.md#what-tampering-looks-like is this module in words. Rolling the database back is shown beside the log.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from collector.books import Books
from collector.evidence.bundle import BundleContents
from collector.evidence.layout import HOURS, INVENTORY, LEAVES, MANIFEST, PROFILE
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.exporting import export_bundle
from collector.hours.cells import HOUR_MS
from collector.recompute import Recomputer
from collector.store.schema import hours
from protocols.messages import Ack
from protocols.records import Batch, ItemKind
from protocols.wire.codec import CONTENT_TYPES, seal_item
from protocols.wire.cose import sign
from protocols.wire.keys import public_bytes
from tests.collector.edge import START_MS, Edge, stream
from tests.collector.evidence.forging import members_of, reforged, zipped
from tests.collector.evidence.site import Site, together, with_items

NEW_AGENT = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
NEW_COLLECTOR = Ed25519PrivateKey.from_private_bytes(b"m" * 32)
SITE = Site().make(dropped=None)
BUNDLE = SITE.bundle()
(ITEMS_NAME,) = (name for name in members_of(BUNDLE) if name.startswith("items/"))
MEMORY = 64 << 20
"""No threat makes the verifier hold more than this. [bytes]"""


def verified(data: bytes) -> Report:
    """The report for somebody who holds the right anchors."""
    return verify_bundle(io.BytesIO(data), SITE.anchors())


def items(contents: BundleContents) -> list[bytes]:
    """The day's items."""
    return list(next(iter(contents.days)).items)


# --- Tampering: the bundle is well made and signed by the collector's own key; only the deed is wrong ---------------


def a_reading_changed() -> bytes:
    """By the collector's operator, or whoever edits its database: a bit of the signed words."""
    changed = items(SITE.contents())
    at = len(changed[2]) // 2
    changed[2] = changed[2][:at] + bytes([changed[2][at] ^ 1]) + changed[2][at + 1 :]
    return SITE.bundle(with_items(SITE.contents(), changed))


def a_reading_changed_with_the_agents_key() -> bytes:
    """By whoever holds the agent's key, after the batch was logged: well signed, but another batch."""
    batch = SITE.items[2][0]
    assert isinstance(batch, Batch)
    words = batch.samples[0].words.copy()
    words[-1, 0] += 1
    forged = replace(batch, samples=(replace(batch.samples[0], words=words), *batch.samples[1:]))
    changed = items(SITE.contents())
    changed[2] = seal_item(forged, SITE.agent_key)
    return SITE.bundle(with_items(SITE.contents(), changed))


def a_batch_deleted_in_the_middle() -> bytes:
    """By the operator, its figures too: the log still has it, and the chain a hole."""
    return SITE.bundle(_without(SITE, 2))


def a_batch_deleted_at_the_end() -> bytes:
    """By the operator, its figures too: the log has it and says that it belongs to the period."""
    return SITE.bundle(_without(SITE, len(SITE.items) - 1))


def a_batch_deleted_in_the_middle_and_from_the_log() -> bytes:
    """By an operator who makes the whole log anew: the next batch names what is not there."""
    gone = SITE.items[2]
    shorter = replace(SITE, items=[one for one in SITE.items if one is not gone], leaves=list(SITE.leaves))
    shorter.leaves = [leaf for leaf in SITE.leaves if not leaf.object_id.endswith("/2")]
    return shorter.bundle(together(shorter))


def batches_reordered() -> bytes:
    """By the operator: every signature holds, the chain does not."""
    changed = items(SITE.contents())
    changed[2], changed[3] = changed[3], changed[2]
    return SITE.bundle(with_items(SITE.contents(), changed))


def a_key_replaced() -> bytes:
    """By the operator: another public key under the agent's name."""
    name = f"keys/agent-{SITE.agent}.pub"
    return reforged(BUNDLE, SITE.collector_key, {name: public_bytes(NEW_AGENT)})


def an_agent_impersonated() -> bytes:
    """By the operator: items signed with a key of his own, in the agent's place."""
    forger = Site(agent_key=NEW_AGENT).make(dropped=None)
    return SITE.bundle(with_items(SITE.contents(), items(forger.contents())))


def _without(site: Site, number: int) -> BundleContents:
    left = replace(site, items=[one for place, one in enumerate(site.items) if place != number])
    return replace(together(left), leaves=site.leaves)


TAMPERING: dict[Callable[[], bytes], set[Step]] = {
    a_reading_changed: {Step.ITEM},
    a_reading_changed_with_the_agents_key: {Step.LOG, Step.CHAIN},
    a_batch_deleted_in_the_middle: {Step.CHAIN},
    a_batch_deleted_at_the_end: {Step.CHAIN},
    a_batch_deleted_in_the_middle_and_from_the_log: {Step.CHAIN},
    batches_reordered: {Step.CHAIN},
    a_key_replaced: {Step.MANIFEST},
    an_agent_impersonated: {Step.ITEM},
}


@pytest.mark.parametrize("deed", TAMPERING, ids=lambda deed: deed.__name__)
def test_the_verifier_notices(deed: Callable[[], bytes]) -> None:
    """It contradicts, in the step that says so, with a place and what was seen."""
    report = verified(deed())
    steps = {finding.step for finding in report.findings}

    assert Verdict.CONTRADICTS is report.verdict
    assert TAMPERING[deed] <= steps
    assert all(finding.where and finding.seen for finding in report.findings)


def test_signed_anew_with_new_keys_it_is_nobodys_word() -> None:
    """Everything made and signed again: consistent in itself, and of an origin the verifier does not know."""
    forged = Site(agent_key=NEW_AGENT, collector_key=NEW_COLLECTOR).make(dropped=None).bundle()
    report = verified(forged)

    assert (Verdict.UNANCHORED, []) == (report.verdict, report.findings)
    assert set(SITE.anchors()) == set(report.unused())


def test_a_last_batch_taken_from_the_log_too_shows_only_beside_an_earlier_checkpoint() -> None:
    """The limit of any single bundle: it is consistent. Its log is shorter than the one seen before, and no prefix."""
    shorter = replace(SITE, items=SITE.items[:-1], leaves=SITE.leaves[:-1])
    before, after = verified(BUNDLE), verified(shorter.bundle(together(shorter)))
    assert before.stated is not None
    assert after.stated is not None

    assert Verdict.CONSISTENT is after.verdict
    assert (before.stated.tree_size - 1, False) == (
        after.stated.tree_size, before.stated.tree_root == after.stated.tree_root
    )  # fmt: skip
    assert before.extents[0].head != after.extents[0].head


def test_an_hourly_figure_edited_in_the_database_is_noticed_by_the_verifier(
    books: Books, register: Callable[[Edge], None], ingest: Callable[..., Ack | None], tmp_path: Path
) -> None:
    """By the database's administrator: the row no longer follows from the signed words."""
    edge = stream(2, window_s=60)
    register(edge)
    ingest(edge, 0, 1, 2)
    while Recomputer(books).step():
        pass
    path = tmp_path / "bundle.zip"
    reports = []
    for mass in (None, "1"):
        if mass is not None:
            with books.database.writing() as connection:
                connection.execute(update(hours).where(hours.c.source == "grid").values(mass_mg=mass))
        export_bundle(books, START_MS, START_MS + HOUR_MS, path)
        with path.open("rb") as file:
            reports.append(verify_bundle(file, {edge.agent_id, books.collector_id}))
    honest, edited = reports

    assert (Verdict.CONSISTENT, Verdict.CONTRADICTS) == (honest.verdict, edited.verdict)
    assert any(one.step is Step.HOURS and "grid" in one.where and "mass_mg" in one.seen for one in edited.findings)


# --- Bundles made to break whoever reads them -----------------------------------------------------------------------


def a_deflated_bomb() -> bytes:
    """A zip of many zeros in few bytes: members are stored, or it is no bundle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("gwp.json", "w") as member:
        for _ in range(8):
            member.write(bytes(1 << 24))
    return file.getvalue()


def a_signed_bomb() -> bytes:
    """An agent's own well signed item that inflates to sixteen times the bound."""
    packer = zlib.compressobj(1)
    payload = b"".join(packer.compress(bytes(1 << 24)) for _ in range(8)) + packer.flush()
    item = sign(SITE.agent_key, CONTENT_TYPES[ItemKind.BATCH], payload)
    return reforged(BUNDLE, SITE.collector_key, {ITEMS_NAME: members_of(BUNDLE)[ITEMS_NAME] + item})


def a_path_out_of_the_folder() -> bytes:
    """A member named ../../etc/passwd."""
    return BUNDLE.replace(b"gwp.json", b"../x.jso")


def a_member_twice() -> bytes:
    """Two members of one name: which one was verified?"""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("gwp.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("gwp.json", b"{}")
    return file.getvalue()


def a_member_as_large_as_the_world() -> bytes:
    """A header that announces 2^62 bytes."""
    name = b"gwp.json"
    extra = struct.pack("<HHQQ", 1, 16, 1 << 62, 1 << 62)
    fixed = (45, 0, 0, 0, 0x21, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra))
    return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *fixed) + name + extra + b"x"


def _with(name: str, content: bytes) -> Callable[[], bytes]:
    return lambda: reforged(BUNDLE, SITE.collector_key, {name: content})


def _edited(name: str, old: bytes, new: bytes) -> Callable[[], bytes]:
    content = members_of(BUNDLE)[name]
    assert old in content
    return _with(name, content.replace(old, new, 1))


def _manifest(content: bytes) -> Callable[[], bytes]:
    return lambda: zipped(members_of(BUNDLE) | {MANIFEST: content})


MALICE: dict[str, tuple[Callable[[], bytes], Step]] = {
    "a deflated bomb": (a_deflated_bomb, Step.CONTAINER),
    "a signed bomb": (a_signed_bomb, Step.ITEM),
    "a path out of the folder": (a_path_out_of_the_folder, Step.CONTAINER),
    "a member twice": (a_member_twice, Step.CONTAINER),
    "a member as large as the world": (a_member_as_large_as_the_world, Step.CONTAINER),
    "a manifest of 2^60 members": (_manifest(b"\x9b\x10" + bytes(7)), Step.MANIFEST),
    "a manifest of 2^60 keys": (_manifest(b"\xbb\x10" + bytes(7)), Step.MANIFEST),
    "a manifest nested a million times": (_manifest(b"\x81" * 1_000_000 + b"\x00"), Step.MANIFEST),
    "a log of one leaf of 2^60 bytes": (_with(LEAVES, b"\x5b\x10" + bytes(7)), Step.LOG),
    "a log of leaves without end": (_with(LEAVES, b"\x9f" * 5_000_000), Step.LOG),
    "a log of subtrees in a whole bundle": (_with(LEAVES, b"\x82\x18\x3e\x58\x20" + bytes(32)), Step.LOG),
    "an item of 2^40 bytes": (_with(ITEMS_NAME, b"\x5b\x00\x00\x01" + bytes(5)), Step.ITEM),
    "a million empty items": (_with(ITEMS_NAME, b"\x00" * 1_000_000), Step.ITEM),
    "an hour of NaN milligrams": (_edited(HOURS, b'"u_independent":', b'"u_independent":NaN,"x":'), Step.HOURS),
    "an hour of infinite uncertainty": (_edited(HOURS, b'"u_independent":', b'"u_independent":1e999,"x":'), Step.HOURS),
    "an hour row of a hundred thousand digits": (_with(HOURS, b'{"from_ms":' + b"9" * 100_000 + b"}\n"), Step.HOURS),
    "an hour row without end": (_with(HOURS, b"[" * 30_000_000), Step.HOURS),
    "an inventory of NaN": (_edited(INVENTORY, b'"u_mg":', b'"u_mg":NaN,"x":'), Step.INVENTORY),
    "an inventory nested a million times": (_with(INVENTORY, b"[" * 1_000_000), Step.INVENTORY),
    "a profile of infinities": (_with(PROFILE, members_of(BUNDLE)[PROFILE].replace(b"0.75", b"inf")), Step.DOCUMENT),
    "a profile of NaN": (_with(PROFILE, members_of(BUNDLE)[PROFILE].replace(b"0.75", b"nan")), Step.DOCUMENT),
}


@pytest.mark.parametrize("malice", MALICE)
def test_it_is_refused_in_bounded_memory(malice: str) -> None:
    """No crash, no hang, no more memory than a bound; a finding that names the place."""
    make, step = MALICE[malice]
    data = make()
    tracemalloc.start()
    try:
        report = verified(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert Verdict.CONTRADICTS is report.verdict
    assert step in {finding.step for finding in report.findings}, report.findings[:5]
    assert peak < MEMORY


def test_findings_themselves_are_bounded() -> None:
    """Two million contradictions: a few hundred are told, and after some thousands nothing more is looked at."""
    report = verified(_with(ITEMS_NAME, b"\x00" * 2_000_000)())

    assert 10_000 == report.contradictions
    assert 200 == len(report.findings)
    assert any("nothing more was looked at" in note for note in report.notes)
