"""The canonical zip: same members, same bytes.

Members are stored, in the byte order of their ASCII names, dated 1980-01-01 00:00; create_system 3 (Unix),
version made by 20, flags and attributes 0, no comments, nothing before, between or after. Version needed is
20; where a value does not fit its 32 bits (its 16 bits for the count of members), and only there, the ZIP64
form is used with just the values that do not fit, and version needed is 45 as that form requires (APPNOTE
4.4.3.2). So a list of (name, content) has one container, and a reader can demand it to the byte.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from protocols.errors import EmitraceError

LIMIT_32 = 0xFFFFFFFF
LIMIT_16 = 0xFFFF
CHUNK = 1 << 20
MOST_MEMBERS = 1 << 20
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*(/[0-9A-Za-z][0-9A-Za-z._-]*)*")
_DATE = 0x21  # 1980-01-01
_PLAIN, _ZIP64 = 20, 45
_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_CENTRAL_FIXED = 46


class ContainerError(EmitraceError):
    """The container is not the canonical one; ``offset`` is the first byte that differs."""

    def __init__(self, offset: int, member: str, seen: str) -> None:
        place = f"byte {offset}, {member}" if member else f"byte {offset}"
        super().__init__(place, seen)
        self.offset = offset
        self.member = member


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it stands in the container; ``start`` is where its content begins."""

    name: str
    size: int
    crc: int
    header: int
    start: int
    sha256: bytes


@dataclass(slots=True)
class ContainerWriter:
    """Writes members one after another to a seekable file, holding one chunk at a time.

    ``limit`` is the largest value that fits; smaller only to try the ZIP64 form on small files.
    """

    file: BinaryIO
    limit: int = LIMIT_32
    members: list[Member] = field(default_factory=list)

    def add(self, name: str, chunks: Iterable[bytes]) -> Member:
        """Write one member; names must come in ascending byte order."""
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise ValueError(f"{name!r} is no member name")
        if self.members and name <= self.members[-1].name:
            raise ValueError(f"{name} does not come after {self.members[-1].name}")
        header = self.file.tell()
        head = _local(name, 0, 0, self.limit)
        self.file.write(head)
        crc, size, digest = 0, 0, hashlib.sha256()
        for chunk in chunks:
            self.file.write(chunk)
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            digest.update(chunk)
        final = _local(name, crc, size, self.limit)
        if len(final) != len(head):
            self._move(header + len(head), size, len(final) - len(head))
        self.file.seek(header)
        self.file.write(final)
        self.file.seek(header + len(final) + size)
        member = Member(name, size, crc, header, header + len(final), digest.digest())
        self.members.append(member)
        return member

    def close(self) -> None:
        """Write the directory; the file itself stays open."""
        start = self.file.tell()
        for member in self.members:
            self.file.write(_central(member, self.limit))
        size = self.file.tell() - start
        self.file.write(_end(len(self.members), start, size, self.limit))

    def _move(self, start: int, size: int, by: int) -> None:
        """Make room in front of a member that turned out too large for the plain header."""
        left = size
        while left:
            step = min(CHUNK, left)
            left -= step
            self.file.seek(start + left)
            chunk = self.file.read(step)
            self.file.seek(start + left + by)
            self.file.write(chunk)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was found to be the canonical one of its members."""

    file: BinaryIO
    members: dict[str, Member]

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of a member, chunk by chunk."""
        member = self.members[name]
        done = 0
        while done < member.size:
            self.file.seek(member.start + done)
            chunk = self.file.read(min(CHUNK, member.size - done))
            if not chunk:
                raise ContainerError(member.start + done, name, "the file became shorter while it was read")
            done += len(chunk)
            yield chunk

    def content(self, name: str, most: int) -> bytes:
        """The whole content of a member of at most ``most`` bytes."""
        member = self.members[name]
        if member.size > most:
            raise ContainerError(member.start, name, f"{member.size} bytes, at most {most} are read")
        return b"".join(self.chunks(name))


def open_container(file: BinaryIO, limit: int = LIMIT_32) -> Container:
    """Read a container through, rebuild what frames its members and demand identical bytes.

    Raises
    ------
    ContainerError
        With the first byte that differs and the member it belongs to.
    """
    members: dict[str, Member] = {}
    offset = 0
    before = ""
    while (magic := _read(file, offset, 4)) == _LOCAL:
        member = _read_member(file, offset, before, limit)
        members[member.name] = member
        if len(members) > MOST_MEMBERS:
            raise ContainerError(offset, member.name, f"more than {MOST_MEMBERS} members")
        before, offset = member.name, member.start + member.size
    if members and magic != _CENTRAL:
        raise ContainerError(offset, f"after member {before}", "neither a member nor the directory begins here")
    start = offset
    for member in members.values():
        offset = _demand(file, offset, _central(member, limit), f"directory entry of {member.name}")
    offset = _demand(file, offset, _end(len(members), start, offset - start, limit), "end of the directory")
    if _read(file, offset, 1):
        raise ContainerError(offset, "", "bytes after the end of the container")
    return Container(file, members)


def _read_member(file: BinaryIO, header: int, before: str, limit: int) -> Member:
    fixed = _read(file, header, 30)
    if len(fixed) < 30:
        raise ContainerError(header + len(fixed), f"after member {before}" if before else "", "the file is cut short")
    crc, _, size, length, extra = struct.unpack("<14xIIIHH", fixed)
    raw = _read(file, header + 30, length)
    name = raw.decode("ascii", "replace")
    if not _NAME.fullmatch(name) or length > 255:
        place = f"after member {before}" if before else ""
        raise ContainerError(header + 30, place, f"{name[:80]!r} is no member name")
    if name <= before:
        raise ContainerError(header + 30, name, f"does not come after {before}")
    if extra:
        wide = _read(file, header + 30 + length, 20)
        size = struct.unpack("<4xQ8x", wide)[0] if len(wide) == 20 else 0
    start = _demand(file, header, _local(name, crc, size, limit), f"header of {name}")
    digest, found, left = hashlib.sha256(), 0, size
    file.seek(start)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise ContainerError(start + size - left, name, f"the file is cut short, {left} bytes are missing")
        found, left = zlib.crc32(chunk, found), left - len(chunk)
        digest.update(chunk)
    if found != crc:
        seen = f"content has CRC-32 {found:08x}, its header says {crc:08x}"
        raise ContainerError(start, f"{name} (bytes {start} to {start + size})", seen)
    return Member(name, size, crc, header, start, digest.digest())


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _demand(file: BinaryIO, offset: int, expected: bytes, what: str) -> int:
    """The offset behind ``expected``; ContainerError at the first byte that is not it."""
    seen = _read(file, offset, len(expected))
    if seen != expected:
        at = next((i for i, (a, b) in enumerate(zip(seen, expected, strict=False)) if a != b), len(seen))
        what_is = f"{seen[at]:02x}" if at < len(seen) else "the end of the file"
        raise ContainerError(offset + at, what, f"{what_is} instead of {expected[at]:02x}")
    return offset + len(expected)


def _wide(values: Iterable[int]) -> bytes:
    """The ZIP64 extra field of the values that do not fit; empty where all do."""
    body = b"".join(struct.pack("<Q", value) for value in values)
    return struct.pack("<HH", 1, len(body)) + body if body else b""


def _local(name: str, crc: int, size: int, limit: int) -> bytes:
    """Local header; a ZIP64 one always holds both sizes (APPNOTE 4.5.3)."""
    large = size >= limit
    shown = LIMIT_32 if large else size
    extra = _wide((size, size)) if large else b""
    needed = _ZIP64 if large else _PLAIN
    fixed = struct.pack("<4sHHHHHIIIHH", _LOCAL, needed, 0, 0, 0, _DATE, crc, shown, shown, len(name), len(extra))
    return fixed + name.encode("ascii") + extra


def _central(member: Member, limit: int) -> bytes:
    large, far = member.size >= limit, member.header >= limit
    shown = LIMIT_32 if large else member.size
    values = (*((member.size, member.size) if large else ()), *((member.header,) if far else ()))
    extra = _wide(values)
    fixed = struct.pack(
        "<4sHHHHHHIIIHHHHHII", _CENTRAL, 3 << 8 | _PLAIN, _ZIP64 if extra else _PLAIN, 0, 0, 0, _DATE, member.crc,
        shown, shown, len(member.name), len(extra), 0, 0, 0, 0, LIMIT_32 if far else member.header,
    )  # fmt: skip
    return fixed + member.name.encode("ascii") + extra


def _end(count: int, start: int, size: int, limit: int) -> bytes:
    many, large, far = count >= LIMIT_16, size >= limit, start >= limit
    wide = b""
    if many or large or far:
        made = 3 << 8 | _PLAIN
        wide = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, made, _ZIP64, 0, 0, count, count, size, start)
        wide += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
    shown = LIMIT_16 if many else count
    return wide + struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", 0, 0, shown, shown, LIMIT_32 if large else size, LIMIT_32 if far else start, 0
    )
