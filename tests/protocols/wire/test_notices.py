"""Notices: the way to bytes and strictly back."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.messages import Notice, Noticed
from protocols.wire import cbor, limits
from protocols.wire.codec import read_notice, read_watch, seal_notice, seal_watch
from protocols.wire.errors import Reason, WireError
from protocols.wire.notices import notice_map
from tests.protocols.wire.examples import KEY, NOTICE, OTHER_KEY, PUBLIC, STREAM, WATCH

pycddl = pytest.importorskip("pycddl", reason="pycddl has wheels for x86-64 only")
CDDL = (resources.files("protocols.wire") / "schema.cddl").read_text(encoding="utf-8")
_text = st.text(st.characters(codec="utf-8"), max_size=20)
_times = st.integers(0, limits.TIME_MS - 1)


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """Any notice the schema allows, small."""
    names = sorted(draw(st.sets(_text, max_size=5)))
    found = tuple(Noticed(name, draw(_text), draw(_text), draw(_times)) for name in names)
    return Notice(STREAM, draw(_times), draw(_text), found)


@given(notices())
def test_a_notice_comes_back_equal(notice: Notice) -> None:
    """Read as it was signed, and as the schema says."""
    pycddl.Schema(f"start = notice\n{CDDL}").validate_cbor(cbor.encode(notice_map(notice)))

    assert notice == read_notice(seal_notice(notice, KEY), PUBLIC)


def test_a_notice_of_another_key_or_kind_is_refused() -> None:
    """Only the collector's signature over a notice makes one."""
    for data, key, reason in (
        (seal_notice(NOTICE, OTHER_KEY), read_notice, Reason.UNKNOWN_KEY),
        (seal_watch(WATCH, KEY), read_notice, Reason.WRONG_CONTENT_TYPE),
        (seal_notice(NOTICE, KEY), read_watch, Reason.WRONG_CONTENT_TYPE),
    ):
        with pytest.raises(WireError) as refused:
            key(data, PUBLIC)
        assert reason is refused.value.reason


ONE = NOTICE.instruments[0]


@pytest.mark.parametrize(
    "wrong",
    [{"stream_id": b"short"}, {"issued_ms": limits.TIME_MS}, {"zone": "z" * 129}, {"instruments": (ONE, ONE)},
     {"instruments": NOTICE.instruments[::-1]}, {"instruments": (replace(ONE, until_ms=limits.TIME_MS),)},
     {"instruments": (replace(ONE, state="s" * 33),)}, {"instruments": (replace(ONE, serial="s" * 129),)},
     {"instruments": tuple(replace(ONE, instrument=f"{n:05}") for n in range(limits.INSTRUMENTS + 1))}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_a_notice_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    """No instrument stands twice, and nothing is longer than the schema says."""
    with pytest.raises(WireError, match="notice") as refused:
        read_notice(seal_notice(replace(NOTICE, **wrong), KEY), PUBLIC)
    assert Reason.SCHEMA is refused.value.reason
