"""Encodings of the members, and their schema."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evidence import layout
from collector.evidence.container import open_container
from collector.evidence.layout import (
    MANIFEST,
    SIGNATURE,
    Leaf,
    Listed,
    Manifest,
    decode_leaf,
    decode_manifest,
    encode_leaf,
    encode_manifest,
    split_sequence,
)
from collector.evidence.names import LogName
from collector.inventory.scope import WHOLE, Scope
from protocols.wire import cbor
from protocols.wire.cose import open_sealed
from protocols.wire.errors import WireError
from tests.collector.evidence.site import LOG, Site

pycddl = pytest.importorskip("pycddl", reason="pycddl has wheels for x86-64 only")
CDDL = (Path(layout.__file__).parent / "bundle.cddl").read_text(encoding="utf-8")
MADE = Manifest(1, 2, 3, "x", bytes(32), 4, bytes(32), (("ab" * 32, bytes(32)),), (Listed("a", 5, bytes(32)),))


def test_a_manifest_comes_back_and_conforms_to_the_schema() -> None:
    """Both the small one and that of a real bundle; its signature is over its digest."""
    container = open_container(io.BytesIO(Site().make(minutes=1, dropped=None).bundle()))
    real = container.content(MANIFEST, 10**6)

    assert MADE == decode_manifest(encode_manifest(MADE))
    assert real == encode_manifest(decode_manifest(real))
    for data in (encode_manifest(MADE), real):
        pycddl.Schema(f"start = manifest\n{CDDL}").validate_cbor(data)
    payload = open_sealed(container.content(SIGNATURE, 1000)).payload
    pycddl.Schema(f"start = manifest-digest\n{CDDL}").validate_cbor(cbor.encode(payload))


_wrong = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=33) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 9), inner, max_size=9),
    max_leaves=15,
).map(cbor.encode)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | _wrong)
def test_rubbish_is_refused(data: bytes) -> None:
    """A manifest or leaf that is none raises WireError and nothing else."""
    with pytest.raises(WireError):
        decode_manifest(data)
    with pytest.raises(WireError):
        decode_leaf(data)


def test_a_leaf_comes_back() -> None:
    """Kind, id and digest."""
    assert Leaf("item", "a/b/1", bytes(32)) == decode_leaf(encode_leaf(Leaf("item", "a/b/1", bytes(32))))


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_a_sequence_is_split_whatever_the_chunks(parts: list[bytes], step: int) -> None:
    """Items are found across the borders of chunks, with their offsets."""
    encoded = [cbor.encode(part) for part in parts]
    whole = b"".join(encoded)
    chunks = iter([whole[at : at + step] for at in range(0, len(whole), step)])
    found = list(split_sequence(chunks, 100))

    assert encoded == [data for _, data in found]
    assert all(whole[at : at + len(data)] == data for at, data in found)


@pytest.mark.parametrize("data", [b"\x82\x01", b"\x01\xff", b"\x5a\x00\x0f\xff\xff" + bytes(500)])
def test_a_sequence_that_breaks_off_is_refused(data: bytes) -> None:
    """Cut items, reserved lengths and items beyond the bound."""
    with pytest.raises(WireError):
        list(split_sequence(iter([data[:3], data[3:]]), 100))


_SECOND = LogName("emitrace/b", bytes(32), 7, b"record")
MISNAMED: dict[str, object] = {
    "none": [],
    "an empty one": [["", bytes(32)]],
    "a space": [["a b", bytes(32)]],
    "a plus sign": [["a+b", bytes(32)]],
    "a short key": [["a", bytes(31)]],
    "a first one that follows": [["a", bytes(32), 1, b""]],
    "a later one that follows nothing": [["a", bytes(32)], ["b", bytes(32)]],
    "the same twice": [["a", bytes(32)], ["a", bytes(32), 1, b""]],
    "out of order": [["a", bytes(32)], ["b", bytes(32), 5, b""], ["c", bytes(32), 4, b""]],
}


def _fields(data: bytes) -> dict[int, object]:
    fields = cbor.decode(data)
    assert isinstance(fields, dict)
    return fields


@pytest.mark.parametrize("scope", [WHOLE, Scope(("ab" * 32,), ("boiler",), ())])
@pytest.mark.parametrize("log", [(), (LOG,), (LOG, _SECOND)])
def test_versions_with_and_without_the_names_of_the_log_come_back(scope: Scope, log: tuple[LogName, ...]) -> None:
    """Versions 1 and 2 know no name of the log: its origin is then the fingerprint of the collector's key."""
    made = replace(MADE, scope=scope, log=log)
    data = encode_manifest(made)

    assert made == decode_manifest(data)
    assert (4 if log else 1 if scope.is_whole else 2) == _fields(data)[1]
    assert (log[-1].name if log else bytes(32).hex()) == made.origin
    pycddl.Schema(f"start = manifest\n{CDDL}").validate_cbor(data)


@pytest.mark.parametrize("scope", [WHOLE, Scope(("ab" * 32,), ("boiler",), ())])
def test_a_manifest_from_before_calibration_records_comes_back(scope: Scope) -> None:
    """Version 3 has the same fields; one of the future is refused."""
    made = replace(MADE, scope=scope, log=(LOG,), version=3)
    data = encode_manifest(made)

    assert made == decode_manifest(data)
    pycddl.Schema(f"start = manifest\n{CDDL}").validate_cbor(data)
    with pytest.raises(WireError, match="manifest"):
        decode_manifest(cbor.encode({**_fields(data), 1: 5}))


@pytest.mark.parametrize("names", MISNAMED.values(), ids=MISNAMED)
def test_a_log_that_is_misnamed_is_refused(names: object) -> None:
    """Each name once, in the order in which they followed one another."""
    fields = _fields(encode_manifest(replace(MADE, log=(LOG,))))
    with pytest.raises(WireError, match=r"manifest\.log"):
        decode_manifest(cbor.encode({**fields, 10: names}))
