from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.registermap import Register
from simulators.encode import EncodeError, encode


def register(type_: str, **more: Any) -> Register:
    """A register of that type."""
    return Register.model_validate(
        {"name": "r", "quantity": "device_status", "function": 3, "address": 0, "type": type_, "unit": "1", **more}
    )


@pytest.mark.parametrize(
    ("type_", "more", "value", "words"),
    [
        # Vaisala M212243EN-C, communication test registers 7937 and 7938: CFC7h and C2F6 E666h
        pytest.param("s16", {"scale": "0.01"}, "-123.45", (0xCFC7,), id="Vaisala M212243EN-C register 7937"),
        pytest.param("float32", {}, "-123.45", (0xC2F6, 0xE666), id="Vaisala M212243EN-C register 7938"),
        # Vaisala M211897EN-E: "the least significant 16 bits are placed at the register listed in the table"
        pytest.param("float32", {"word_order": "little"}, "-123.45", (0xE666, 0xC2F6), id="Vaisala word order"),
        pytest.param("u16", {"scale": "0.01", "byte_order": "little"}, "3.09", (0x3501,), id="low byte first"),
        pytest.param("u32", {"scale": "100", "scale_by": "divide"}, "9999950.01", (0x3B9A, 0xB679), id="divide by 100"),
        pytest.param("u32", {"word_order": "little"}, "131300", (0x00E4, 0x0002), id="low word first"),
        pytest.param("s32", {}, "-2", (0xFFFF, 0xFFFE), id="two's complement"),
        pytest.param("u64", {"scale": "0.001"}, "7701234.567", (0, 1, 0xCB07, 0x8387), id="u64"),
        pytest.param("float64", {"word_order": "little", "byte_order": "little"}, "1", (0, 0, 0, 0xF03F), id="float64"),
        pytest.param("u16", {}, "2.5", (2,), id="half to even"),
        pytest.param("bcd32", {"scale": "0.01"}, "1234.56", (0x0012, 0x3456), id="packed digits"),
        pytest.param("u48", {}, "4294967298", (1, 0, 2), id="three registers"),
        pytest.param("u16", {"bits": [4, 7]}, "12", (0xC0,), id="part of a word"),
        pytest.param("u16", {"scale": "0.1", "offset": "-273.15"}, "25.05", (2982,), id="offset"),
        pytest.param("s16", {"scale_factor": {"address": 9, "add": -1}}, "-7", (0xFFF9, 1), id="scale factor 10^0"),
        pytest.param("u32", {"addresses": [7, 3]}, "65538", (1, 2), id="registers of the map's order"),
    ],
)
def test_words_are_those_of_the_manual(type_: str, more: dict[str, Any], value: str, words: tuple[int, ...]) -> None:
    """A value becomes the words the manual (or a hand) writes."""
    assert words == encode(Decimal(value), register(type_, **more))


@pytest.mark.parametrize(
    ("type_", "value"),
    [("u16", "65536"), ("u16", "-1"), ("s16", "32768"), ("float32", "1e39"), ("bcd16", "10000"), ("bcd16", "-1")],
)
def test_what_does_not_fit_is_refused(type_: str, value: str) -> None:
    """A number beyond the type is an error, never a wrapped number."""
    with pytest.raises(EncodeError, match="does not fit"):
        encode(Decimal(value), register(type_))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_keeps_every_bit(value: float) -> None:
    """The words of a float32 are its IEEE 754 bytes."""
    high, low = encode(Decimal(value), register("float32"))

    assert value == struct.unpack(">f", struct.pack(">HH", high, low))[0]
