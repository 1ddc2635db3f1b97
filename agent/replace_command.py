"""``emitrace-agent replace-agent``: another machine takes over; what the broken one still held is saved as files.

The new machine has a key of its own. What the old one had sealed stays signed by the old key, so it goes to the central
team as item files. The old card is only read: everything is done on a copy.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import load_config
from agent.console import CONFIG, ConfigPath, say, told
from agent.lock import is_held
from agent.outbox import open_outbox
from agent.replay import write_item
from agent.service import OUTBOX, software
from agent.startup import finish_last_run
from agent.writer import Writer
from protocols.errors import EmitraceError
from protocols.wire.keys import fingerprint, load_key, make_key, public_bytes


class ReplaceError(EmitraceError):
    """The old machine's state cannot be taken over."""


def replace_agent(
    old_state: Annotated[Path, typer.Argument(help="State folder on the old machine's card.")],
    out: Annotated[Path, typer.Option(help="Folder for the item files, new or empty.")],
    config: ConfigPath = CONFIG,
    old_key: Annotated[Path | None, typer.Option(help="The old agent's key file: its journal is sealed too.")] = None,
) -> None:
    """Make this machine's key, and save as files what the broken machine's outbox had not delivered."""
    with told():
        loaded = load_config(config)
        if not (old_state / OUTBOX).exists():
            raise ReplaceError(str(old_state), f"has no {OUTBOX}", "name the old machine's state_dir")
        if is_held(old_state) or old_state.resolve() == loaded.state_dir:
            raise ReplaceError(str(old_state), "is in use on this machine", "name the folder on the old card")
        if out.exists() and any(out.iterdir()):
            raise ReplaceError(str(out), "is not empty", "name another folder")
        out.mkdir(parents=True, exist_ok=True)
        count = _save(old_state, out, None if old_key is None else load_key(old_key))
        path = loaded.key_file
        public = public_bytes(load_key(path) if path.exists() else make_key(path))
    say(f"{count} items saved in {out}")
    say(f"new key {public.hex()}, fingerprint {fingerprint(public)}")
    say("give both to the central team, who runs:")
    say(f"  emitrace-collector agents add {public.hex()} --name NAME --replaces OLD")
    say(f"  emitrace-collector ingest {out.name}")
    if old_key is None:
        say("the old journal, its last readings before a batch was made, is sealed only with --old-key")


def _save(old_state: Path, out: Path, key: Ed25519PrivateKey | None) -> int:
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        for path in old_state.glob(f"{OUTBOX}*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        copied = Path(folder) / OUTBOX
        if key is not None:
            asyncio.run(_seal_journal(copied, key))
        outbox, damaged = open_outbox(copied, 0)
        try:
            if damaged is not None:
                hint = "copy the folder and the old key here and run the agent once with them: it salvages what it can"
                raise ReplaceError(str(old_state / OUTBOX), "is damaged", hint)
            waiting = outbox.unacknowledged(2**31)
            for sequence in waiting:
                item = outbox.item(sequence)
                if item is not None:
                    write_item(out, item)
        finally:
            outbox.close()
    return len(waiting)


async def _seal_journal(path: Path, key: Ed25519PrivateKey) -> None:
    writer = await Writer.open(path, 0)
    try:
        await finish_last_run(writer, key, software())
    finally:
        await writer.close()
