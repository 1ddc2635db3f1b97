"""Last of all: what leads nowhere says so in the page's language; what only a form may ask for leads home."""

from __future__ import annotations

import re

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from collector.accounts.reach import Limit
from collector.accounts.roles import Permission
from collector.api.gate import needs
from collector.web.frame import Frame

FORMS_ONLY = re.compile(r"logout|inventory/build|inventory/.*/seal")


def add_routes(router: APIRouter, frame: Frame) -> None:
    """Every path that no other page has."""

    @router.get("/{path:path}")
    @needs(Permission.READ, Limit.NEEDLESS)
    def nowhere(request: Request, path: str) -> Response:
        if path.startswith("api/"):
            raise HTTPException(404, "there is no such path")
        if FORMS_ONLY.fullmatch(path):
            return RedirectResponse("/", status_code=303)
        view = frame.open(request)
        return view.error(404, view.words("missing.page", path=f"/{path[:60]}"))
