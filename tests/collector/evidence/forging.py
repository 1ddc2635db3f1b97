"""Bundles made anew by whoever holds the collector's key: members changed, manifest rewritten, signed again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collector.evidence.container import ContainerWriter, open_container
from collector.evidence.layout import (
    MANIFEST,
    MANIFEST_TYPE,
    SIGNATURE,
    Listed,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from protocols.wire.cose import sign


def members_of(data: bytes) -> dict[str, bytes]:
    """Every member's content."""
    container = open_container(io.BytesIO(data))
    return {name: container.content(name, 10**8) for name in container.members}


def reforged(
    data: bytes, key: Ed25519PrivateKey, changes: Mapping[str, bytes | None], *, sign_again: bool = True,
    change: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> bytes:  # fmt: skip
    """The bundle with members changed, added or (None) left out; its manifest changed, made and signed again."""
    kept = {name: new for name, new in sorted((members_of(data) | dict(changes)).items()) if new is not None}
    if sign_again:
        listed = tuple(
            Listed(name, len(content), hashlib.sha256(content).digest())
            for name, content in kept.items()
            if name not in (MANIFEST, SIGNATURE)
        )
        manifest = change(replace(decode_manifest(kept[MANIFEST]), members=listed))
        kept[MANIFEST] = encode_manifest(manifest)
        kept[SIGNATURE] = sign(key, MANIFEST_TYPE, hashlib.sha256(kept[MANIFEST]).digest())
    return zipped(kept)


def signed_anew(data: bytes, key: Ed25519PrivateKey, change: Callable[[Manifest], Manifest]) -> bytes:
    """The bundle with another manifest."""
    return reforged(data, key, {}, change=change)


def zipped(members: Mapping[str, bytes]) -> bytes:
    """The canonical container of these members."""
    file = io.BytesIO()
    writer = ContainerWriter(file)
    for name in sorted(members):
        writer.add(name, [members[name]])
    writer.close()
    return file.getvalue()
