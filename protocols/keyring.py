"""The keys of one agent over its life: which of them may sign which item; pure.

An agent is known for ever by the fingerprint of its first key. It takes on another by a key change, an item of its
stream that the key before signs: from the next item on the new one signs. Wherever the items of other streams of the
agent come from, under a key that was replaced they count only where they were logged before the change was.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.records import StreamItem
from protocols.wire.codec import read_item
from protocols.wire.cose import key_id, open_sealed


@dataclass(frozen=True, slots=True)
class Replacement:
    """A key change as it stands in the log: stream and sequence of its item, the new key, the position of its leaf."""

    stream_id: bytes
    sequence: int
    public_key: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Keyring:
    """An agent's raw public keys, oldest first: its first, and what replaced it, one after the other."""

    first: bytes
    replacements: tuple[Replacement, ...] = ()

    @property
    def agent_id(self) -> str:
        """SHA-256 of the first key."""
        return key_id(self.first).hex()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All of them."""
        return (self.first, *(one.public_key for one in self.replacements))

    @property
    def newest(self) -> bytes:
        """The key that signs now."""
        return self.keys[-1]

    def with_replacement(self, one: Replacement) -> Keyring:
        """The ring with one more."""
        return Keyring(self.first, (*self.replacements, one))

    def key(self, kid: bytes) -> bytes | None:
        """The key of this fingerprint; None where it is none of the agent's."""
        return next((key for key in self.keys if key_id(key) == kid), None)

    def read(self, data: bytes) -> StreamItem:
        """The item that one of the keys signed as these bytes; WireError with its reason otherwise."""
        if not self.replacements:
            return read_item(data, self.first)
        return read_item(data, self.key(open_sealed(data).kid) or self.newest)

    def fault(self, kid: bytes, stream_id: bytes, sequence: int, position: int | None) -> str:
        """Why a key may not have signed an item; empty where it may.

        Parameters
        ----------
        kid : bytes
            Fingerprint of one of the ring's keys.
        position : int or None
            Of the item's leaf; None where it is not in the log yet.
        """
        ids = [key_id(key) for key in self.keys]
        if kid not in ids:
            return f"key {kid.hex()} is none of the agent's"
        at = ids.index(kid)
        for before in self.replacements[:at]:
            if before.stream_id == stream_id and sequence <= before.sequence:
                return f"key {kid.hex()} signs in its stream only behind item {before.sequence}"
        if at == len(self.replacements):
            return ""
        after = self.replacements[at]
        if after.stream_id == stream_id:
            return "" if sequence <= after.sequence else f"key {kid.hex()} was replaced by item {after.sequence}"
        if position is not None and position < after.position:
            return ""
        return f"key {kid.hex()} was replaced at leaf {after.position} of the log, where the item was not in it yet"
