"""An embedded MQTT 3.1.1 broker (amqtt) with password sign-in, for machines without mosquitto.

Sign-in is needed: amqtt keeps no session of an anonymous client. Messages live in memory only. What was in
flight and not acknowledged is not sent again after a reconnect, so only an application's own acknowledgement
makes delivery safe; Emitrace relies on nothing else with any broker.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

CLOSE_WITHIN_S = 10


class EmbeddedBroker:
    """One listener, one user. ``password`` is kept hashed in a private temporary file while it runs."""

    def __init__(self, host: str, port: int, username: str, password: str) -> None:
        self.address = (host, port)
        self._login = (username, password)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._broker: Any = None

    async def start(self) -> int:
        """Listen; the bound port (useful where the port is 0)."""
        self._folder = tempfile.TemporaryDirectory(prefix="emitrace-broker-")
        users = Path(self._folder.name) / "users"
        users.touch(mode=0o600)
        username, password = self._login
        users.write_text(f"{username}:{PasswordHash((Argon2Hasher(),)).hash(password)}\n", encoding="utf-8")
        host, port = self.address
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
            "timeout_disconnect_delay": 0,
            "plugins": {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(users)}},
        }
        self._broker = Broker(config)
        await self._broker.start()
        listener: asyncio.Server = self._broker._servers["default"].instance  # noqa: SLF001 - no public way to the port
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close every session and stop listening."""
        if self._broker is not None:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._broker.shutdown()
            self._broker = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
