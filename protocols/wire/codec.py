"""Messages in one call: record -> map -> compressed -> signed, and strictly back.

Reading goes signature first, over the received bytes, then a decompression bounded to 8 MiB, then the
strict decode. Compressed bytes are never compared: two zlib versions may differ; the map inside may not.
"""

from __future__ import annotations

import hashlib
import zlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.messages import Ack, Live, Notice, PlanPush, Resend, Watch
from protocols.records import ItemKind, StreamItem
from protocols.wire import cbor, limits
from protocols.wire.control import ack_map, push_map, read_ack_map, read_push_map, read_resend_map, resend_map
from protocols.wire.cose import Sealed, open_sealed, sign, verify
from protocols.wire.errors import Reason, WireError
from protocols.wire.items import item_map, kind_of, read_item_map
from protocols.wire.live import live_map, read_live_map, read_watch_map, watch_map
from protocols.wire.notices import notice_map, read_notice_map

_TYPE = "application/vnd.emitrace.{}+cbor;v=1"
CONTENT_TYPES = {kind: _TYPE.format(kind.value) for kind in ItemKind}
ACK_TYPE = _TYPE.format("ack")
RESEND_TYPE = _TYPE.format("resend")
PUSH_TYPE = _TYPE.format("plan-push")
WATCH_TYPE = _TYPE.format("watch")
NOTICE_TYPE = _TYPE.format("notice")
_KINDS = {content_type: kind for kind, content_type in CONTENT_TYPES.items()}


def encode_item(item: StreamItem) -> bytes:
    """The deterministic CBOR map of an item, before compression: same item, same bytes."""
    return _encode(item_map(item), kind_of(item).value)


def decode_item(data: bytes, kind: ItemKind) -> StreamItem:
    """The item in a decompressed map."""
    return read_item_map(cbor.decode(data), kind)


def seal_item(item: StreamItem, key: Ed25519PrivateKey) -> bytes:
    """The complete tagged bytes of an item."""
    return _seal(CONTENT_TYPES[kind_of(item)], encode_item(item), key)


def read_item(data: bytes, public_key: bytes) -> StreamItem:
    """The item that ``public_key`` signed as these bytes; WireError with its reason otherwise."""
    sealed = open_sealed(data)
    verify(sealed, public_key)
    return decode_item(decompress(sealed.payload), item_kind(sealed))


def item_kind(sealed: Sealed) -> ItemKind:
    """What kind of item a sealed message says it is."""
    kind = _KINDS.get(sealed.content_type)
    if kind is None:
        raise WireError(
            Reason.WRONG_CONTENT_TYPE, "message", f"content type {sealed.content_type!r}", f"one of {', '.join(_KINDS)}"
        )
    return kind


def item_digest(data: bytes) -> bytes:
    """SHA-256 of an item's complete tagged bytes: what the next item names as its previous."""
    return hashlib.sha256(data).digest()


def seal_ack(ack: Ack, key: Ed25519PrivateKey) -> bytes:
    """A signed acknowledgement."""
    return _seal(ACK_TYPE, _encode(ack_map(ack), "ack"), key)


def read_ack(data: bytes, public_key: bytes) -> Ack:
    """The acknowledgement that the collector's key signed."""
    return read_ack_map(cbor.decode(_open(data, public_key, ACK_TYPE)))


def seal_resend(resend: Resend, key: Ed25519PrivateKey) -> bytes:
    """A signed resend request."""
    return _seal(RESEND_TYPE, _encode(resend_map(resend), "resend"), key)


def read_resend(data: bytes, public_key: bytes) -> Resend:
    """The resend request that the collector's key signed."""
    return read_resend_map(cbor.decode(_open(data, public_key, RESEND_TYPE)))


def seal_push(push: PlanPush, key: Ed25519PrivateKey) -> bytes:
    """A signed plan for an agent to go on with."""
    return _seal(PUSH_TYPE, _encode(push_map(push), "push"), key)


def read_push(data: bytes, public_key: bytes) -> PlanPush:
    """The plan that the collector's key signed."""
    return read_push_map(cbor.decode(_open(data, public_key, PUSH_TYPE)))


def seal_watch(watch: Watch, key: Ed25519PrivateKey) -> bytes:
    """A signed watch."""
    return _seal(WATCH_TYPE, _encode(watch_map(watch), "watch"), key)


def read_watch(data: bytes, public_key: bytes) -> Watch:
    """The watch that the collector's key signed."""
    return read_watch_map(cbor.decode(_open(data, public_key, WATCH_TYPE)))


def seal_notice(notice: Notice, key: Ed25519PrivateKey) -> bytes:
    """A signed notice."""
    return _seal(NOTICE_TYPE, _encode(notice_map(notice), "notice"), key)


def read_notice(data: bytes, public_key: bytes) -> Notice:
    """The notice that the collector's key signed."""
    return read_notice_map(cbor.decode(_open(data, public_key, NOTICE_TYPE)))


def encode_live(live: Live) -> bytes:
    """A live message: bare deterministic CBOR, unsigned."""
    data = _encode(live_map(live), "live")
    _check_live_size(data)
    return data


def read_live(data: bytes) -> Live:
    """What an agent shows while it is watched; nobody has signed it."""
    _check_live_size(data)
    return read_live_map(cbor.decode(data))


def decompress(payload: bytes) -> bytes:
    """The map inside a payload, never more than the bound."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(payload, limits.MESSAGE_BYTES)
        if not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1):
            raise WireError(Reason.BOMB, "payload", f"more than {limits.MESSAGE_BYTES} bytes after decompression")
    except zlib.error as error:
        raise WireError(Reason.MALFORMED, "payload", f"not zlib: {error}") from error
    if not inflater.eof:
        raise WireError(Reason.MALFORMED, "payload", "the zlib stream is cut short")
    if inflater.unused_data:
        raise WireError(Reason.TRAILING_BYTES, "payload", f"{len(inflater.unused_data)} bytes after the zlib stream")
    return data


def _encode(fields: dict[int, object], what: str) -> bytes:
    try:
        data = cbor.encode(fields)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(Reason.SCHEMA, what, str(error)) from error
    if len(data) > limits.MESSAGE_BYTES:
        raise WireError(Reason.TOO_LARGE, what, f"{len(data)} bytes, at most {limits.MESSAGE_BYTES}", "split it")
    return data


def _check_live_size(data: bytes) -> None:
    if len(data) > limits.LIVE_BYTES:
        raise WireError(Reason.TOO_LARGE, "live", f"{len(data)} bytes, at most {limits.LIVE_BYTES}")


def _seal(content_type: str, data: bytes, key: Ed25519PrivateKey) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, strategy=zlib.Z_FILTERED)  # smallest of those measured on byte planes
    return sign(key, content_type, deflater.compress(data) + deflater.flush())


def _open(data: bytes, public_key: bytes, content_type: str) -> bytes:
    sealed = open_sealed(data)
    verify(sealed, public_key)
    if sealed.content_type != content_type:
        raise WireError(Reason.WRONG_CONTENT_TYPE, "message", f"content type {sealed.content_type!r}", content_type)
    return decompress(sealed.payload)
