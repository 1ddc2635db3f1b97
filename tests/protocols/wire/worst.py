"""The worst messages read in a process of their own; prints the processor time it took and how far memory rose.

Run as ``python -m tests.protocols.wire.worst``. Nothing measures inside: what traces each allocation or line would
itself be most of the cost.
"""

from __future__ import annotations

import re
import time
import zlib
from pathlib import Path

from protocols.records import ItemKind
from protocols.wire.codec import CONTENT_TYPES, read_item
from protocols.wire.cose import sign
from protocols.wire.errors import WireError
from tests.protocols.wire.examples import KEY, PUBLIC

STATUS = Path("/proc/self/status")
HUGE = (2**63 - 1).to_bytes(8, "big")
WORST = (
    b"\x9b" + HUGE, b"\xbb" + HUGE, b"\x5b" + HUGE, b"\x81" * 100_000, b"\xa1\x01" * 100_000,
    b"\x9a\x00\x07\xa0\x00" + b"\x80" * 500_000, b"\xd8\x23\x78\x20" + b"(a+)+" * 6 + b"$!",
)  # fmt: skip
"""Lengths that nothing backs, deep nesting, very many items, and a regular expression that never ends."""


def memory_kib(name: str) -> int:
    """What Linux says of this process: ``VmRSS`` now, ``VmHWM`` at most so far. [KiB]"""
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def main() -> None:
    """Read each message; whatever is not refused ends this with a traceback."""
    sealed = [sign(KEY, CONTENT_TYPES[ItemKind.BATCH], zlib.compress(message, 9)) for message in WORST]
    before_kib, begun_s = memory_kib("VmRSS"), time.process_time()
    for message in sealed:
        try:
            read_item(message, PUBLIC)
        except WireError:
            continue
        raise AssertionError(f"taken for a message: {message[:20]!r}")
    print(time.process_time() - begun_s, memory_kib("VmHWM") - before_kib)


if __name__ == "__main__":
    main()
