"""Whom the agent believes: one collector, known by its key's fingerprint, speaking of the agent's own stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from protocols.messages import Ack, Notice, PlanPush, Resend, Watch
from protocols.wire.codec import read_ack, read_notice, read_push, read_resend, read_watch
from protocols.wire.errors import WireError
from protocols.wire.keys import PUBLIC_BYTES, fingerprint

Heard = TypeVar("Heard", Ack, Notice, Resend, PlanPush, Watch)
COLLECTOR_KEY = "collector.pub"
"""In the state folder."""


class Refused(Exception):  # noqa: N818 - an outcome, not a failure of ours
    """A message that is not believed; the text says why."""


class Trust:
    """The collector's key, once a key with the configured fingerprint has been seen.

    Parameters
    ----------
    wanted : str
        Fingerprint of the collector's key, from agent.toml.
    memory : Path
        File that keeps the key between runs; a public key, believed only by its fingerprint.
    """

    def __init__(self, wanted: str, memory: Path) -> None:
        self._wanted = wanted
        self._memory = memory
        self._key: bytes | None = None
        with suppress(OSError, Refused):
            self.offer(memory.read_bytes())

    def offer(self, key: bytes) -> None:
        """A key said to be the collector's; Refused unless its fingerprint is the configured one."""
        if len(key) != PUBLIC_BYTES:
            raise Refused(f"a collector key of {len(key)} bytes")
        if fingerprint(key) != self._wanted:
            raise Refused(f"a collector key with fingerprint {fingerprint(key)}; agent.toml names {self._wanted}")
        if key != self._key:
            self._key = key
            with suppress(OSError):  # only a convenience: the broker retains the key as well
                self._memory.write_bytes(key)

    def ack(self, data: bytes, stream_id: bytes, salvaged: Collection[bytes] = ()) -> Ack:
        """An acknowledgement that holds for this stream or a salvaged one; Refused otherwise."""
        return self._heard(read_ack, data, stream_id, salvaged)

    def resend(self, data: bytes, stream_id: bytes, salvaged: Collection[bytes] = ()) -> Resend:
        """A request that holds for this stream or a salvaged one; Refused otherwise."""
        return self._heard(read_resend, data, stream_id, salvaged)

    def plan_push(self, data: bytes, stream_id: bytes) -> PlanPush:
        """A plan meant for this stream; Refused otherwise."""
        return self._heard(read_push, data, stream_id)

    def watch(self, data: bytes, stream_id: bytes) -> Watch:
        """A watch that holds for this stream; Refused otherwise."""
        return self._heard(read_watch, data, stream_id)

    def notice(self, data: bytes, stream_id: bytes) -> Notice:
        """A notice that speaks to this stream; Refused otherwise."""
        return self._heard(read_notice, data, stream_id)

    def _heard(
        self, read: Callable[[bytes, bytes], Heard], data: bytes, own: bytes, salvaged: Collection[bytes] = ()
    ) -> Heard:
        if self._key is None:
            raise Refused("the collector's key has not been seen yet")
        try:
            heard = read(data, self._key)
        except WireError as error:
            raise Refused(str(error)) from error
        if heard.stream_id != own and heard.stream_id not in salvaged:
            raise Refused(f"it speaks of stream {heard.stream_id.hex()}, ours is {own.hex()}")
        return heard
