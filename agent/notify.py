"""The agent's word to a service manager: that it polls, that it still lives, what it is about, and that it ends.

The protocol is sd_notify(3); without a manager nothing is sent. A sign of life needs the event loop to turn and the
outbox's thread to answer: an agent whose loop or disk thread hangs is restarted by the manager.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def tell_manager(*states: str) -> None:
    """Send assignments to the service manager's socket, where there is one that takes them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto("\n".join(states).encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError:
            return


def life_sign_s() -> float | None:
    """How often the manager must hear of this process: half of what it allows; None where it does not ask. [s]"""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    asked = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(allowed_us) / 2e6 if asked and allowed_us.isdecimal() and int(allowed_us) else None


async def give_signs_of_life(answers: Callable[[], Awaitable[object]]) -> None:
    """Tell the manager again and again, each time after the outbox's thread has answered; ends only by cancelling."""
    every_s = life_sign_s()
    while every_s is not None:
        await answers()
        tell_manager(ALIVE)
        await asyncio.sleep(every_s)
