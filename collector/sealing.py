"""An inventory version sealed, and the checkpoint that goes with it kept beside the books as well."""

from __future__ import annotations

from collector.books import Books
from collector.store.checkpoints import newest_checkpoint
from collector.store.inventories import StoredInventory, seal_inventory


def seal(books: Books, version: int, at_ms: int) -> StoredInventory:
    """Seal a version for ever; see ``seal_inventory``."""
    with books.database.writing() as connection:
        sealed = seal_inventory(connection, books.log_key, version, at_ms)
        newest = newest_checkpoint(connection)
    books.anchor.hold(newest)
    return sealed
