"""What every table of a scenario file is built on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Base of every table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
