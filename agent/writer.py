"""The one thread that owns the outbox, so that a slow disk never delays a poll and nothing ever collides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from logging import getLogger
from pathlib import Path
from typing import ParamSpec, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.bounds import DEFAULT, Bounds
from agent.log import line
from agent.outbox import Outbox, Standing, open_outbox
from agent.parts import SetAside
from agent.room import Made, make_room
from agent.spans import SealedItem

ASIDE_HINT = "kept in the outbox: see 'emitrace-agent outbox --set-aside', and report the reason"
ROOM_HINT = "they went before their retention: raise [outbox] max_bytes or lower [retention] acknowledged_days"
SALVAGED_HINT = "the outbox was full; the damaged file beside it still holds them: raise [outbox] max_bytes"
DROPPED_HINT = "the outbox was full of what no collector has; signed tombstones say so: raise [outbox] max_bytes"

_log = getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Writer:
    """An outbox behind its thread; calls run in the order they were made."""

    def __init__(self, outbox: Outbox, thread: ThreadPoolExecutor, damaged: Path | None) -> None:
        self.outbox = outbox
        self.damaged = damaged
        self._thread = thread

    @classmethod
    async def open(cls, path: Path, now_ms: int, bounds: Bounds = DEFAULT) -> Writer:
        """Open the outbox in its thread."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        try:
            loop = asyncio.get_running_loop()
            outbox, damaged = await loop.run_in_executor(thread, open_outbox, path, now_ms, bounds)
        except BaseException:
            thread.shutdown()
            raise
        return cls(outbox, thread, damaged)

    async def call(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a method of the outbox in the thread. A call once made runs to its end, cancelled or not."""
        return await asyncio.shield(asyncio.wrap_future(self._thread.submit(method, *args, **kwargs)))

    async def seal(
        self, items: Sequence[SealedItem], standing: Standing, edge_ms: int, aside: Sequence[SetAside] = ()
    ) -> None:
        """Seal a span in its parts, and say what no batch could hold and where it is now."""
        await self.call(self.outbox.seal_all, items, standing, edge_ms, aside)
        _say(aside)

    async def set_aside(self, aside: Sequence[SetAside]) -> None:
        """Keep what no batch can hold, and say so."""
        if aside:
            await self.call(self.outbox.set_aside_results, aside)
            _say(aside)

    async def make_room(self, standing: Standing, key: Ed25519PrivateKey) -> Made:
        """Keep the outbox under its cap, and say what that cost."""
        made = await self.call(make_room, self.outbox, standing, key)
        if made.acknowledged:
            _log.warning(line("room-made", acknowledged_items=made.acknowledged, hint=ROOM_HINT))
        if made.salvaged:
            _log.error(line("salvaged-dropped", items=made.salvaged, hint=SALVAGED_HINT))
        if made.dropped:
            span = {"from_ms": made.dropped[0].from_ms, "to_ms": made.dropped[-1].to_ms}
            _log.error(line("batches-dropped", items=len(made.dropped), **span, hint=DROPPED_HINT))
        return made

    async def answers(self) -> None:
        """Wait until the thread has done everything asked of it before."""
        await self.call(lambda: None)

    async def close(self) -> None:
        """Finish what was asked, close the file, end the thread."""
        await self.call(self.outbox.close)
        self._thread.shutdown()


def _say(aside: Sequence[SetAside]) -> None:
    for one in aside:
        _log.error(
            line(
                "set-aside", sequence=one.sequence, from_ms=one.from_ms, to_ms=one.to_ms, results=one.results,
                reason=one.reason, hint=ASIDE_HINT,
            )
        )
