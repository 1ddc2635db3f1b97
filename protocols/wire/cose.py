"""COSE_Sign1 (RFC 9052) with Ed25519, as the messages use it: tag 18, everything protected, no external data.

``open_sealed`` checks the shape, ``verify`` the signature over the received bytes; nothing is re-encoded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.wire import cbor, limits
from protocols.wire.errors import Reason, WireError

EDDSA = -8
ALGORITHM, CONTENT_TYPE, KEY_ID = 1, 3, 4
_TAG_18 = b"\xd2"
_SIGNATURE_BYTES = 64
_KID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sealed:
    """The parts of a sealed message. ``kid`` is the SHA-256 of the signer's raw public key."""

    kid: bytes
    content_type: str
    payload: bytes
    protected: bytes
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return to_be_signed(self.protected, self.payload)


def key_id(public_key: bytes) -> bytes:
    """SHA-256 of a raw public key."""
    return hashlib.sha256(public_key).digest()


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4 with empty external data."""
    return cbor.encode(["Signature1", protected, b"", payload])


def sign(key: Ed25519PrivateKey, content_type: str, payload: bytes) -> bytes:
    """A sealed message: tag 18, protected header with algorithm, content type and key id."""
    kid = key_id(key.public_key().public_bytes_raw())
    protected = cbor.encode({ALGORITHM: EDDSA, CONTENT_TYPE: content_type, KEY_ID: kid})
    signature = key.sign(to_be_signed(protected, payload))
    sealed = _TAG_18 + cbor.encode([protected, {}, payload, signature])
    if len(sealed) > limits.MESSAGE_BYTES:
        seen = f"{len(sealed)} bytes, at most {limits.MESSAGE_BYTES} may be sent"
        raise WireError(Reason.TOO_LARGE, content_type, seen, "split it")
    return sealed


def open_sealed(data: bytes) -> Sealed:
    """The parts of a message of the right shape; its signature is not checked yet."""
    if len(data) > limits.MESSAGE_BYTES:
        raise WireError(Reason.TOO_LARGE, "message", f"{len(data)} bytes, at most {limits.MESSAGE_BYTES} are read")
    if data[:1] != _TAG_18:
        raise WireError(Reason.MALFORMED, "message", f"starts with {data[:1].hex() or 'nothing'}, not with tag 18")
    parts = cbor.decode(data[1:], max_depth=4)
    if not isinstance(parts, list) or len(parts) != 4:
        raise WireError(Reason.MALFORMED, "message", "not an array of four")
    protected, unprotected, payload, signature = parts
    if type(protected) is not bytes or type(unprotected) is not dict or type(payload) is not bytes:
        raise WireError(Reason.MALFORMED, "message", "its parts are not bytes, map, bytes, bytes")
    if unprotected:
        raise WireError(Reason.UNPROTECTED_NOT_EMPTY, "message", f"{len(unprotected)} unprotected header fields")
    if type(signature) is not bytes or len(signature) != _SIGNATURE_BYTES:
        raise WireError(Reason.MALFORMED, "message", "a signature that is not 64 bytes")
    kid, content_type = _read_header(protected)
    return Sealed(kid, content_type, payload, protected, signature)


def verify(sealed: Sealed, public_key: bytes) -> None:
    """WireError unless this key signed exactly these bytes."""
    if sealed.kid != key_id(public_key):
        seen = f"signed by key {sealed.kid.hex()}, not {key_id(public_key).hex()}"
        raise WireError(Reason.UNKNOWN_KEY, "message", seen)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(sealed.signature, sealed.signed_bytes)
    except InvalidSignature as error:
        raise WireError(
            Reason.WRONG_SIGNATURE, "message", f"the signature of key {sealed.kid.hex()} does not hold"
        ) from error
    except ValueError as error:
        raise WireError(Reason.UNKNOWN_KEY, "message", f"not an Ed25519 public key: {error}") from error


def _read_header(protected: bytes) -> tuple[bytes, str]:
    header = cbor.decode(protected, max_depth=2)
    if not isinstance(header, dict) or header.keys() != {ALGORITHM, CONTENT_TYPE, KEY_ID}:
        raise WireError(Reason.MALFORMED, "protected header", "fields other than algorithm, content type and key id")
    kid, content_type = header[KEY_ID], header[CONTENT_TYPE]
    if type(header[ALGORITHM]) is not int or header[ALGORITHM] != EDDSA:
        raise WireError(Reason.MALFORMED, "protected header", f"algorithm {header[ALGORITHM]!r:.40}, not -8 (EdDSA)")
    if type(kid) is not bytes or len(kid) != _KID_BYTES:
        raise WireError(Reason.MALFORMED, "protected header", "a key id that is not 32 bytes")
    if type(content_type) is not str or len(content_type) > 128:
        raise WireError(Reason.WRONG_CONTENT_TYPE, "protected header", "a content type that is not short text")
    return kid, content_type
