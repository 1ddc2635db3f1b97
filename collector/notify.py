"""What a service manager is told: ready, still alive, stopping. Without systemd nothing is sent."""

from __future__ import annotations

import os
import socket

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def notify(state: str) -> bool:
    """Tell the manager (sd_notify(3)); whether there is one that took it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    name = "\0" + address[1:] if address[0] == "@" else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), name)
        except OSError:
            return False
    return True


def watchdog_s() -> float | None:
    """How often the manager must hear that all is well: half of what it allows; None where it does not ask. [s]"""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(allowed_us) / 2e6 if meant and allowed_us.isdecimal() and int(allowed_us) > 0 else None
