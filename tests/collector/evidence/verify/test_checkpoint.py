"""A checkpoint the verifier kept from before: the log of a later bundle must begin with it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.container import open_container
from collector.evidence.layout import LEAVES, split_sequence
from collector.evidence.verify.__main__ import main
from collector.evidence.verify.report import Report, Step, Verdict
from collector.evidence.verify.steps import verify_bundle
from protocols.transparency.checkpoint import Checkpoint, sign_checkpoint
from protocols.transparency.tree import leaf_hash, root_of
from tests.collector.evidence.site import Site

SITE = Site().make()
BUNDLE = SITE.bundle()
_FILE = io.BytesIO(BUNDLE)
HASHES = [leaf_hash(data) for _, data in split_sequence(open_container(_FILE).chunks(LEAVES), 4096)]


def held(size: int, root: bytes | None = None) -> Checkpoint:
    return Checkpoint("emitrace/a", size, root_of(HASHES[:size]) if root is None else root)


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
    [(held(len(HASHES) // 2, bytes(32)), "rewritten"), (held(len(HASHES) + 1, bytes(32)), "went back")],
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
    assert "checkpoint of 2 leaves of emitrace/a: the log begins with exactly what you hold" in capsys.readouterr().out
