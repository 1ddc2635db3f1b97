"""Pull a bundle from a collector, read-only, and go on where a cut connection left off; standard library alone.

The bytes wait in ``OUT.part`` beside a note of which bundle they are of (``OUT.part.json``: where it stays, its ETag,
size and SHA-256). Only a bundle whose digest is right at the end gets its name.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import ssl
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

from protocols.errors import EmitraceError

TRIES = 8
"""So often in a row without a byte more, then it gives up."""
_CHUNK = 1 << 18
_WAIT_S = 30.0
_ODD = 2
_FIRST_ANSWER_S = 1800.0
_LARGEST = 1 << 44
_CUT = (OSError, http.client.HTTPException)

Connect = Callable[[float], http.client.HTTPConnection]
Say = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bundle comes from: how to connect, the path that asks for it, and who asks.

    ``connect`` takes a time limit for each read [s]; ``wait`` sleeps [s].
    """

    connect: Connect
    path: str
    authorization: str
    wait: Callable[[float], None] = time.sleep

    def get(self, path: str, headers: dict[str, str], limit_s: float) -> http.client.HTTPResponse:
        """The answer to one request; redirections are not followed: the token is for this collector alone."""
        connection = self.connect(limit_s)
        connection.request("GET", path, headers={"Authorization": self.authorization, **headers})
        return connection.getresponse()


@dataclass(frozen=True, slots=True)
class Note:
    """Which bundle the bytes so far are of."""

    asked: str
    place: str
    etag: str
    size: int
    sha256: str


class RefusedError(EmitraceError):
    """The collector said no; asking again would not help."""


class OddError(Exception):
    """An answer that is not a collector's, or whose headers were cut off: both look alike."""


def fetch(source: Source, out: Path, say: Say | None = None) -> str:
    """Pull the bundle to a file; its SHA-256 in hexadecimal.

    Raises
    ------
    EmitraceError
        Refused, given up, or the bytes are not those the collector announced.
    """
    part, notes = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.part.json")
    failed = 0
    while True:
        note = _noted(notes, source.path)
        before = part.stat().st_size if part.exists() and note is not None else 0
        if note is not None and before == note.size:
            break
        try:
            wait_s = _pull(source, note, part, notes, before, say or _silent)
            if wait_s is None:
                continue
        except ssl.SSLCertVerificationError as error:
            hint = "Name the file of its CA with --ca, if it is a private one you trust."
            raise RefusedError("collector", f"its certificate does not hold: {error.verify_message}", hint) from error
        except OddError as error:
            if failed >= _ODD:
                raise RefusedError("collector", str(error), "Is this the address of an Emitrace collector?") from error
            wait_s, reason = 2.0**failed, str(error)
        except _CUT as error:
            wait_s, reason = min(_WAIT_S, 2.0**failed), str(error) or type(error).__name__
        else:
            reason = "the collector is busy"
        grown = part.exists() and part.stat().st_size > before
        failed = 0 if grown else failed + 1
        if failed >= TRIES:
            hint = "Try again later with the same --out: it goes on where it stopped."
            raise EmitraceError("fetch", f"given up after {TRIES} tries: {_printable(reason)}", hint)
        source.wait(wait_s)
    return _settle(note, part, notes, out)


def _pull(source: Source, note: Note | None, part: Path, notes: Path, before: int, say: Say) -> float | None:
    """One request: append to the part what it brings. None when it came to its end, else how long to wait. [s]"""
    if note is None:
        answer = source.get(source.path, {}, _FIRST_ANSWER_S)
    else:
        headers = {"Range": f"bytes={before}-", "If-Range": note.etag} if before else {}
        answer = source.get(note.place, headers, 60.0)
    with answer:
        if answer.status == 503:
            return min(_WAIT_S, float(_whole(answer.headers.get("Retry-After", ""), 3600) or 5))
        if answer.status in (404, 410, 416) and note is not None:
            notes.unlink(missing_ok=True)  # it has expired there: ask for it anew
            return None
        if answer.status not in (200, 206):
            said = f"answers {answer.status}: {_reason(answer)}"
            raise RefusedError("collector", said, _HINTS.get(answer.status, ""))
        fresh = _read_note(answer, source.path)
        resumed = answer.status == 206
        if resumed and (note is None or fresh.etag != note.etag or _from(answer) != (before, note.size)):
            raise RefusedError("collector", "sends a part that was not asked for", "Ask who runs it.")
        if not resumed:
            _check_room(part, fresh.size)
            part.write_bytes(b"")
            notes.write_text(json.dumps(asdict(fresh)), encoding="utf-8")
        with part.open("ab") as file:
            _append(answer, file, fresh.size, say)
    return None


def _append(answer: http.client.HTTPResponse, file: BinaryIO, whole: int, say: Say) -> None:
    while chunk := answer.read(_CHUNK):
        if file.tell() + len(chunk) > whole:
            raise RefusedError("collector", f"sends more than the {whole} bytes it announced", "Ask who runs it.")
        file.write(chunk)
        say(file.tell(), whole)
    if file.tell() < whole:
        raise ConnectionError(f"cut after {file.tell()} of {whole} bytes")


def _silent(_done: int, _whole: int) -> None:
    """Nobody watches."""


def _settle(note: Note, part: Path, notes: Path, out: Path) -> str:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    notes.unlink(missing_ok=True)
    if digest.hexdigest() != note.sha256:
        part.unlink(missing_ok=True)
        seen = f"SHA-256 is {digest.hexdigest()}, the collector announced {note.sha256}"
        raise EmitraceError(str(out), seen, "Fetch it again; if it stays so, something between changes the bytes.")
    part.replace(out)
    return note.sha256


def _read_note(answer: http.client.HTTPResponse, asked: str) -> Note:
    """Which bundle an answer is of, as its headers say; RefusedError where they do not."""
    headers = answer.headers
    digest = re.fullmatch(r"sha-256=:([A-Za-z0-9+/]{43}=):", headers.get("Repr-Digest", ""))
    etag, place = headers.get("ETag", ""), headers.get("Content-Location", "")
    size = _from(answer)[1] if answer.status == 206 else _whole(headers.get("Content-Length", ""), _LARGEST)
    if digest is None or not re.fullmatch(r'"[\x21\x23-\x7e]{1,128}"', etag) or not size:
        raise OddError("its answer has no strong ETag, length and Repr-Digest")
    if urlsplit(place).netloc or not re.fullmatch(r"/[\x21-\x7e]{1,500}", place):
        raise RefusedError("collector", f"says the bundle stays at {place!r:.80}", "Ask who runs it.")
    prefix = asked.partition("/api/v1/")[0]
    return Note(asked, urljoin(asked, prefix + place), etag, size, b64decode(digest[1]).hex())


def _from(answer: http.client.HTTPResponse) -> tuple[int, int]:
    """(first byte, whole size) of a part."""
    found = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", answer.headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def _noted(notes: Path, asked: str) -> Note | None:
    """The note of an earlier run that asked for the same."""
    try:
        found = Note(**json.loads(notes.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.asked == asked else None


def _check_room(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free + (part.stat().st_size if part.exists() else 0)
    if size > free:
        raise EmitraceError(str(part), f"{size} bytes are to come, {free} are free", "Make room, or ask for less.")


def _whole(text: str, most: int) -> int:
    """A whole number of a header, 0 where it is none or too large."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 and int(text) <= most else 0


def _reason(answer: http.client.HTTPResponse) -> str:
    """What the collector says, fit to be printed."""
    said = answer.read(4096).decode("utf-8", "replace")
    try:
        found = json.loads(said)
        said = f"{found['error']} {found['hint']}"
    except (ValueError, TypeError, KeyError):
        said = answer.reason
    return _printable(str(said))


def _printable(said: str) -> str:
    """What others said, unable to steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in said)[:500]


_HINTS = {
    401: "Check the token: whether it is whole, and whether it has expired.",
    403: "The account needs the permission to fetch evidence, as verifiers have.",
    422: "Check period, agent, source and gas.",
}
