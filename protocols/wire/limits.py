"""Bounds on everything a reader of outside bytes allocates for, and that a writer therefore keeps.

A batch that would pass a bound is split by the agent into several shorter batches.
"""

from __future__ import annotations

MESSAGE_BYTES = 8 * 2**20
"""A sealed message, and the map inside it after decompression. [bytes]"""

DOCUMENT_BYTES = 4 * 2**20
"""A plan document. [bytes]"""

CBOR_DEPTH = 12
"""Containers inside containers."""

CBOR_ITEMS = 500_000
"""Data items in one message; large numbers of values travel in byte strings."""

REQUESTS = 4_096
"""Requests of a read plan."""

POINTS = 16_384
"""Points of a plan."""

REGISTERS = 125
"""Registers in one Modbus answer, hence also points in one request."""

SLOTS = 2**23
"""Slots in one batch, summed over its requests."""

WORDS = 2**23
"""Register words (times x points) in one batch."""

WINDOWS = 2**18
"""Windows in one batch."""

EVENTS = 4_096
"""Events in one batch."""

SLOT_COUNTS = 2**17
"""Slot counts in one batch."""

STATE_ITEMS = 2**17
"""Held samples, and counter candidates, in one opening state."""

RANGES = 4_096
"""Ranges in an acknowledgement or a resend request."""

LIVE_POINTS = 4_096
"""Points that one watch asks for, and that one live message holds."""

LIVE_BYTES = 2**17
"""A live message: so many points with words of four registers, and what goes with them. [bytes]"""

INSTRUMENTS = 4_096
"""Instruments of one notice."""

WATCH_S = 60
"""How long one watch holds. [s]"""

TEXT = 4_096
"""Characters of one text (a subject, a reason, a detail)."""

CAUSES = 64
"""Causes of shared uncertainty of one source and gas."""

INDEX = 2**16
"""Position of a bus, scan class, source, input or gas in the plan."""

TIME_MS = 2**48
"""An instant on the UTC time line. [ms]"""

SEQUENCE = 2**63
"""A sequence number or slot index."""

AMOUNT = 2**62
"""Magnitude of an amount: mass [mg], activity or counter index [base unit]."""
