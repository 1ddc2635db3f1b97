"""Style sheets and scripts under addresses that name their content, so that a browser keeps them for a year."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from collector.accounts.roles import Permission
from collector.api.gate import needs

SHEETS = ("base", "frame", "parts", "chart", "evidence", "live", "print")
"""The files of ``static/style`` in the order of the one sheet they are sent as; later rules win."""
TYPES = {"css": "text/css", "js": "text/javascript"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    media_type: str
    digest: str
    data: bytes
    packed: bytes


class Assets:
    """``style.css`` and every single file of the static folder, read once."""

    def __init__(self) -> None:
        folder = resources.files("collector.web") / "static"
        sheets = [(folder / "style" / f"{name}.css").read_bytes() for name in SHEETS]
        self._files = {"style.css": _asset("style.css", b"\n".join(sheets))}
        for file in folder.iterdir():
            if file.is_file():
                self._files[file.name] = _asset(file.name, file.read_bytes())

    def url(self, name: str) -> str:
        """Where a file is; KeyError where there is none of that name."""
        return f"/static/{self._files[name].digest}/{name}"

    def add_routes(self, router: APIRouter) -> None:
        """The one route; an address of an older version answers with today's file, to be asked for again."""

        @router.get("/static/{digest}/{name}")
        @needs(Permission.PUBLIC)
        def static(request: Request, digest: str, name: str) -> Response:
            asset = self._files.get(name)
            if asset is None:
                raise HTTPException(404, "there is no such file")
            kept = FOR_EVER if digest == asset.digest else "no-cache"
            headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
            packs = "gzip" in request.headers.get("Accept-Encoding", "")
            if packs:
                headers["Content-Encoding"] = "gzip"
            return Response(asset.packed if packs else asset.data, media_type=asset.media_type, headers=headers)


def _asset(name: str, data: bytes) -> Asset:
    media_type = TYPES[name.rpartition(".")[2]]
    return Asset(media_type, hashlib.sha256(data).hexdigest()[:16], data, gzip.compress(data, mtime=0))
