"""Whom the agent believes: one collector, known by its key's fingerprint, speaking of the agent's own stream."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from protocols.records import Ack, Resend, Watch
from protocols.wire.codec import read_ack, read_resend, read_watch
from protocols.wire.errors import WireError
from protocols.wire.keys import PUBLIC_BYTES, fingerprint


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

    def ack(self, data: bytes, stream_id: bytes) -> Ack:
        """An acknowledgement that holds for this stream; Refused otherwise."""
        try:
            ack = read_ack(data, self._collector())
        except WireError as error:
            raise Refused(str(error)) from error
        _check_stream(ack.stream_id, stream_id)
        return ack

    def resend(self, data: bytes, stream_id: bytes) -> Resend:
        """A request that holds for this stream; Refused otherwise."""
        try:
            resend = read_resend(data, self._collector())
        except WireError as error:
            raise Refused(str(error)) from error
        _check_stream(resend.stream_id, stream_id)
        return resend

    def watch(self, data: bytes, stream_id: bytes) -> Watch:
        """A watch that holds for this stream; Refused otherwise."""
        try:
            watch = read_watch(data, self._collector())
        except WireError as error:
            raise Refused(str(error)) from error
        _check_stream(watch.stream_id, stream_id)
        return watch

    def _collector(self) -> bytes:
        if self._key is None:
            raise Refused("the collector's key has not been seen yet")
        return self._key


def _check_stream(named: bytes, own: bytes) -> None:
    if named != own:
        raise Refused(f"it speaks of stream {named.hex()}, ours is {own.hex()}")
