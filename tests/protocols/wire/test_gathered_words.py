"""Words joined from registers that are no neighbours travel as any others do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.decode import decimals, join_words
from protocols.modbus.planner import plan_reads
from protocols.modbus.registermap import Quirks
from protocols.records import Fate, Samples
from protocols.wire.errors import WireError
from protocols.wire.samples import OFFSETS, read_samples, samples_map
from tests.protocols.modbus.points import make_point, make_register
from tests.protocols.modbus.test_planner import bound_of

REGISTERS = [
    make_register(address=0, type="u32", scale_factor={"address": 2}),
    make_register(addresses=[5, 3], type="bcd32"),
    make_register(address=4, type="u16"),
    make_register(address=6, type="u48"),
]


@given(st.lists(st.lists(st.integers(0, 0xFFFF), min_size=9, max_size=9), min_size=1, max_size=5))
def test_a_reader_gets_the_words_and_needs_no_places(answers: list[list[int]]) -> None:
    """Three registers make a word of four, also at the end of the answer; what is read decodes alike."""
    (request,) = plan_reads(bound_of([make_point(one) for one in REGISTERS], [("a", 1)], [Quirks()]))
    words = join_words(np.array(answers, dtype=np.uint16), request)
    fates = np.full(len(answers), Fate.GOOD, dtype=np.uint16)
    samples = Samples(request, 7, fates, np.full(len(answers), 20, dtype=np.int64), words)
    last_words = np.zeros(len(REGISTERS), dtype=np.uint64)
    read = read_samples(samples_map(samples, last_words, "samples"), last_words, 10, 100, "samples")

    assert request == read.request
    assert words.tolist() == read.words.tolist()
    for column, position in enumerate(read.request.points):
        register = REGISTERS[position]
        assert decimals(words[:, column], register) == decimals(read.words[:, column], register)


def test_a_word_must_begin_inside_the_answer() -> None:
    """A place behind the last register is refused."""
    (request,) = plan_reads(bound_of([make_point(REGISTERS[3])], [("a", 1)], [Quirks()]))
    samples = Samples(request, 0, np.zeros(0, np.uint16), np.zeros(0, np.int64), np.zeros((0, 1), np.uint64))
    fields = samples_map(samples, np.zeros(1, np.uint64), "samples")
    fields[OFFSETS] = bytes((1, 6))

    with pytest.raises(WireError, match="outside the answer's 3 registers"):
        read_samples(fields, np.zeros(1, np.uint64), 10, 100, "samples")
