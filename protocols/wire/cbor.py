"""Deterministic CBOR (RFC 8949 section 4.2) on the subset the messages use.

Integers of 64 bits, floats in their shortest form that keeps the value, byte and text strings, booleans,
null, arrays, and maps whose keys are either all unsigned integers or all text: there the length-first order
that cbor2 writes and the bytewise order of RFC 8949 are the same. No tags, no indefinite lengths.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import cbor2

from protocols.wire import limits
from protocols.wire.errors import Reason, WireError

_SCAN_FROM = 64 * 1024
_DUPLICATE = re.compile(r"duplicate map key", re.IGNORECASE)


def encode(value: object) -> bytes:
    """The one encoding of a value; TypeError or ValueError where the subset does not hold it."""
    _check_subset(value)
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, max_depth: int = limits.CBOR_DEPTH) -> object:
    """The value of exactly these bytes; WireError unless they are its one deterministic encoding."""
    if len(data) > limits.MESSAGE_BYTES:
        raise WireError(Reason.TOO_LARGE, "CBOR", f"{len(data)} bytes, at most {limits.MESSAGE_BYTES} are read")
    if len(data) > _SCAN_FROM:
        read_item(data, 0)  # counts the data items before cbor2 makes objects of them
    try:
        value: object = cbor2.loads(
            data,
            max_depth=max_depth,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_NO_TAGS,
            tag_hook=_refuse_tag,
        )
        _check_subset(value)
        again = cbor2.dumps(value, canonical=True)
    except cbor2.CBORError as error:
        reason = Reason.DUPLICATE_KEYS if _DUPLICATE.search(str(error)) else Reason.MALFORMED
        raise WireError(reason, "CBOR", str(error)) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(Reason.MALFORMED, "CBOR", str(error)) from error
    if again != data:
        if len(again) < len(data) and data.startswith(again):
            raise WireError(Reason.TRAILING_BYTES, "CBOR", f"{len(data) - len(again)} bytes after the value")
        raise WireError(Reason.NOT_DETERMINISTIC, "CBOR", "not the deterministic encoding of its value")
    return value


def read_item(data: bytes, offset: int) -> int:
    """Where the data item that starts at ``offset`` ends (RFC 8742 sequences); WireError where it does not."""
    end = len(data)
    pending = 1
    items = 0
    while pending:
        items += 1
        if items > limits.CBOR_ITEMS:
            raise WireError(Reason.TOO_LARGE, "CBOR", f"more than {limits.CBOR_ITEMS} data items")
        if offset >= end:
            raise WireError(Reason.MALFORMED, "CBOR", f"data ends at {end} inside an item")
        major, info = data[offset] >> 5, data[offset] & 0x1F
        offset += 1
        pending -= 1
        argument = info
        if info >= 24:
            if info > 27:
                raise WireError(Reason.MALFORMED, "CBOR", f"indefinite or reserved length at {offset - 1}")
            size = 1 << (info - 24)
            argument = int.from_bytes(data[offset : offset + size], "big")
            offset += size
        if major in (2, 3):
            offset += argument
        elif major == 4:
            pending += argument
        elif major == 5:
            pending += 2 * argument
        elif major == 6:
            pending += 1
        if offset > end or pending > end - offset:
            raise WireError(Reason.MALFORMED, "CBOR", f"a length reaches beyond the end of the data at {end}")
    return offset


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("a tag, which no message uses")


_NO_TAGS = dict.fromkeys((*range(2048), 43000, 55799), _refuse_tag)
# Tags that cbor2 would decode by itself; the rest reach the tag hook. A test walks all 16-bit tags.


def _check_subset(value: Any) -> None:
    kind = type(value)
    if kind is int:
        if not -(2**64) <= value < 2**64:
            raise ValueError("an integer of more than 64 bits")
        return
    if kind is bytes or kind is str or kind is bool or value is None:
        return
    if kind is float:
        if math.isnan(value):
            raise ValueError("NaN has many encodings and no meaning here")
    elif kind is list or kind is tuple:
        for item in value:
            _check_subset(item)
    elif kind is dict:
        keys = set(map(type, value))
        if not (keys <= {str} or (keys == {int} and min(value) >= 0)):
            raise ValueError("map keys are neither all unsigned integers nor all text")
        for item in value.values():
            _check_subset(item)
    else:
        raise TypeError(f"{kind.__name__} is not part of the messages' CBOR")
