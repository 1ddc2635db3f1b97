"""Key changes: the new key's proof, made and checked."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.key_change import KeyChange
from protocols.wire import cbor
from protocols.wire.errors import Reason, WireError

PROOF_BYTES = 64


def make_key_change(stream_id: bytes, sequence: int, previous: bytes, new: Ed25519PrivateKey) -> KeyChange:
    """The change to a new key at a place of a stream, with the new key's proof."""
    public = new.public_key().public_bytes_raw()
    return KeyChange(stream_id, sequence, previous, public, new.sign(_stated(stream_id, sequence, previous, public)))


def check_proof(change: KeyChange) -> None:
    """WireError unless the new key signed the place of the change."""
    stated = _stated(change.stream_id, change.sequence, change.previous, change.public_key)
    try:
        Ed25519PublicKey.from_public_bytes(change.public_key).verify(change.proof, stated)
    except (InvalidSignature, ValueError) as error:
        raise WireError(Reason.WRONG_SIGNATURE, "key change", "the new key did not sign it") from error


def _stated(stream_id: bytes, sequence: int, previous: bytes, public: bytes) -> bytes:
    return cbor.encode(["emitrace key change", stream_id, sequence, previous, public])
