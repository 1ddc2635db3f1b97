"""A key change that a power cut left half done is finished before anything else is signed."""

from __future__ import annotations

from agent.config import Config
from agent.identity import load_identity, next_file, take_on_next
from agent.outbox import Outbox
from protocols.key_change import KeyChange
from protocols.wire.errors import WireError
from protocols.wire.keys import load_key, public_bytes


def settle_key(config: Config, outbox: Outbox) -> None:
    """Take on the next key where the stream's last item says that it was taken on, and the files do not yet."""
    path, standing = next_file(config.key_file), outbox.standing()
    item = None if standing is None or not path.exists() else outbox.item(standing.tail.sequence - 1)
    if item is None:
        return
    try:
        change = load_identity(config.key_file).read(item.data)
    except WireError:
        return
    if isinstance(change, KeyChange) and change.public_key == public_bytes(load_key(path)):
        take_on_next(config.key_file)
