"""The evidence log over HTTP: checkpoints, and the proofs by which somebody who trusts nobody checks them."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy import Connection

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.books import Books
from collector.evidence.stamps import REPLY_TYPE
from collector.store.checkpoints import (
    Stored,
    all_origins,
    checkpoint_at,
    current_origin,
    list_checkpoints,
    newest_checkpoint,
)
from collector.store.healings import current_healing
from collector.store.leaves import LoggedLeaf, find_leaf, read_leaf
from collector.store.log import read_frontier
from collector.store.timestamps import timestamps_of
from collector.store.tree import consistency, inclusion, root_at
from protocols.transparency.proofs import tlog_proof

Place = Annotated[int, Query(ge=0, lt=2**63)]
NOT_YET = "no checkpoint covers it yet; one is made within the hour"


def log_router(books: Books) -> APIRouter:
    """Every route below /api/v1/log."""
    router = APIRouter(prefix="/api/v1", tags=["evidence"])

    @router.get("/log")
    @needs(Permission.READ, Limit.NEEDLESS)
    def log() -> dict[str, Any]:
        """The evidence log: its origin and the key that signs it, size, root and newest checkpoint."""
        with books.database.reading() as connection:
            tree, origins = read_frontier(connection), all_origins(connection)
            newest, healing = newest_checkpoint(connection), current_healing(connection)
        return {
            "origin": origins[-1].name, "key": origins[-1].key.encoded(), "collector": books.collector_id,
            "tree_size": tree.size, "root": tree.root.hex(),
            "checkpoint": None if newest is None else checkpoint(newest),
            "origins": [
                {
                    "origin": one.name, "key": one.key.encoded(), "made_ms": one.made_ms, "position": one.position,
                    "record": None if one.record is None else one.record.hex(),
                }
                for one in origins
            ],
            "healing": None if healing is None else {"opened_ms": healing.opened_ms, "cause": healing.cause},
        }  # fmt: skip

    _add_checkpoints(router, books)

    @router.get("/log/leaves/{position}/proof", response_class=PlainTextResponse)
    @needs(Permission.READ, Limit.NEEDLESS)
    def file(
        position: Annotated[int, Path(ge=0, lt=2**63)],
        size: Annotated[int | None, Query(ge=1, lt=2**63, description="Of a checkpoint; else the newest")] = None,
    ) -> PlainTextResponse:
        """The proof that a leaf is in the log, as a C2SP tlog-proof file; `emitrace-verify proof` checks it."""
        with books.database.reading() as connection:
            leaf = read_leaf(connection, position)
            under = _newest(connection) if size is None else checkpoint_at(connection, size)
            if leaf is None or under is None or leaf.position >= under.head.size:
                raise HTTPException(404, f"no such leaf, or no such checkpoint, or {NOT_YET}")
            path = inclusion(connection, position, under.head.size)
        name = f"leaf-{position}-of-{under.head.size}.tlog-proof"
        data = tlog_proof(position, path, under.note, leaf.data)
        return PlainTextResponse(data, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    @router.get("/log/proof")
    @needs(Permission.READ, Limit.NEEDLESS)
    def proof(
        position: Annotated[int | None, Query(ge=0, lt=2**63, description="Position of the leaf")] = None,
        kind: Annotated[str, Query(max_length=32, description="Kind of the object, with its id")] = "",
        id: Annotated[str, Query(max_length=512, description="Id of the object")] = "",  # noqa: A002 - its name
    ) -> dict[str, Any]:
        """That a leaf is in the log: its audit path to the newest checkpoint, and the same as a C2SP tlog-proof."""
        with books.database.reading() as connection:
            leaf = find_leaf(connection, kind, id) if position is None else read_leaf(connection, position)
            if leaf is None:
                raise HTTPException(404, "the log has no such leaf")
            under = _newest(connection)
            if leaf.position >= under.head.size:
                raise HTTPException(404, NOT_YET)
            path = inclusion(connection, leaf.position, under.head.size)
        return {
            "leaf": shape_leaf(leaf), "checkpoint": checkpoint(under), "path": [node.hex() for node in path],
            "tlog_proof": tlog_proof(leaf.position, path, under.note, leaf.data).decode(),
        }  # fmt: skip

    @router.get("/log/consistency")
    @needs(Permission.READ, Limit.NEEDLESS)
    def between(first: Place, second: Place) -> dict[str, Any]:
        """That the log of ``second`` leaves begins with the one of ``first``: both roots, and the proof."""
        with books.database.reading() as connection:
            size = read_frontier(connection).size
            if not first <= second <= size:
                raise HTTPException(422, f"first and second ascend, up to the log's size of {size}")
            return {
                "origin": current_origin(connection).name,
                "first": {"size": first, "root": root_at(connection, first).hex()},
                "second": {"size": second, "root": root_at(connection, second).hex()},
                "proof": [node.hex() for node in consistency(connection, first, second)],
            }

    return router


def _add_checkpoints(router: APIRouter, books: Books) -> None:
    """The routes of signed checkpoints."""

    @router.get("/log/checkpoint", response_class=PlainTextResponse)
    @needs(Permission.READ, Limit.NEEDLESS)
    def newest() -> PlainTextResponse:
        """The newest checkpoint as a C2SP signed note, byte for byte."""
        with books.database.reading() as connection:
            found = _newest(connection)
        return PlainTextResponse(found.note)

    @router.get("/log/checkpoints")
    @needs(Permission.READ, Limit.NEEDLESS)
    def checkpoints(
        before: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Most checkpoints in one answer")] = 100,
    ) -> dict[str, Any]:
        """Checkpoints, newest first; go on with ``before`` = the last ``id``."""
        with books.database.reading() as connection:
            return {"checkpoints": [checkpoint(one) for one in list_checkpoints(connection, limit, before)]}

    @router.get("/log/checkpoints/{number}", response_class=PlainTextResponse)
    @needs(Permission.READ, Limit.NEEDLESS)
    def one(number: Annotated[int, Path(ge=0, lt=2**63)]) -> PlainTextResponse:
        """A checkpoint as it was signed, by its ``id``."""
        with books.database.reading() as connection:
            found = next((one for one in list_checkpoints(connection, 1, number + 1) if one.id == number), None)
        if found is None:
            raise HTTPException(404, "there is no such checkpoint")
        return PlainTextResponse(found.note)

    @router.get("/log/checkpoints/{number}/timestamp", response_class=Response)
    @needs(Permission.READ, Limit.NEEDLESS)
    def timestamp(number: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
        """An authority's time stamp of that checkpoint's note (RFC 3161, DER), where it has one."""
        with books.database.reading() as connection:
            found = timestamps_of(connection, [number]).get(number)
        if found is None:
            raise HTTPException(404, "that checkpoint has no time stamp")
        return Response(found.reply, media_type=REPLY_TYPE)


def checkpoint(one: Stored) -> dict[str, Any]:
    """A checkpoint with its signed note."""
    return {
        "id": one.id, "origin": one.head.origin, "size": one.head.size, "root": one.head.root.hex(),
        "at_ms": one.at_ms, "why": one.why, "note": one.note.decode(),
    }  # fmt: skip


def shape_leaf(leaf: LoggedLeaf) -> dict[str, Any]:
    """A leaf with its data, which the tree hashes."""
    return {
        "position": leaf.position, "kind": leaf.kind, "id": leaf.object_id, "digest": leaf.digest.hex(),
        "at_ms": leaf.at_ms, "data": base64.b64encode(leaf.data).decode(), "hash": leaf.hash.hex(),
    }  # fmt: skip


def _newest(connection: Connection) -> Stored:
    found = newest_checkpoint(connection)
    if found is None:
        raise HTTPException(404, "no checkpoint was made yet")
    return found
