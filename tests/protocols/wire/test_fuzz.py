"""Every reader of outside bytes, fed with rubbish and with nearly right messages: WireError or a value, soon."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.records import ItemKind
from protocols.wire import cbor
from protocols.wire.codec import (
    ACK_TYPE,
    CONTENT_TYPES,
    NOTICE_TYPE,
    PUSH_TYPE,
    RESEND_TYPE,
    WATCH_TYPE,
    read_ack,
    read_item,
    read_live,
    read_notice,
    read_push,
    read_resend,
    read_watch,
    seal_item,
)
from protocols.wire.control import ack_map, push_map, resend_map
from protocols.wire.cose import open_sealed, sign
from protocols.wire.errors import WireError
from protocols.wire.items import item_map
from protocols.wire.live import live_map, watch_map
from protocols.wire.notices import notice_map
from protocols.wire.topics import parse_live, parse_up
from tests.protocols.wire.examples import (
    ACK,
    KEY,
    KEY_CHANGE,
    LIVE,
    NOTICE,
    PLAN,
    PUBLIC,
    PUSH,
    RENAMED,
    RESEND,
    TOMBSTONE,
    WATCH,
    minute,
)
from tests.protocols.wire.worst import STATUS

READERS: dict[str, tuple[str, Callable[[bytes, bytes], object], dict[int, Any]]] = {
    "batch": (CONTENT_TYPES[ItemKind.BATCH], read_item, item_map(minute(times=3))),
    "plan": (CONTENT_TYPES[ItemKind.PLAN], read_item, item_map(PLAN)),
    "tombstone": (CONTENT_TYPES[ItemKind.TOMBSTONE], read_item, item_map(TOMBSTONE)),
    "key-change": (CONTENT_TYPES[ItemKind.KEY_CHANGE], read_item, item_map(KEY_CHANGE)),
    "ack": (ACK_TYPE, read_ack, ack_map(ACK)),
    "ack-origin": (ACK_TYPE, read_ack, ack_map(RENAMED)),
    "push": (PUSH_TYPE, read_push, push_map(PUSH)),
    "resend": (RESEND_TYPE, read_resend, resend_map(RESEND)),
    "notice": (NOTICE_TYPE, read_notice, notice_map(NOTICE)),
    "watch": (WATCH_TYPE, read_watch, watch_map(WATCH)),
}
SEALED = seal_item(minute(times=3), KEY)
fuzz = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])

_leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.binary(max_size=40), st.text(max_size=20),
    st.sampled_from([0, 1, 2**16, 2**31, 2**32, 2**48, 2**63, 2**64 - 1, b"\x00", b"\x08" * 9]),
)  # fmt: skip
_any = st.recursive(
    _leaf,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 16) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


def paths(value: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Where everything in a message is."""
    found = [here]
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, part in inside:
        found.extend(paths(part, (*here, key)))
    return found


def only_refused(read: Callable[[], object]) -> None:
    """Read, or be refused in the one way there is; any other exception is a bug."""
    with contextlib.suppress(WireError):
        read()


def replaced(value: Any, path: tuple[object, ...], new: object) -> Any:
    """The message with something else at one place."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@fuzz
@given(st.sampled_from(sorted(READERS)), st.binary(max_size=300))
def test_random_bytes(name: str, data: bytes) -> None:
    """Rubbish instead of a message, of a signed payload, of a map."""
    content_type, read, _ = READERS[name]
    for message in (data, sign(KEY, content_type, data), sign(KEY, content_type, zlib.compress(data))):
        with pytest.raises(WireError):
            read(message, PUBLIC)


@fuzz
@given(st.sampled_from(sorted(READERS)), _any)
def test_random_values(name: str, value: object) -> None:
    """Well-formed CBOR of any shape under a good signature."""
    content_type, read, _ = READERS[name]
    with pytest.raises(WireError):
        read(sign(KEY, content_type, zlib.compress(cbor2.dumps(value, canonical=True))), PUBLIC)


@fuzz
@given(st.data())
def test_one_wrong_field(data: st.DataObject) -> None:
    """A good message with anything at all in one place: refused, or read without harm."""
    content_type, read, fields = READERS[data.draw(st.sampled_from(sorted(READERS)))]
    path = data.draw(st.sampled_from(paths(fields)))
    message = cbor2.dumps(replaced(fields, path, data.draw(_any)), canonical=True)
    only_refused(lambda: read(sign(KEY, content_type, zlib.compress(message)), PUBLIC))


@fuzz
@given(st.data())
def test_flipped_bytes_of_the_map(data: st.DataObject) -> None:
    """A good map with some bytes changed, cut or added, under a good signature."""
    content_type, read, fields = READERS[data.draw(st.sampled_from(sorted(READERS)))]
    message = bytearray(cbor.encode(fields))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)) | st.just(len(message)))
    changed = bytes(message[:cut]) + data.draw(st.binary(max_size=3))
    only_refused(lambda: read(sign(KEY, content_type, zlib.compress(changed)), PUBLIC))


@fuzz
@given(st.binary(max_size=300), _any, st.data())
def test_live_messages_of_any_kind(rubbish: bytes, value: object, data: st.DataObject) -> None:
    """Nobody signs a live message: rubbish, foreign values and a good one with anything in one place."""
    for message in (rubbish, cbor2.dumps(value, canonical=True)):
        with pytest.raises(WireError):
            read_live(message)
    fields = live_map(LIVE)
    path = data.draw(st.sampled_from(paths(fields)))
    changed = cbor2.dumps(replaced(fields, path, data.draw(_any)), canonical=True)
    only_refused(lambda: read_live(changed))


@pytest.mark.parametrize("part", range(8))
def test_every_flipped_bit_of_a_sealed_message_is_refused(part: int) -> None:
    """One flipped bit anywhere in the tagged bytes."""
    for place in range(part, len(SEALED), 8):
        flipped = bytearray(SEALED)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(WireError):
            read_item(bytes(flipped), PUBLIC)


@pytest.mark.parametrize("length", [*range(120), len(SEALED) - 1])
def test_a_message_cut_short_is_refused(length: int) -> None:
    """What breaks off is not a message."""
    with pytest.raises(WireError):
        open_sealed(SEALED[:length])


@fuzz
@given(st.text(max_size=120) | st.from_regex(r"emitrace/v1/[0-9a-f]{60,66}/((up|down)/[a-z]{3,9}|[a-z]{2,6})"))
def test_random_topics(topic: str) -> None:
    """Topics come from outside too."""
    only_refused(lambda: parse_up(topic))
    only_refused(lambda: parse_live(topic))


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
def test_the_worst_messages_cost_little() -> None:
    """Declared sizes are believed only as far as bytes back them: no reader takes long or much."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.protocols.wire.worst"], capture_output=True, text=True, check=False, timeout=120
    )
    assert 0 == done.returncode, done.stderr
    spent_s, rise_kib = (float(figure) for figure in done.stdout.split())

    assert spent_s < 10
    assert rise_kib < 128 * 2**10
