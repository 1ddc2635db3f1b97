"""The desk's counter: a Unix socket in the state folder, open to the agent's own user and group.

A question is one line; the answer is one line per object and an empty object at the end, or ``{"error": ...}``,
beside it ``error_zh`` where the answer has Chinese words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from logging import getLogger
from pathlib import Path

from agent.desk.asks import MOST_BYTES, DeskError, line_of, open_ask
from agent.desk.desk import Desk
from agent.desk.visit import SOCKET
from agent.log import line as log_line
from protocols.errors import EmitraceError

NOT_FOR_OTHERS = 0o117
"""Umask of the socket: its mode is 0660."""
MOST_VISITORS = 8
IDLE_S = 60.0

_log = getLogger(__name__)


@asynccontextmanager
async def open_counter(folder: Path, desk: Callable[[], Desk]) -> AsyncIterator[None]:
    """Answer whoever asks until the block ends; a socket that cannot be made is told in the log, and polling goes on.

    Parameters
    ----------
    desk : callable
        The desk of the run there is now; DeskError where there is none.
    """
    path, visitors = folder / SOCKET, set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(visitors) >= MOST_VISITORS:
            writer.close()
            return
        visitors.add(task)
        try:
            await _serve(reader, writer, desk)
        finally:
            visitors.discard(task)
            writer.close()

    try:
        path.unlink(missing_ok=True)
        before = os.umask(NOT_FOR_OTHERS)
        try:
            server = await asyncio.start_unix_server(serve, path, limit=MOST_BYTES)
        finally:
            os.umask(before)
    except OSError as error:
        _log.error(log_line("no-desk", path=path, error=error, hint="commands cannot ask this agent; polling goes on"))
        yield
        return
    try:
        yield
    finally:
        server.close()
        for task in visitors:
            task.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, desk: Callable[[], Desk]) -> None:
    """Question after question, until the visitor goes or says nothing for long."""
    with suppress(ConnectionError, TimeoutError):
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    asked = await reader.readline()
            except ValueError:
                writer.write(line_of({"error": f"a question longer than {MOST_BYTES} bytes"}))
                await writer.drain()
                return
            if not asked.endswith(b"\n"):
                return
            try:
                async with aclosing(desk().answer(open_ask(asked))) as answers:
                    async for told in answers:
                        writer.write(line_of(told))
                        await writer.drain()
            except EmitraceError as error:
                zh = error.zh if isinstance(error, DeskError) else ""
                writer.write(line_of({"error": str(error), **({"error_zh": zh} if zh else {})}))
            else:
                writer.write(line_of({}))
            await writer.drain()
