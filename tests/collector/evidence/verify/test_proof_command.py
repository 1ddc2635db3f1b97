"""`emitrace-verify proof`: one leaf against a signed checkpoint, offline, with a key and an object of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.layout import encode_leaf
from collector.evidence.verify.__main__ import main
from protocols.transparency.note import NoteKey
from protocols.transparency.proofs import inclusion_proof, tlog_proof
from protocols.transparency.tree import leaf_hash
from protocols.wire.keys import public_bytes
from tests.collector.evidence.site import LOG, LOG_KEY, Site, checkpoint

SITE = Site().make()
PLACE = next(place for place, leaf in enumerate(SITE.leaves) if leaf.kind == "item")
OBJECT = SITE.items[0][1]
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def proof(place: int = PLACE, key: Ed25519PrivateKey = LOG_KEY) -> bytes:
    data = [encode_leaf(leaf) for leaf in SITE.leaves]
    path = inclusion_proof([leaf_hash(one) for one in data], place)
    return tlog_proof(place, path, checkpoint(SITE.leaves, key)[1], data[place])


def ended(file: Path, *more: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(["proof", str(file), *more])
    return end.value.code


def test_a_leaf_is_proven_by_the_key_and_object_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the log's key it is proven, without one only that it hangs together; the object is compared by its bytes."""
    file, thing = tmp_path / "leaf.tlog-proof", tmp_path / "item.bin"
    file.write_bytes(proof())
    thing.write_bytes(OBJECT)
    codes = [ended(file, "--log-key", LOG.key.encoded(), "--object", str(thing)), ended(file)]
    said = capsys.readouterr().out
    thing.write_bytes(OBJECT[:-1])

    assert [0, 4] == codes
    assert f"it is in log emitrace/site of {len(SITE.leaves)} leaves" in said
    assert 1 == ended(file, "--log-key", LOG.key.encoded(), "--object", str(thing))
    assert "the leaf names" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "key", "said"),
    [
        (proof(key=OTHER), LOG.key, "none of the keys"),
        (proof(), NoteKey("emitrace/other", public_bytes(LOG_KEY)), "is of log emitrace/site"),
        (proof().replace(f"index {PLACE}".encode(), f"index {PLACE + 1}".encode()), LOG.key, "does not lead"),
        (proof().replace(b"\n\n", b"\n", 1), LOG.key, "no tlog-proof"),
        (b"", LOG.key, "no tlog-proof"),
        (b"x" * 100_000, LOG.key, "at most"),
    ],
    ids=["another signer", "another log", "another place", "cut", "empty", "endless"],
)
def test_what_is_not_proven_says_why(
    data: bytes, key: NoteKey, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the reason."""
    file = tmp_path / "leaf.tlog-proof"
    file.write_bytes(data)

    assert 1 == ended(file, "--log-key", key.encoded())
    assert said in capsys.readouterr().out


def test_a_missing_file_or_a_key_that_is_none_is_usage(tmp_path: Path) -> None:
    """Exit code 2."""
    assert [2, 2] == [ended(tmp_path / "none"), ended(tmp_path / "none", "--log-key", "nonsense")]
