"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def comes_within(event: asyncio.Event, wait_s: float) -> bool:
    """Whether an event comes within a time; at least one look is taken. [s]"""
    if not event.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(max(wait_s, 0)):
                await event.wait()
    return event.is_set()
