"""A checkpoint the verifier kept from before: the log of a later bundle must begin with it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.container import open_container
from collector.evidence.layout import LEAVES, split_sequence
from collector.evidence.verify.__main__ import main
from collector.evidence.verify.page import as_html
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from collector.evidence.verify.text import as_text
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.transparency.note import NoteKey
from protocols.transparency.tree import leaf_hash, root_of
from protocols.wire.keys import public_bytes
from tests.collector.evidence.site import LOG, LOG_KEY, Site, checkpoint

SITE = Site().make()
BUNDLE = SITE.bundle()
_FILE = io.BytesIO(BUNDLE)
HASHES = [leaf_hash(data) for _, data in split_sequence(open_container(_FILE).chunks(LEAVES), 4096)]


def held(size: int, root: bytes | None = None) -> Checkpoint:
    return Checkpoint(LOG.name, size, root_of(HASHES[:size]) if root is None else root)


def verified(earlier: Checkpoint) -> Report:
    return verify_bundle(io.BytesIO(BUNDLE), SITE.anchors(), earlier)


@pytest.mark.parametrize("size", [0, 1, len(HASHES) // 2, len(HASHES)])
def test_a_log_that_begins_with_the_checkpoint_held_is_consistent(size: int) -> None:
    """At any size, the whole log included: said in a note."""
    report = verified(held(size))

    assert Verdict.CONSISTENT == report.verdict
    assert any("begins with exactly what you hold" in note for note in report.notes)


@pytest.mark.parametrize(
    ("earlier", "seen"),
    [
        (held(len(HASHES) // 2, bytes(32)), "rewritten"), (held(len(HASHES) + 1, bytes(32)), "went back"),
        (Checkpoint("emitrace/other", 1, root_of(HASHES[:1])), "is of log emitrace/other"),
    ],
)
def test_a_log_that_does_not_is_a_contradiction(earlier: Checkpoint, seen: str) -> None:
    """Rewritten before that size, or shorter than that: found in the step of the log."""
    (finding,) = verified(earlier).findings

    assert finding.step is Step.LOG
    assert seen in finding.seen


def test_the_command_takes_the_file_of_the_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A signed note as /api/v1/log/checkpoint gives it; a file that is none is a matter of usage."""
    bundle, note, none = tmp_path / "b.zip", tmp_path / "checkpoint", tmp_path / "none"
    bundle.write_bytes(BUNDLE)
    note.write_bytes(sign_checkpoint(held(2), Ed25519PrivateKey.generate()))
    none.write_bytes(b"nonsense")
    trust = [word for anchor in SITE.anchors() for word in ("--trust", anchor)]
    with pytest.raises(SystemExit) as end:
        main([str(bundle), *trust, "--checkpoint", str(note)])
    with pytest.raises(SystemExit) as usage:
        main([str(bundle), "--checkpoint", str(none)])

    assert (0, 2) == (end.value.code, usage.value.code)
    said = capsys.readouterr().out
    assert "checkpoint of 2 leaves of emitrace/site: the log begins with exactly what you hold" in said


NEW_KEY = Ed25519PrivateKey.from_private_bytes(b"m" * 32)
ALL = SITE.leaves
SIGNED: dict[str, tuple[list[tuple[int, bytes]], str]] = {
    "by another key": ([checkpoint(ALL, NEW_KEY)], "none of the keys"),
    "another log's": ([checkpoint(ALL, LOG_KEY, "emitrace/other")], "is of log emitrace/other"),
    "of another history": ([checkpoint(ALL[1:])], "the first leaves have root"),
    "of more leaves": ([checkpoint([*ALL, ALL[0]])], "leaves only"),
    "under another size": ([(1, checkpoint(ALL)[1])], "is of"),
    "no note": ([(1, b"nonsense")], "no blank line"),
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_checkpoint_that_lies_is_a_contradiction(second: ModuleType, name: str) -> None:
    """Ours says what is wrong with it, and the second verifier refuses it too."""
    notes, seen = SIGNED[name]
    data = SITE.bundle(replace(SITE.contents(), checkpoints=notes))
    report = verify_bundle(io.BytesIO(data), SITE.anchors())

    assert {Step.LOG} == {finding.step for finding in report.findings}
    assert seen in report.findings[0].seen
    assert second.verify(io.BytesIO(data))[0]


def test_checkpoints_in_a_bundle_are_shown_with_the_log_key_that_signed(second: ModuleType) -> None:
    """Of any size; whether the verifier holds the key is said; a bundle without any is refused."""
    notes = [checkpoint(ALL[:2]), checkpoint(ALL)]
    data = SITE.bundle(replace(SITE.contents(), checkpoints=notes))
    report, keyed = (verify_bundle(io.BytesIO(data), SITE.anchors(), None, keys) for keys in ((), (LOG.key,)))
    without = SITE.bundle(replace(SITE.contents(), checkpoints=()))
    none = verify_bundle(io.BytesIO(without), SITE.anchors())
    said = "\n".join(as_text(keyed, "b.zip"))

    assert [Verdict.CONSISTENT] * 2 == [one.verdict for one in (report, keyed)]
    assert [2, len(ALL)] == [one.size for one in report.checkpoints]
    assert [False, True] == [one.holds_log_key(one.checkpoints[0]) for one in (report, keyed)]
    assert f"signed by log {LOG.key.encoded()}: held / 已持有" in said
    assert LOG.key.encoded() in as_html(report, "b.zip")
    assert ["no signed checkpoint of the log is in the bundle"] == [one.seen for one in none.findings]
    assert second.verify(io.BytesIO(without))[0]
    assert [] == second.verify(io.BytesIO(data))[0]


def test_a_log_with_another_key_than_the_one_held_contradicts() -> None:
    """The same name, signed and stated anew with another key."""
    (finding,) = verify_bundle(
        io.BytesIO(BUNDLE), SITE.anchors(), None, [NoteKey(LOG.name, public_bytes(NEW_KEY))]
    ).findings

    assert (Step.SIGNATURE, f"log {LOG.name}") == (finding.step, finding.where)


@pytest.mark.parametrize(("key", "code"), [(LOG_KEY, 0), (NEW_KEY, 2)])
def test_the_command_checks_who_signed_the_verifiers_own_checkpoint(
    tmp_path: Path, key: Ed25519PrivateKey, code: int
) -> None:
    """With the log's key brought, a note that somebody else signed is no checkpoint."""
    bundle, note = tmp_path / "b.zip", tmp_path / "checkpoint"
    bundle.write_bytes(BUNDLE)
    note.write_bytes(sign_checkpoint(held(2), key))
    trust = [word for anchor in SITE.anchors() for word in ("--trust", anchor)]
    with pytest.raises(SystemExit) as end:
        main([str(bundle), *trust, "--checkpoint", str(note), "--log-key", LOG.key.encoded()])
    with pytest.raises(SystemExit) as usage:
        main([str(bundle), "--log-key", "no+key"])

    assert (code, 2) == (end.value.code, usage.value.code)
