"""A visitor's side of the desk: ask an agent that runs, over its socket. Speaks no Modbus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from agent.desk.asks import MOST_BYTES, Ask, DeskError, line_of

SOCKET = "desk.sock"
"""In the state folder."""
_LARGEST = 64 * MOST_BYTES
"""Of an answer's line: the values of a large plan."""


class Desk(Protocol):
    """Where to ask, be it in this program or in another."""

    def answer(self, ask: Ask) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of the answer; DeskError where there is none."""


class Visit:
    """A connection to the desk of a running agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self, ask: Ask) -> AsyncGenerator[dict[str, Any], None]:
        """The objects of the answer, as they come."""
        self._writer.write(line_of(ask.model_dump(mode="json")))
        await self._writer.drain()
        while True:
            told = await self._reader.readline()
            if not told.endswith(b"\n"):
                hint, zh = "is it being stopped? try again", "现场代理没有回答就离开了，可能正在停止。请再试一次。"
                raise DeskError("agent", "went away before it had answered", hint, zh=zh)
            answer = json.loads(told)
            if not answer:
                return
            if isinstance(problem := answer.get("error"), str):
                raise DeskError("", problem, zh=str(answer.get("error_zh", "")))
            yield answer


@asynccontextmanager
async def visit(folder: Path) -> AsyncIterator[Visit]:
    """Go to the desk of the agent that runs in a state folder; DeskError where it has none."""
    path = folder / SOCKET
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LARGEST)
    except PermissionError as error:
        hint = "run the command as the agent's own user (sudo -u emitrace), or join its group"
        zh = f"无权打开 {path}。请以现场代理的用户身份运行本页面（sudo -u emitrace）。"
        raise DeskError(f"desk {path}", "may not be opened", hint, zh=zh) from error
    except OSError as error:
        hint, zh = "the agent is starting, or does not run", "现场代理正在启动，或者没有运行。请看“检查”页。"
        raise DeskError(f"desk {path}", error.strerror or str(error), hint, zh=zh) from error
    try:
        yield Visit(reader, writer)
    finally:
        writer.close()


async def ask_one(desk: Desk, ask: Ask) -> dict[str, Any]:
    """The one object that answers a question."""
    async with aclosing(desk.answer(ask)) as answers:
        told = [one async for one in answers]
    if len(told) != 1:
        zh = f"现场代理给出了 {len(told)} 个回答。请报告此问题。"
        raise DeskError("agent", f"gave {len(told)} answers", "report this", zh=zh)
    return told[0]
