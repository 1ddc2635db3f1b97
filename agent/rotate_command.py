"""``emitrace-agent rotate-key``: the agent takes on a new key, and its stream says so under the old one.

First the new key is on the disk, then the change is in the outbox, then the files are exchanged. Whatever a power cut
leaves of that is finished at the next start, or by the same command.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import Config, load_config
from agent.console import CONFIG, ConfigPath, say, told
from agent.identity import Identity, load_identity, next_file
from agent.lock import hold_lock
from agent.rotation import settle_key
from agent.service import OUTBOX, software
from agent.spans import seal_key_change
from agent.startup import finish_last_run
from agent.writer import Writer
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, load_key, make_key


class RotationError(EmitraceError):
    """The key cannot be replaced now."""


def rotate_key(config: ConfigPath = CONFIG) -> None:
    """Make a new key and go on with it; the old one stays good for what it signed. Stop the agent first."""
    with told():
        loaded = load_config(config)
        loaded.state_dir.mkdir(parents=True, exist_ok=True)
        with hold_lock(loaded.state_dir):
            before, after = asyncio.run(_rotate(loaded))
    say(f"agent      {after.agent_id}")
    say(f"old key    {fingerprint(before.public)}")
    say(f"new key    {fingerprint(after.public)}")
    say("The stream says so, signed by the old key, as soon as the agent runs again. Nobody has to enter anything.")


async def _rotate(config: Config) -> tuple[Identity, Identity]:
    writer = await Writer.open(config.state_dir / OUTBOX, 0, config.bounds)
    try:
        await writer.call(settle_key, config, writer.outbox)
        before = load_identity(config.key_file)
        standing = await finish_last_run(writer, before.key, software())
        if standing is None:
            hint = "nothing is signed yet: delete the key and enrol, or run the agent once"
            raise RotationError("agent", "has no stream", hint)
        if await writer.call(writer.outbox.old_streams.waiting, 1):
            hint = "let the agent run until the collector has them"
            raise RotationError("outbox", "holds items of an older stream that nobody has acknowledged", hint)
        new = _new_key(config)
        item, tail = seal_key_change(standing.tail, new, before.key)
        await writer.call(writer.outbox.seal_all, [item], replace(standing, tail=tail), 0)
        await writer.call(settle_key, config, writer.outbox)
    finally:
        await writer.close()
    return before, load_identity(config.key_file)


def _new_key(config: Config) -> Ed25519PrivateKey:
    path = next_file(config.key_file)
    return load_key(path) if path.exists() else make_key(path)
