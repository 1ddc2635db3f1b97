"""The canonical zip: other programs open it, and nothing but itself is accepted."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evidence.container import ContainerError, ContainerWriter, open_container

CONTENT = {"a.txt": b"first", "folder/b.bin": bytes(range(256)) * 5, "folder/empty": b"", "z-last": b"x" * 70_000}


def written(content: dict[str, bytes], limit: int | None = None) -> bytes:
    """A container of these members."""
    file = io.BytesIO()
    writer = ContainerWriter(file) if limit is None else ContainerWriter(file, limit)
    for name in sorted(content):
        data = content[name]
        writer.add(name, (data[at : at + 1000] for at in range(0, len(data), 1000)))
    writer.close()
    return file.getvalue()


WHOLE = written(CONTENT)
_names = st.from_regex(r"[a-z0-9]{1,4}(/[a-z0-9][a-z0-9.]{0,3})?", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_names, st.binary(max_size=300), max_size=6), st.sampled_from([None, 100]))
def test_members_come_back(content: dict[str, bytes], limit: int | None) -> None:
    """Any members, in the plain and in the ZIP64 form, read by us and by Python's zipfile."""
    data = written(content, limit)
    container = open_container(io.BytesIO(data), *(() if limit is None else (limit,)))

    assert content == {name: container.content(name, 1000) for name in container.members}
    assert sorted(content) == list(container.members)
    assert all(hashlib.sha256(content[name]).digest() == member.sha256 for name, member in container.members.items())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert content == {name: archive.read(name) for name in archive.namelist()}


def test_every_field_of_the_form() -> None:
    """Stored, 1980-01-01 00:00, made on Unix by version 20, no flags, attributes, extras or comments."""
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        assert b"" == archive.comment
        for entry in archive.infolist():
            assert (0, (1980, 1, 1, 0, 0, 0), 3, 20, 20, 0, 0, 0, b"", b"") == (
                entry.compress_type, entry.date_time, entry.create_system, entry.create_version,
                entry.extract_version, entry.flag_bits, entry.internal_attr, entry.external_attr, entry.extra,
                entry.comment,
            )  # fmt: skip


def test_zip64_only_where_a_value_does_not_fit() -> None:
    """A member below the limit keeps the plain form beside one above it; version needed is 45 only there."""
    data = written({"a-small": b"x" * 99, "b-large": b"y" * 100, "c-far": b"z"}, 100)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        needed = {entry.filename: (entry.extract_version, len(entry.extra)) for entry in archive.infolist()}

    assert {"a-small": (20, 0), "b-large": (45, 28), "c-far": (45, 12)} == needed
    assert 20 == struct.unpack_from("<H", data, 4)[0]
    assert 45 == struct.unpack_from("<H", data, 30 + len("a-small") + 99 + 4)[0]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_reads_it(tmp_path: Path) -> None:
    """Info-ZIP tests and extracts the same members."""
    (tmp_path / "c.zip").write_bytes(WHOLE)
    done = subprocess.run(["unzip", "-q", "c.zip", "-d", "out"], cwd=tmp_path, capture_output=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert CONTENT["z-last"] == (tmp_path / "out" / "z-last").read_bytes()


@pytest.mark.parametrize("part", range(4))
def test_every_flipped_bit_is_found_and_placed(part: int) -> None:
    """The error names a byte at or before the flipped one's structure, never one after it."""
    small = written({"a": b"content", "b": b"more", "c": b""})
    for place in range(part, len(small), 4):
        for bit in range(8):
            flipped = bytearray(small)
            flipped[place] ^= 1 << bit
            with pytest.raises(ContainerError) as found:
                open_container(io.BytesIO(bytes(flipped)))
            assert found.value.offset <= len(small)


@pytest.mark.parametrize("length", [0, 1, 20, 29, 30, 31, 60, 1000, len(WHOLE) - 22, len(WHOLE) - 1])
def test_a_container_cut_short_is_refused(length: int) -> None:
    """At any place."""
    with pytest.raises(ContainerError):
        open_container(io.BytesIO(WHOLE[:length]))


def test_what_other_programs_write_is_refused() -> None:
    """The same members as zipfile writes them, in another order, with bytes around them."""
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    for data in (other.getvalue(), WHOLE + b"\x00", b"\x00" + WHOLE, b"", b"PK\x03\x04" * 20):
        with pytest.raises(ContainerError):
            open_container(io.BytesIO(data))


def test_members_in_another_order_are_refused() -> None:
    """Two members exchanged, everything else consistent."""
    file = io.BytesIO()
    writer = ContainerWriter(file)
    second = writer.add("b", [b"2"])
    writer.members.clear()
    first = writer.add("a", [b"1"])
    writer.members[:] = [second, first]
    writer.close()

    with pytest.raises(ContainerError, match="does not come after b"):
        open_container(io.BytesIO(file.getvalue()))


def test_the_writer_keeps_order_and_names() -> None:
    """Names ascend and are plain ASCII paths."""
    writer = ContainerWriter(io.BytesIO())
    writer.add("b", [])
    for name in ("a", "b", "../c", "/c", "c//d", "ü", "c/", ""):
        with pytest.raises(ValueError, match=r"member name|does not come after"):
            writer.add(name, [])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_rubbish_is_refused(data: bytes, keep: int) -> None:
    """Any bytes, alone and after the begin of a container."""
    for whole in (data, WHOLE[:keep] + data):
        with pytest.raises(ContainerError):
            open_container(io.BytesIO(whole))
