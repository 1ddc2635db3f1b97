"""The plan as it travels and is kept: its text and the register maps it was made with, in one document.

A document is deterministic CBOR ``{1: 1, 2: plan text, 3: {model: map text}}``; its SHA-256 names the plan in
every batch. What is read back was written by somebody else, so every bound and every rule is checked again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from pathlib import Path

from protocols.errors import EmitraceError, InputError, InputErrors
from protocols.modbus.maps import load_map, map_names, parse_map
from protocols.modbus.registermap import RegisterMap
from protocols.plan.bind import bind
from protocols.plan.bound import BoundPlan
from protocols.plan.check import plan_errors
from protocols.plan.load import read_plan
from protocols.plan.model import Plan
from protocols.toml import parse_toml, read_toml, validate
from protocols.wire import cbor

SCHEMA = 1
MAX_BYTES = 4 * 1024 * 1024
MAX_MAPS = 1000
MAX_NAME = 64


class DocumentError(EmitraceError):
    """Bytes that are no plan document."""

    def __init__(self, seen: str, hint: str = "") -> None:
        super().__init__("plan document", seen, hint)


def encode_document(plan_text: str, maps: Mapping[str, str]) -> bytes:
    """The document of a plan and the texts of its maps by model; equal texts give equal bytes."""
    data = cbor.encode({1: SCHEMA, 2: plan_text, 3: dict(maps)})
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{len(data)} bytes", f"at most {MAX_BYTES} are accepted; shorten the plan or its maps")
    decode_document(data)
    return data


def decode_document(data: bytes) -> tuple[str, dict[str, str]]:
    """Plan text and map texts of a document; DocumentError or WireError where it is none."""
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{len(data)} bytes", f"at most {MAX_BYTES} are accepted")
    content = cbor.decode(data, max_depth=4)
    if not isinstance(content, dict) or set(content) != {1, 2, 3}:
        raise DocumentError("not a map of the keys 1, 2 and 3")
    if type(content[1]) is not int or content[1] != SCHEMA:
        raise DocumentError(f"schema {content[1]!r}", f"this version reads schema {SCHEMA}")
    text, maps = content[2], content[3]
    if not isinstance(text, str):
        raise DocumentError("key 2 is not the plan's text")
    if not isinstance(maps, dict) or len(maps) > MAX_MAPS:
        raise DocumentError(f"key 3 is not a map of at most {MAX_MAPS} register maps")
    for model, map_text in maps.items():
        if not isinstance(model, str) or not isinstance(map_text, str) or not 0 < len(model) <= MAX_NAME:
            raise DocumentError("a register map is not a name and a text")
    return text, maps


def document_digest(data: bytes) -> bytes:
    """SHA-256 of a document, which names the plan everywhere."""
    return hashlib.sha256(data).digest()


def open_document(data: bytes, file: str = "plan.toml") -> BoundPlan:
    """Decode, parse, check and bind a document.

    Parameters
    ----------
    data : bytes
    file : str
        How errors name the plan's file.

    Raises
    ------
    DocumentError, WireError
        The bytes are no document.
    InputErrors
        The plan or a register map breaks a rule; names file, line, field.
    """
    text, map_texts = decode_document(data)
    document = parse_toml(text, file)
    plan = read_plan(document)
    used = {instrument.map for instrument in plan.instruments}
    spare = sorted(set(map_texts) - used)
    if spare:
        raise DocumentError(f"register map {spare[0]!r} is used by no instrument", "a document holds the maps used")
    maps = {model: _map(model, map_text) for model, map_text in sorted(map_texts.items())}
    return bind(plan, maps, document_digest(data), document)


def make_document(path: Path) -> bytes:
    """The document of a plan file and the register maps it names: packaged ones, and those in ``maps`` beside it.

    Raises
    ------
    InputErrors
        The plan or a map beside it cannot be read or breaks a rule, or the plan names a map that is not there.
    """
    data, name = _packed(path)
    open_document(data, name)
    return data


def _packed(path: Path) -> tuple[bytes, str]:
    """The document of a plan file that breaks no rule, and how errors name the file."""
    document = read_toml(path)
    plan = validate(document, Plan)
    models = {instrument.map for instrument in plan.instruments}
    maps = {model: load_map(model) for model in models & set(map_names())}
    maps |= _own_maps(path.parent / "maps", models)
    errors = plan_errors(plan, {model: register_map for model, (register_map, _) in maps.items()}, document)
    if errors:
        raise InputErrors(errors)
    return encode_document(document.text, {model: maps[model][1] for model in models}), document.file


def _own_maps(folder: Path, wanted: Set[str]) -> dict[str, tuple[RegisterMap, str]]:
    """The maps in a folder that a plan names; one that hides a packaged map is refused."""
    found: dict[str, tuple[RegisterMap, str]] = {}
    for file in sorted(folder.glob("*.toml")):
        if file.stem not in wanted:
            continue
        if file.stem in map_names():
            hint = "choose another model name for it, and name that in the plan"
            raise InputErrors([InputError(str(file), 0, "", "a packaged register map has this name", hint)])
        text = read_toml(file).text
        found[file.stem] = (_map(file.stem, text, str(file)), text)
    return found


def _map(model: str, text: str, file: str = "") -> RegisterMap:
    register_map = parse_map(text, file or f"maps/{model}.toml", claims=bool(file))
    if register_map.model != model:
        seen = f'"{register_map.model}"'
        hint = f'a map\'s file is named after its model: write model = "{model}"' if file else ""
        hint = hint or f'the document calls it "{model}"'
        raise InputErrors([InputError(file or f"maps/{model}.toml", 0, "model", seen, hint)])
    return register_map
