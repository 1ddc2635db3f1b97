"""What the central team said of the instruments' calibration, kept as it was signed for the technician beside them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from agent.trust import Refused, Trust
from protocols.messages import Notice

FILE = "notice.cose"


def held_notice(folder: Path, trust: Trust, stream_id: bytes) -> Notice | None:
    """The notice kept in the state folder; None where there is none that is believed for this stream."""
    with suppress(OSError, Refused):
        return trust.notice((folder / FILE).read_bytes(), stream_id)
    return None


def keep_notice(folder: Path, trust: Trust, notice: Notice, data: bytes) -> Notice:
    """Keep a notice as it was signed unless one that is not older is held; the one held then."""
    held = held_notice(folder, trust, notice.stream_id)
    if held is not None and held.issued_ms >= notice.issued_ms:
        return held
    draft = folder / f".{FILE}.{os.getpid()}"
    draft.write_bytes(data)
    draft.replace(folder / FILE)
    return notice
