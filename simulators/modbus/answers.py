"""The answer of one device to one request: PDU in, PDU out, no state and no clock.

Registers by functions 3 and 4, who the device is by functions 17 and 43/14; everything else is refused with the
exception that the Modbus application protocol names for it.
"""

from __future__ import annotations

from collections.abc import Callable

from simulators.encode import EncodeError
from simulators.instruments import Device
from simulators.modbus.pdu import MOST_REGISTERS, READS, ExceptionCode, refusal, register_answer, registers_of

REPORT_SERVER_ID = 17
ENCAPSULATED, READ_DEVICE_ID = 43, 14
SERIAL_OBJECT = 0x80
"""The first object of the private range holds the serial number: the standard has no object for it."""
RUNNING = 0xFF
EXTENDED_AND_SINGLE = 0x83
"""Conformity: all three categories, by stream and one by one."""
_MOST_OBJECT_BYTES = 244

Read = Callable[[int, int, int], list[int] | None]
"""Registers of a device by function, address and count; None where an address belongs to nothing."""


def answer(device: Device, serial: str, pdu: bytes, read: Read) -> bytes:
    """The PDU a device answers with.

    Parameters
    ----------
    device : Device
    serial : str
        Its serial number now: a meter may have been exchanged.
    pdu : bytes
        At least one byte.
    read : callable
        What stands in its registers now.
    """
    function = pdu[0]
    if function in READS:
        return _registers(device.map.quirks.max_registers, pdu, read)
    if function == REPORT_SERVER_ID and device.instrument.identity:
        return _server_id(device, serial, pdu)
    if pdu[:2] == bytes((ENCAPSULATED, READ_DEVICE_ID)) and device.instrument.identity:
        return _device_id(identity(device, serial), pdu)
    return refusal(function, ExceptionCode.ILLEGAL_FUNCTION)


def identity(device: Device, serial: str) -> dict[int, bytes]:
    """Objects of function 43/14: maker, product code, revision, then product and model name, then the serial."""
    return {
        0: device.map.maker.encode(),
        1: device.map.model.encode(),
        2: device.map.manual.revision.encode(),
        4: device.map.title.encode()[:_MOST_OBJECT_BYTES],
        5: device.map.model.encode(),
        SERIAL_OBJECT: serial.encode(),
    }


def _registers(limit: int, pdu: bytes, read: Read) -> bytes:
    function, asked = pdu[0], registers_of(pdu)
    if asked is None or not 1 <= asked[1] <= min(limit, MOST_REGISTERS):
        return refusal(function, ExceptionCode.ILLEGAL_VALUE)
    address, count = asked
    if address + count > 0x10000:
        return refusal(function, ExceptionCode.ILLEGAL_ADDRESS)
    try:
        words = read(function, address, count)
    except EncodeError:
        return refusal(function, ExceptionCode.DEVICE_FAILURE)
    if words is None:
        return refusal(function, ExceptionCode.ILLEGAL_ADDRESS)
    return register_answer(function, words)


def _server_id(device: Device, serial: str, pdu: bytes) -> bytes:
    if len(pdu) != 1:
        return refusal(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    text = f"{device.map.maker} {device.map.model} {serial}".encode()[:_MOST_OBJECT_BYTES]
    return bytes((pdu[0], len(text) + 1)) + text + bytes((RUNNING,))


def _device_id(objects: dict[int, bytes], pdu: bytes) -> bytes:
    """Basic (1), regular (2) and extended (3) stream access, and one object (4); goes on where a frame ends."""
    if len(pdu) != 4 or pdu[2] not in (1, 2, 3, 4):
        return refusal(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    category, first = pdu[2], pdu[3]
    if category == 4:
        if first not in objects:
            return refusal(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)
        wanted = [first]
    else:
        top = {1: 2, 2: 0x7F, 3: 0xFF}[category]
        wanted = [number for number in objects if first <= number <= top]
        if first not in objects:  # an object that is not there starts the stream anew, as the protocol says
            wanted = [number for number in objects if number <= top]
    body, taken = b"", 0
    for number in wanted:
        item = bytes((number, len(objects[number]))) + objects[number]
        if len(body) + len(item) > _MOST_OBJECT_BYTES + 2:
            break
        body, taken = body + item, taken + 1
    rest = wanted[taken:]
    follows = (0xFF, rest[0]) if rest else (0, 0)
    return bytes((*pdu[:2], category, EXTENDED_AND_SINGLE, *follows, taken)) + body
