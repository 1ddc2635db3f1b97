"""COSE_Sign1 with Ed25519 against published vectors, and what is refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.wire import cbor
from protocols.wire.cose import Sealed, key_id, open_sealed, sign, to_be_signed, verify
from protocols.wire.errors import Reason, WireError
from tests.protocols.wire.examples import KEY, PUBLIC

RFC_8032 = [
    (
        "test 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "test 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "test 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]  # fmt: skip
"""RFC 8032 section 7.1: secret key, public key, message, signature."""

EDDSA_SIG_01 = bytes.fromhex(
    "d28445a201270300a10442313154546869732069732074686520636f6e74656e742e58407142fd2ff96d56db85bee905a76ba1d0"
    "b7321a95c8c4d3607c5781932b7afb8711497dfa751bf40b58b3bcc32300b1487f3db34085eef013bf08f4a44d6fef0d"
)
"""cose-wg/Examples, eddsa-examples/eddsa-sig-01: sign1 by the key of RFC 8032 test 1."""

DOCUMENTED = (
    {1: -8, 3: "application/vnd.emitrace.ack+cbor;v=1", 4: bytes(32)},
    {1: -7, 3: "x", 4: bytes(32)},
    {1: -8, 3: "x", 4: bytes(31)},
    {1: -8, 3: 60, 4: bytes(32)},
    {1: -8, 4: bytes(32)},
    {1: -8, 2: [1], 3: "x", 4: bytes(32)},
)


@pytest.mark.parametrize(
    ("secret", "public", "message", "signature"), [v[1:] for v in RFC_8032], ids=[f"RFC 8032 {v[0]}" for v in RFC_8032]
)
def test_ed25519_vectors(secret: str, public: str, message: str, signature: str) -> None:
    """The signature scheme is the one of RFC 8032."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))

    assert public == key.public_key().public_bytes_raw().hex()
    assert signature == key.sign(bytes.fromhex(message)).hex()


def test_eddsa_sig_01() -> None:
    """What we sign over is what the working group's example was signed over, byte for byte."""
    protected, content = bytes.fromhex("a201270300"), b"This is the content."
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC_8032[0][1]))

    assert EDDSA_SIG_01[-64:] == key.sign(to_be_signed(protected, content))
    assert EDDSA_SIG_01 == b"\xd2" + bytes.fromhex("84") + cbor.encode(protected) + bytes.fromhex("a104423131") + (
        cbor.encode(content) + cbor.encode(EDDSA_SIG_01[-64:])
    )


def test_eddsa_sig_01_is_not_one_of_ours() -> None:
    """The example keeps its key id unprotected, which we quarantine."""
    with pytest.raises(WireError) as refused:
        open_sealed(EDDSA_SIG_01)
    assert Reason.UNPROTECTED_NOT_EMPTY == refused.value.reason


def test_eddsa_sig_01_signature_holds_under_our_reading() -> None:
    """A public reader of COSE and ours agree on the signed bytes."""
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(RFC_8032[0][2])).verify(
        EDDSA_SIG_01[-64:], Sealed(b"", "", b"This is the content.", bytes.fromhex("a201270300"), b"").signed_bytes
    )


def test_sealed_parts() -> None:
    """The envelope holds what was sealed, signed by the key its id names."""
    sealed = open_sealed(sign(KEY, "a/b", b"payload"))

    verify(sealed, PUBLIC)
    assert (key_id(PUBLIC), "a/b", b"payload") == (sealed.kid, sealed.content_type, sealed.payload)


@pytest.mark.parametrize("header", DOCUMENTED[1:])
def test_other_headers_are_malformed(header: dict[int, object]) -> None:
    """Algorithm, content type and key id, all protected, nothing else."""
    data = b"\xd2" + cbor.encode([cbor.encode(header), {}, b"", bytes(64)])

    with pytest.raises(WireError) as refused:
        open_sealed(data)
    assert refused.value.reason in (Reason.MALFORMED, Reason.WRONG_CONTENT_TYPE)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"\xd2", Reason.MALFORMED),
        (b"\xd2\x80", Reason.MALFORMED),
        (cbor.encode([cbor.encode(DOCUMENTED[0]), {}, b"", bytes(64)]), Reason.MALFORMED),
        (b"\xd2" + cbor.encode([cbor.encode(DOCUMENTED[0]), {}, b"", bytes(63)]), Reason.MALFORMED),
        (b"\xd2" + cbor.encode([cbor.encode(DOCUMENTED[0]), {}, None, bytes(64)]), Reason.MALFORMED),
        (b"\xd2" + cbor.encode([cbor.encode(DOCUMENTED[0]), {4: b""}, b"", bytes(64)]), Reason.UNPROTECTED_NOT_EMPTY),
        (b"\xd2" + cbor.encode([cbor.encode(DOCUMENTED[0]), {}, b"", bytes(64)]) + b"\x00", Reason.TRAILING_BYTES),
        (b"\xd2\x98\x04" + cbor.encode([b"", {}, b"", bytes(64)])[1:], Reason.NOT_DETERMINISTIC),
    ],
)
def test_other_envelopes_are_refused(data: bytes, reason: Reason) -> None:
    """Tag 18, four parts, deterministic, nothing unprotected, nothing after it."""
    with pytest.raises(WireError) as refused:
        open_sealed(data)
    assert reason == refused.value.reason


def test_a_public_key_that_is_none() -> None:
    """Bytes that are no key verify nothing."""
    sealed = open_sealed(sign(KEY, "a/b", b""))
    with pytest.raises(WireError) as refused:
        verify(Sealed(key_id(b"short"), "a/b", b"", sealed.protected, sealed.signature), b"short")
    assert Reason.UNKNOWN_KEY == refused.value.reason
