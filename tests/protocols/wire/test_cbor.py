"""Deterministic CBOR: one encoding per value, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import cbor
from protocols.wire.errors import Reason, WireError

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_values)
def test_what_is_encoded_is_decoded(value: object) -> None:
    """Values come back, and encode to the same bytes again."""
    data = cbor.encode(value)

    assert value == cbor.decode(data)
    assert data == cbor.encode(cbor.decode(data))
    assert len(data) == cbor.read_item(data, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"), (23, "17"), (24, "1818"), (1000000, "1a000f4240"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-1, "20"), (-18446744073709551616, "3bffffffffffffffff"), (0.0, "f90000"), (1.5, "f93e00"),
        (100000.0, "fa47c35000"), (1.1, "fb3ff199999999999a"), (False, "f4"), (None, "f6"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("水", "63e6b0b4"), ([1, [2, 3]], "8201820203"), ({1: 2, 3: 4}, "a201020304"),
    ],
    ids=lambda part: f"RFC 8949 appendix A {part}" if isinstance(part, str) else None,
)  # fmt: skip
def test_published_examples(value: object, expected: str) -> None:
    """Examples of RFC 8949 appendix A."""
    assert expected == cbor.encode(value).hex()
    assert value == cbor.decode(bytes.fromhex(expected))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", Reason.MALFORMED), ("82", Reason.MALFORMED), ("9f01ff", Reason.MALFORMED), ("5f4101ff", Reason.MALFORMED),
        ("0001", Reason.TRAILING_BYTES), ("a10101f6", Reason.TRAILING_BYTES), ("1800", Reason.NOT_DETERMINISTIC),
        ("a203000100", Reason.NOT_DETERMINISTIC), ("fb3ff8000000000000", Reason.NOT_DETERMINISTIC),
        ("a201000100", Reason.DUPLICATE_KEYS), ("a2616100616100", Reason.DUPLICATE_KEYS),
        ("f97e00", Reason.MALFORMED),
        ("f7", Reason.MALFORMED), ("e0", Reason.MALFORMED), ("62c328", Reason.MALFORMED), ("a12000", Reason.MALFORMED),
        ("a20100616100", Reason.MALFORMED), ("a18000", Reason.MALFORMED),
        ("81" * 13 + "00", Reason.MALFORMED),
    ],
)  # fmt: skip
def test_everything_else_is_refused(data: str, reason: Reason) -> None:
    """Indefinite lengths, long forms, odd orders, double keys, NaN, odd keys, depth."""
    with pytest.raises(WireError) as refused:
        cbor.decode(bytes.fromhex(data))
    assert reason == refused.value.reason


def test_no_tag_is_read() -> None:
    """No 16-bit tag is decoded into anything, whatever the library knows to do with it."""
    for tag in range(65536):
        with pytest.raises(WireError):
            cbor.decode(b"\xd9" + tag.to_bytes(2, "big") + b"\x61a" if tag > 255 else b"\xd8" + bytes([tag]) + b"\x61a")


@pytest.mark.parametrize("value", [float("nan"), {-1: 0}, {1: 0, "a": 0}, {b"a": 0}, 2**64, object(), {1, 2}])
def test_what_the_subset_does_not_hold_is_not_encoded(value: object) -> None:
    """An encoder that refuses keeps readers from having to."""
    with pytest.raises((TypeError, ValueError)):
        cbor.encode(value)


def test_a_sequence_is_cut_into_its_items() -> None:
    """RFC 8742: items follow each other without a frame; example values of its section 3."""
    parts = [cbor.encode(1), cbor.encode([2, "x"]), bytes.fromhex("d2") + cbor.encode([b"", {}, b"", b""])]
    data = b"".join(parts)
    found, offset = [], 0
    while offset < len(data):
        end = cbor.read_item(data, offset)
        found.append(data[offset:end])
        offset = end

    assert parts == found
