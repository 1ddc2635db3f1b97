"""What somebody must look after, for programs."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from collector.accounts.roles import Permission
from collector.api import shapes
from collector.api.gate import needs
from collector.books import Books
from collector.clock import now_ms
from collector.store.alerts import LONGEST_NOTE, acknowledge_alert, open_alerts, past_alerts

PAST = 200

Number = Annotated[int, Path(ge=1, lt=2**62)]


class Acknowledgement(BaseModel):
    """What whoever looks after an alert says of it."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""


def alerts_router(books: Books) -> APIRouter:
    """Alerts, and their acknowledgement."""
    router = APIRouter(prefix="/api/v1", tags=["operation"])
    zone = ZoneInfo(books.config.settings.alerts.zone)

    @router.get("/alerts")
    @needs(Permission.READ)
    def alerts() -> dict[str, Any]:
        """Open alerts, newest first, and the last that ended."""
        with books.database.reading() as connection:
            found = {"open": open_alerts(connection), "past": past_alerts(connection, PAST)}
        return {name: [shapes.alert(one, zone) for one in some] for name, some in found.items()}

    @router.post("/alerts/{number}/acknowledge")
    @needs(Permission.ALERTS)
    def acknowledge(request: Request, number: Number, said: Acknowledgement) -> dict[str, Any]:
        """Look after an alert: it is told of no more, and ends when the matter does."""
        with books.database.writing() as connection:
            one = acknowledge_alert(connection, number, request.state.session.user, said.note, now_ms())
        return shapes.alert(one, zone)

    return router
