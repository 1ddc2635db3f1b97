"""Items, acknowledgements and resend requests: the way to bytes and strictly back."""

from __future__ import annotations

import zlib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings

from protocols.messages import Ack, Resend
from protocols.records import Batch, ItemKind, StreamItem
from protocols.transparency.loss import Loss, encode_loss
from protocols.transparency.succession import encode_succession
from protocols.wire import cbor, limits
from protocols.wire.codec import (
    CONTENT_TYPES,
    decode_item,
    encode_item,
    item_digest,
    read_ack,
    read_item,
    read_push,
    read_resend,
    seal_ack,
    seal_item,
    seal_push,
    seal_resend,
)
from protocols.wire.control import ack_map, push_map, resend_map
from protocols.wire.cose import open_sealed, sign
from protocols.wire.errors import Reason, WireError
from protocols.wire.items import item_map, kind_of
from tests.protocols.wire.examples import (
    ACK,
    KEY,
    OTHER_KEY,
    PLAN,
    PUBLIC,
    PUSH,
    RENAMED,
    RESEND,
    SUCCESSION,
    TOMBSTONE,
    batches,
    items,
    minute,
    same_samples,
)

pycddl = pytest.importorskip("pycddl", reason="pycddl has wheels for x86-64 only")
CDDL = (resources.files("protocols.wire") / "schema.cddl").read_text(encoding="utf-8")


def conforms(rule: str, data: bytes) -> None:
    """Raise unless the data conforms to a rule of schema.cddl."""
    pycddl.Schema(f"start = {rule}\n{CDDL}").validate_cbor(data)


def sealed_map(value: object, content_type: str = CONTENT_TYPES[ItemKind.BATCH]) -> bytes:
    """Any value, signed as if it were a message."""
    return sign(KEY, content_type, zlib.compress(cbor.encode(value)))


def reason_of(data: bytes, key: bytes = PUBLIC) -> Reason:
    """Why a message is refused."""
    with pytest.raises(WireError) as refused:
        read_item(data, key)
    return refused.value.reason


@settings(max_examples=150, deadline=None)
@given(items)
def test_what_is_sealed_is_read_back_equal(item: StreamItem) -> None:
    """Every item comes back as it went, its map encodes to the same bytes and conforms to the schema."""
    data = encode_item(item)
    again = read_item(seal_item(item, KEY), PUBLIC)

    conforms({"plan": "plan-item"}.get(kind_of(item).value, kind_of(item).value), data)
    assert data == encode_item(again)
    if isinstance(item, Batch):
        assert isinstance(again, Batch)
        assert same_samples(item.samples, again.samples)
        assert replace(item, samples=()).__reduce_ex__(2)[2] == replace(again, samples=()).__reduce_ex__(2)[2]
    else:
        assert item == again


def test_the_envelope_and_the_back_path_conform_to_the_schema() -> None:
    """Sealed bytes, the protected header, acknowledgements, resend requests and leaves are what the schema says."""
    sealed = seal_item(minute(), KEY)

    conforms("sealed", sealed)
    conforms("protected-header", open_sealed(sealed).protected)
    conforms("ack", cbor.encode(ack_map(ACK)))
    conforms("ack", cbor.encode(ack_map(Ack(bytes(16), -1))))
    conforms("ack", cbor.encode(ack_map(RENAMED)))
    conforms("origin-record", encode_succession(SUCCESSION))
    conforms("loss-record", encode_loss(Loss("ab" * 32, bytes(16), 3, 9, "li", "disk lost", 5)))
    conforms("resend", cbor.encode(resend_map(RESEND)))
    conforms("plan-push", cbor.encode(push_map(PUSH)))
    conforms("leaf", cbor.encode(["item", "an id", bytes(32)]))
    conforms("plan-document", cbor.encode({1: 1, 2: "text", 3: {"model": "text"}}))


@pytest.mark.parametrize("key", range(1, 15))
def test_the_schema_refuses_a_batch_without_any_of_its_fields(key: int) -> None:
    """The schema is no rubber stamp: every field is required, by it and by the decoder."""
    fields = item_map(minute(times=1))
    del fields[key]
    data = cbor.encode(fields)

    with pytest.raises(pycddl.ValidationError):
        conforms("batch", data)
    with pytest.raises(WireError) as refused:
        decode_item(data, ItemKind.BATCH)
    assert Reason.SCHEMA == refused.value.reason


def test_the_back_path_comes_back_equal() -> None:
    """Acknowledgements, resend requests and pushed plans are read as sent."""
    assert read_ack(seal_ack(ACK, KEY), PUBLIC) == ACK
    assert read_ack(seal_ack(RENAMED, KEY), PUBLIC) == RENAMED
    assert read_resend(seal_resend(RESEND, KEY), PUBLIC) == RESEND
    assert read_push(seal_push(PUSH, KEY), PUBLIC) == PUSH


@pytest.mark.parametrize("ranges", [((5, 4),), ((1, 2), (3, 4)), ((7, 9), (1, 2)), ((1, 5), (4, 6))])
def test_ranges_that_do_not_ascend_are_refused(ranges: tuple[tuple[int, int], ...]) -> None:
    """A range ends where it begins or later, and neighbours that touch are one range."""
    with pytest.raises(WireError, match=r"resend\.ranges"):
        read_resend(seal_resend(Resend(bytes(16), ranges), KEY), PUBLIC)


@pytest.mark.parametrize(
    ("requests", "noise", "times", "most"),
    [(1, 0.0, 60, 1.5), (5, 0.0, 60, 1.5), (1, 0.002, 60, 2.5), (1, 0.0, 3600, 1.1), (1, 0.002, 3600, 2.2)],
)
def test_a_reading_costs_few_bytes(requests: int, noise: float, times: int, most: float) -> None:
    """50 points, 12 window series and everything else, signed: bytes per reading stay within the goal."""
    sealed = seal_item(minute(times=times, requests=requests, noise=noise), KEY)

    assert len(sealed) / (50 * times) <= most


def test_same_item_same_bytes() -> None:
    """The map before compression is a function of the item alone."""
    assert encode_item(minute()) == encode_item(minute())
    assert item_digest(seal_item(minute(), KEY)) == item_digest(seal_item(minute(), KEY))


def test_another_key_is_refused() -> None:
    """A message is read only with the key that signed it."""
    other = OTHER_KEY.public_key().public_bytes_raw()

    assert reason_of(seal_item(PLAN, KEY), other) is Reason.UNKNOWN_KEY
    assert (
        reason_of(seal_item(PLAN, KEY).replace(open_sealed(seal_item(PLAN, KEY)).kid, b"k" * 32)) is Reason.UNKNOWN_KEY
    )


def test_a_changed_payload_is_a_wrong_signature() -> None:
    """One changed byte of the payload breaks the signature before anything is decompressed."""
    sealed = seal_item(PLAN, KEY)
    payload = open_sealed(sealed).payload

    assert reason_of(sealed.replace(payload, payload[:-1] + bytes([payload[-1] ^ 1]))) is Reason.WRONG_SIGNATURE


def test_a_bomb_is_stopped_at_the_bound() -> None:
    """A payload that grows beyond 8 MiB is refused, whatever it would hold."""
    bomb = zlib.compress(bytes(limits.MESSAGE_BYTES + 1), 9)

    assert reason_of(sign(KEY, CONTENT_TYPES[ItemKind.BATCH], bomb)) is Reason.BOMB
    assert reason_of(bytes(limits.MESSAGE_BYTES + 1)) is Reason.TOO_LARGE


def test_many_small_objects_are_counted_before_they_are_made() -> None:
    """Millions of empty arrays fit in 8 MiB; they are refused by count."""
    crowd = b"\x9a" + (limits.MESSAGE_BYTES - 5).to_bytes(4, "big") + b"\x80" * (limits.MESSAGE_BYTES - 5)

    assert reason_of(sign(KEY, CONTENT_TYPES[ItemKind.BATCH], zlib.compress(crowd, 9))) is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"not zlib", Reason.MALFORMED),
        (zlib.compress(b"\xa0")[:-1], Reason.MALFORMED),
        (zlib.compress(b"\xa0") + b"x", Reason.TRAILING_BYTES),
        (zlib.compress(b"\xa0\x00"), Reason.TRAILING_BYTES),
        (zlib.compress(b"\xa2\x01\x01\x01\x02"), Reason.DUPLICATE_KEYS),
        (zlib.compress(b"\xa2\x02\x01\x01\x02"), Reason.NOT_DETERMINISTIC),
        (zlib.compress(b"\xbf\xff"), Reason.MALFORMED),
        (zlib.compress(b"\xa1\x01\x02"), Reason.UNSUPPORTED_VERSION),
        (zlib.compress(b"\xa1\x01\x01"), Reason.SCHEMA),
        (zlib.compress(b"\x80"), Reason.SCHEMA),
    ],
)
def test_a_payload_that_is_no_message_says_why(payload: bytes, reason: Reason) -> None:
    """Each way of being wrong has its word."""
    assert reason_of(sign(KEY, CONTENT_TYPES[ItemKind.BATCH], payload)) is reason


@pytest.mark.parametrize("content_type", ["application/cbor", CONTENT_TYPES[ItemKind.BATCH].replace("v=1", "v=2"), ""])
def test_a_foreign_content_type_is_refused(content_type: str) -> None:
    """What a message is says its protected content type, and only the known ones are read."""
    assert reason_of(sign(KEY, content_type, zlib.compress(b"\xa0"))) is Reason.WRONG_CONTENT_TYPE


def test_an_item_is_no_acknowledgement() -> None:
    """A message of one kind is never read as another."""
    with pytest.raises(WireError) as refused:
        read_ack(seal_item(TOMBSTONE, KEY), PUBLIC)
    assert Reason.WRONG_CONTENT_TYPE == refused.value.reason
    with pytest.raises(WireError) as refused:
        read_ack(sealed_map(resend_map(RESEND)), PUBLIC)
    assert Reason.WRONG_CONTENT_TYPE == refused.value.reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((3,), -1), ((3,), 2**63), ((3,), True), ((3,), 1.0), ((2,), bytes(15)), ((4,), bytes(33)), ((6,), 2**48),
        ((7,), 0), ((8, 2), 3), ((9,), "x" * 65), ((10, 2), 10**9), ((10, 3), b""), ((10, 3), b"\x03" + bytes(150)),
        ((10, 3), b"\x01" + bytes(50)), ((10, 4, 0), 51), ((10, 5, 0), 10**6), ((10, 6), [[99, [[1, 1]]]]),
        ((11, 0, 1, 4), 126), ((11, 0, 2, 0), 126), ((11, 0, 4), [[50, 3]]), ((11, 0, 4), [[25, 2], [25, 2]]),
        ((11, 0, 6), [[2**40, 0]]), ((11, 0, 6), [[1, 0], [1, 0]]), ((11, 0, 6), [[0, 0]]), ((11, 0, 6), [[1, 255]]),
        ((11, 0, 6), [[1, 0x100]]), ((11, 0, 7), b"\x00\x00"), ((11, 0, 8), [b"short"]), ((11, 0, 8), []),
        ((12, 0, 0), 99), ((12, 0, 3), [["a"]]), ((12, 0, 3), [["a", None]]), ((13, 0, 4), 2**30), ((13, 0, 4), 0),
        ((13, 0, 13), b"\xff" * 8), ((13, 0, 3), 65), ((14, 0), 2**30), ((14, 1), b"\x01" + b"\x80" * 50),
    ],
)  # fmt: skip
def test_a_field_out_of_range_is_refused_by_name(path: tuple[int, ...], value: object) -> None:
    """Every index, count and length is bounded before anything is allocated for it."""
    fields = item_map(minute(times=2))
    place = fields
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(WireError) as refused:
        decode_item(cbor.encode(fields), ItemKind.BATCH)
    assert Reason.SCHEMA == refused.value.reason
    assert refused.value.subject.startswith("batch")


def test_slots_of_all_requests_together_are_bounded() -> None:
    """Runs are tiny on the wire, so their sum is bounded over the whole batch."""
    fields = item_map(minute(times=1, requests=5))
    for part in fields[11]:
        part[6] = [[limits.SLOTS // 4, 2]]
        part[7], part[8] = b"\x00", [b""]

    with pytest.raises(WireError, match=r"batch\.samples\[4\]\.fates"):
        decode_item(cbor.encode(fields), ItemKind.BATCH)


def test_an_uncertainty_that_is_no_float32_is_not_sent() -> None:
    """Rounding on the wire would make edge and collector differ; the fold rounds, the codec refuses."""
    batch = minute(times=1)
    window = replace(batch.windows[0], u_independent=0.1)

    with pytest.raises(WireError, match="float32"):
        encode_item(replace(batch, windows=(window,)))


@settings(max_examples=30, deadline=None)
@given(batches())
def test_words_wider_than_their_registers_are_not_sent(batch: Batch) -> None:
    """A word that its registers cannot hold is an error of the sender, shown at the sender."""
    for number, samples in enumerate(batch.samples):
        if samples.words.size and samples.request.widths[0] < 4:
            words = samples.words.copy()
            words[0, 0] = np.uint64(2**63)
            broken = [*batch.samples]
            broken[number] = replace(samples, words=words)
            with pytest.raises(WireError, match="bits"):
                encode_item(replace(batch, samples=tuple(broken)))
            return
