"""Waiting for an event, but not for ever; and noticing a cancellation that a library has swallowed."""

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


def is_cancelled() -> bool:
    """Whether the running task has been told to end.

    Before Python 3.12 ``asyncio.wait_for``, which aiomqtt rests on, swallows a cancellation that
    comes together with its result; a loop around them asks here, or it would never end. Not for a task that
    awaits a TaskGroup of its own: a group that failed leaves the count raised.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
