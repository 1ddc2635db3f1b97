from __future__ import annotations

import pytest

from simulators.instruments import Device, build_device, build_devices
from simulators.modbus.answers import answer
from simulators.plant import Plant


@pytest.fixture(scope="module")
def meter(plant: Plant) -> Device:
    """Meter em-1."""
    return build_devices(plant)[0]


def asked(device: Device, request: str) -> bytes:
    """The answer to a request in hex."""
    return answer(device, device.instrument.serial, bytes.fromhex(request), lambda *_: None)


def objects(pdu: bytes) -> dict[int, str]:
    """Objects of an answer to function 43/14."""
    found, at = {}, 7
    for _ in range(pdu[6]):
        number, size = pdu[at], pdu[at + 1]
        found[number] = pdu[at + 2 : at + 2 + size].decode()
        at += 2 + size
    assert at == len(pdu)
    return found


def test_function_17_names_maker_model_and_serial(meter: Device) -> None:
    """Byte count, text, run indicator."""
    pdu = asked(meter, "11")

    assert (17, len(pdu) - 2, 0xFF) == (pdu[0], pdu[1], pdu[-1])
    assert pdu[2:-1].decode() == f"{meter.map.maker} eastron-sdm630 20260101"


@pytest.mark.parametrize(("category", "numbers"), [(1, {0, 1, 2}), (2, {0, 1, 2, 4, 5}), (3, {0, 1, 2, 4, 5, 0x80})])
def test_function_43_14_names_its_objects(meter: Device, category: int, numbers: set[int]) -> None:
    """Basic, regular and extended objects come in one stream."""
    pdu = asked(meter, f"2b0e{category:02x}00")
    found = objects(pdu)

    assert numbers == set(found)
    assert bytes((0x2B, 0x0E, category, 0x83, 0, 0)) == pdu[:6]
    assert (meter.map.maker, "eastron-sdm630") == (found[0], found[1])


def test_what_does_not_fit_a_frame_follows(plant: Plant) -> None:
    """A stream names the object it goes on with."""
    wide = plant.scenario.instruments[0].model_copy(update={"serial": "9" * 200})
    device = build_device(plant, wide)
    first = asked(device, "2b0e0300")
    second = asked(device, f"2b0e03{first[5]:02x}")

    assert (0xFF, 0x80) == (first[4], first[5])
    assert {0x80: "9" * 200} == objects(second)
    assert len(first) <= 253


@pytest.mark.parametrize(
    ("request_", "answered"),
    [
        ("2b0e0480", "2b0e0483000001800832303236303130" + "31"),
        ("2b0e0499", "ab02"),
        ("2b0e0500", "ab03"),
        ("2b0d", "ab01"),
        ("1100", "9103"),
        ("0300000000", "8303"),
        ("030000007e", "8303"),
        ("03ffff0002", "8302"),
        ("0300", "8303"),
        ("06000a0002", "8601"),
    ],
)
def test_each_kind_of_request_has_its_answer(meter: Device, request_: str, answered: str) -> None:
    """One object, an object that is not there, wrong categories, counts and lengths, a write."""
    assert answered == asked(meter, request_).hex()


def test_a_meter_may_not_tell_who_it_is(plant: Plant) -> None:
    """With identity = false both functions are illegal, as on many meters."""
    shy = build_device(plant, plant.scenario.instruments[0].model_copy(update={"identity": False}))

    assert ("9101", "ab01") == (asked(shy, "11").hex(), asked(shy, "2b0e0100").hex())
