"""Inventory versions: each build is a new one; a sealed one can never change again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, insert, select, update

from collector.hours.model import RULES
from collector.hours.sums import sum_of
from collector.inventory.assemble import assemble_inventory
from collector.inventory.document import decode_inventory, encode_inventory
from collector.inventory.model import Inventory, Pinned
from collector.inventory.profile import DEFAULT_PROFILE, load_profile
from collector.inventory.scope import WHOLE, Scope
from collector.store.audit import record
from collector.store.certificates import certificate_digests
from collector.store.checkpoints import SEAL, make_checkpoint
from collector.store.database import Database
from collector.store.healings import refuse_while_healing
from collector.store.hours import read_hours
from collector.store.knowledge import known_now
from collector.store.log import append_leaf
from collector.store.plans import PlanBook, plans_used, sources_known
from collector.store.refresh import refresh_hours
from collector.store.schema import inventories, inventory_rows
from collector.store.series import read_whole
from collector.store.trust import record_digests
from protocols.errors import EmitraceError


@dataclass(frozen=True, slots=True)
class StoredInventory:
    """One version; ``sealed_ms`` and ``leaf`` are None until it is sealed."""

    version: int
    inventory: Inventory
    digest: bytes
    built_ms: int
    sealed_ms: int | None
    leaf: int | None


def compose_inventory(
    connection: Connection, book: PlanBook, from_ms: int, to_ms: int, gwp_set: str, profile_name: str,
    scope: Scope = WHOLE,
) -> Inventory:  # fmt: skip
    """The inventory of [from, to), or a part of it, from the hours as they stand in this snapshot; none is kept."""
    profile, digest = load_profile(profile_name)
    if gwp_set not in profile.gwp.allowed:
        raise EmitraceError("GWP set", repr(gwp_set), f"Profile {profile.id} allows {', '.join(profile.gwp.allowed)}")
    used, known = plans_used(connection, from_ms, to_ms), known_now(connection)
    pinned = Pinned(
        origin=known.origin, tree_size=known.tree_size,
        plans=tuple(sorted({plan.hex() for agent, plan in used if scope.has_agent(agent)})),
        certificates=certificate_digests(connection),
        gwp_set=gwp_set, profile=profile.id, profile_version=profile.version, profile_digest=digest.hex(),
        hour_rules=RULES, records=record_digests(connection),
    )  # fmt: skip
    sums = read_whole(connection, from_ms, to_ms)
    cut = [sum_of(hour.row) for hour in read_hours(connection, from_ms, from_ms + 1) if hour.row.from_ms < from_ms]
    part = [one for one in (*sums, *cut) if scope.has(one.agent, one.source, one.gas)]
    return assemble_inventory(from_ms, to_ms, part, scope.narrow(sources_known(connection, book)), pinned)


def build_inventory(
    database: Database, book: PlanBook, from_ms: int, to_ms: int, gwp_set: str, at_ms: int,
    profile_name: str = DEFAULT_PROFILE,
) -> StoredInventory:  # fmt: skip
    """Bring the hours up to date, then build and keep a new version."""
    refresh_hours(database, book, load_profile(profile_name)[0].hour_rule)
    with database.writing() as connection:
        inventory = compose_inventory(connection, book, from_ms, to_ms, gwp_set, profile_name)
        version = _keep(connection, inventory, at_ms)
        record(connection, "inventory-built", f"inventory/{version}", at_ms, detail=f"{from_ms} {to_ms} {gwp_set}")
        return read_inventory(connection, version)


def _keep(connection: Connection, inventory: Inventory, at_ms: int) -> int:
    document = encode_inventory(inventory)
    version = int(
        connection.execute(
            insert(inventories).returning(inventories.c.id).values(
                from_ms=inventory.from_ms, to_ms=inventory.to_ms, gwp_set=inventory.pinned.gwp_set,
                digest=hashlib.sha256(document).digest(), document=document, built_ms=at_ms,
            )
        ).scalar_one()
    )  # fmt: skip
    rows = [
        {"inventory": version, "position": position, "agent_id": row.agent, "source": row.source,
         "category": row.category, "gas": row.gas, "mass_mg": str(row.mass_mg), "co2e_mg": str(row.co2e_mg)}
        for position, row in enumerate(inventory.rows)
    ]  # fmt: skip
    if rows:
        connection.execute(insert(inventory_rows), rows)
    return version


def seal_inventory(connection: Connection, log_key: Ed25519PrivateKey, version: int, at_ms: int) -> StoredInventory:
    """Seal a version: its digest becomes a leaf of the evidence log, which is signed, and nothing may change it."""
    refuse_while_healing(connection, f"seal of inventory version {version}")
    stored = read_inventory(connection, version)
    if stored.sealed_ms is not None:
        raise EmitraceError(f"inventory version {version}", "is already sealed", "Build a new version instead.")
    leaf = append_leaf(connection, "inventory-seal", str(version), stored.digest, at_ms)
    connection.execute(update(inventories).where(inventories.c.id == version).values(sealed_ms=at_ms, leaf=leaf))
    make_checkpoint(connection, log_key, at_ms, SEAL)
    record(connection, "inventory-sealed", f"inventory/{version}", at_ms, detail=stored.digest.hex())
    return read_inventory(connection, version)


def read_inventory(connection: Connection, version: int | None = None) -> StoredInventory:
    """One version, or the newest."""
    query = select(inventories).order_by(inventories.c.id.desc()).limit(1)
    if version is not None:
        query = query.where(inventories.c.id == version)
    row = connection.execute(query).first()
    if row is None:
        subject = "inventory" if version is None else f"inventory version {version}"
        raise EmitraceError(subject, "there is none", "Build one with emitrace-collector inventory build.")
    return StoredInventory(row.id, decode_inventory(row.document), row.digest, row.built_ms, row.sealed_ms, row.leaf)


def all_versions(connection: Connection, limit: int | None = None) -> list[StoredInventory]:
    """Every version, or the newest few; newest first."""
    versions = connection.scalars(select(inventories.c.id).order_by(inventories.c.id.desc()).limit(limit)).all()
    return [read_inventory(connection, version) for version in versions]
