"""The evidence log: its checkpoints and who holds them, and one leaf with the proof that it is in there."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection, select

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.ingest.statuses import read_status
from collector.store.agents import view_agents
from collector.store.checkpoints import Stored, all_origins, checkpoint_at, list_checkpoints, newest_checkpoint
from collector.store.leaves import LoggedLeaf, find_leaf, newest_leaves, read_leaf
from collector.store.log import read_frontier
from collector.store.schema import items
from collector.store.timestamps import timestamps_of
from collector.store.tree import inclusion
from collector.store.witnessing import Witness, witnesses
from collector.web.frame import Entry, Frame, View
from protocols.transparency.proofs import ProofStep, inclusion_steps

ENTRY = Entry("log", "/log", limited=True, section="evidence")
SHOWN, LEAVES = 30, 10
Number = Annotated[int, Path(ge=0, lt=2**63)]


def add_routes(router: APIRouter, books: Books, frame: Frame) -> None:
    """The pages."""

    @router.get("/log")
    @needs(Permission.READ, Limit.NEEDLESS)
    def log_page(request: Request) -> Response:
        view, query = frame.open(request), request.query_params
        asked = query.get("leaf", "").strip()
        if asked:
            with books.database.reading() as connection:
                found = _asked(connection, asked)
            if found is None:
                return view.error(404, view.words("log.no-leaf", seen=asked[:120]))
            return RedirectResponse(f"/log/leaf/{found.position}", status_code=303)
        before = int(query["before"]) if query.get("before", "").isdecimal() and len(query["before"]) < 19 else None
        with books.database.reading() as connection:
            tree, origins = read_frontier(connection), all_origins(connection)
            found_ = list_checkpoints(connection, SHOWN + 1, before)
            held = _witnesses(connection, view)
            leaves = newest_leaves(connection, LEAVES)
            stamps = timestamps_of(connection, [one.id for one in found_])
        return view.render(
            "log.html", tree=tree, origins=origins, checkpoints=found_[:SHOWN], witnesses=held, leaves=leaves,
            stamps=stamps,
            older=view.address(before=str(found_[SHOWN - 1].id)) if len(found_) > SHOWN else None,
            newest=view.address(before=None) if before is not None else None, held=lambda one: _holding(one, held),
        )  # fmt: skip

    @router.get("/log/leaf/{position:int}")
    @needs(Permission.READ, Limit.NEEDLESS)
    def leaf_page(request: Request, position: Number) -> Response:
        view, size = frame.open(request), request.query_params.get("size", "")
        with books.database.reading() as connection:
            leaf = read_leaf(connection, position)
            if leaf is None:
                return view.error(404, view.words("log.no-leaf", seen=position))
            under = newest_checkpoint(connection)
            if size.isdecimal() and len(size) < 19:
                under = checkpoint_at(connection, int(size)) or under
            if under is not None and under.head.size <= position:
                under = None
            steps = _steps(connection, leaf, under)
            keys = {one.name: one.key.encoded() for one in all_origins(connection)}
            item = _item(connection, leaf, view)
            held = _witnesses(connection, view)
        return view.render(
            "log-leaf.html", leaf=leaf, under=under, steps=steps, item=item, data=base64.b64encode(leaf.data).decode(),
            key=keys.get(under.head.origin, "") if under else "", held=_holding(under, held) if under else [],
            file=f"leaf-{position}-of-{under.head.size}.tlog-proof" if under else "",
        )  # fmt: skip


def _asked(connection: Connection, text: str) -> LoggedLeaf | None:
    """The leaf at a position, or of an object named as ``kind id``."""
    if text.isdecimal():
        return read_leaf(connection, int(text)) if len(text) < 19 else None
    kind, _, object_id = text.partition(" ")
    return find_leaf(connection, kind, object_id.strip())


def _witnesses(connection: Connection, view: View) -> list[Witness]:
    """The witnesses that the reader may know of."""
    found = witnesses(connection, view_agents(connection), _note_in)
    return [one for one in found if view.reach.has_agent(one.agent.agent_id)]


def _item(connection: Connection, leaf: LoggedLeaf, view: View) -> int | None:
    """The number under which the books hold the leaf's item, where the reader may see that."""
    agent, _, place = leaf.object_id.partition("/")
    if leaf.kind != "item" or not view.reach.has_agent(agent):
        return None
    stream, _, sequence = place.partition("/")
    own = (items.c.agent_id == agent, items.c.stream_id == bytes.fromhex(stream), items.c.sequence == int(sequence))
    return connection.scalar(select(items.c.id).where(*own, items.c.leaf == leaf.position))


def _note_in(status: str) -> str | None:
    read = read_status(status.encode())
    return None if read is None else read.checkpoint


def _holding(one: Stored, held: list[Witness]) -> list[Witness]:
    """Who holds a checkpoint of this size or a later one that this log begins with, and so would notice a rewrite."""
    return [witness for witness in held if witness.leads_here and witness.held.size >= one.head.size]


def _steps(connection: Connection, leaf: LoggedLeaf, under: Stored | None) -> tuple[ProofStep, ...]:
    if under is None:
        return ()
    path = inclusion(connection, leaf.position, under.head.size)
    return inclusion_steps(leaf.hash, leaf.position, under.head.size, path)
