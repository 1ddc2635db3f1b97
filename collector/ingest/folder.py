"""Items from a folder of files, as ``emitrace-agent replay --out`` writes them: the same way as from the broker.

Every file is believed or refused and takes its place by the code that takes messages from the broker, in
groups of one transaction each. What is here already counts as a duplicate and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.books import Books
from collector.clock import now_ms
from collector.ingest.worker import GROUP, take_group
from collector.store.agents import all_agents
from collector.store.placing import Outcome
from protocols.errors import EmitraceError
from protocols.records import ItemKind
from protocols.wire import limits, topics
from protocols.wire.cose import key_id, open_sealed
from protocols.wire.errors import WireError

_FILE = re.compile(rf"\d{{10}}\.({'|'.join(kind.value for kind in ItemKind)})")


@dataclass(frozen=True, slots=True)
class Taken:
    """How many files were read, and how many of each outcome."""

    files: int
    outcomes: dict[Outcome, int]


def ingest_folder(books: Books, folder: Path, progress: Callable[[int, int], None]) -> Taken:
    """Take every item file of a folder into the books, in the order of their numbers.

    Parameters
    ----------
    progress : callable
        Told how many files are done, of how many.

    Raises
    ------
    EmitraceError
        The folder cannot be read or holds no items.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))
    except OSError as error:
        raise EmitraceError(str(folder), f"cannot be read: {error.strerror}", "Name a folder of items.") from error
    if not paths:
        seen = "no item files (NUMBER.plan, NUMBER.batch) in it"
        raise EmitraceError(str(folder), seen, "emitrace-agent replay --out makes them.")
    outcomes = dict.fromkeys(Outcome, 0)
    done = 0
    for group in _groups(paths):
        owners = _owners(books)
        counts = take_group(books, [_message(path, owners) for path in group], now_ms()).counts
        for outcome, count in counts.items():
            outcomes[outcome] += count
        done += len(group)
        progress(done, len(paths))
    return Taken(done, outcomes)


def _groups(paths: list[Path]) -> Iterator[list[Path]]:
    """A few at a time; what follows a key change comes when the change is in the books."""
    group: list[Path] = []
    for path in paths:
        group.append(path)
        if len(group) == GROUP or path.suffix == f".{ItemKind.KEY_CHANGE.value}":
            yield group
            group = []
    if group:
        yield group


def _owners(books: Books) -> dict[str, str]:
    """Fingerprint of each key of every agent -> the agent's id."""
    with books.database.reading() as connection:
        return {key_id(key).hex(): one.agent_id for one in all_agents(connection) for key in one.ring.keys}


def _message(path: Path, owners: Mapping[str, str]) -> tuple[str, bytes]:
    """(topic, payload) as the sender would have published it; who that is says the item's own key id."""
    if path.stat().st_size > limits.MESSAGE_BYTES:
        return path.name, b""
    data = path.read_bytes()
    try:
        signer = open_sealed(data).kid.hex()
        return topics.up(owners.get(signer, signer), ItemKind(path.suffix[1:])), data
    except (WireError, ValueError):
        return path.name, data
