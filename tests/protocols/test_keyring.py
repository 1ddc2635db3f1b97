"""Which of an agent's keys may sign what: in the stream of a change by place, elsewhere by the log."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.keyring import Keyring, Replacement
from protocols.wire.codec import read_item, seal_item
from protocols.wire.cose import key_id
from protocols.wire.errors import Reason, WireError
from protocols.wire.key_changes import make_key_change
from protocols.wire.keys import public_bytes

KEYS = [Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"a", b"b", b"c", b"x")]
PUBLIC = [public_bytes(key) for key in KEYS]
IDS = [key_id(public) for public in PUBLIC]
S, T, U = b"s" * 16, b"t" * 16, b"u" * 16
RING = Keyring(PUBLIC[0], (Replacement(S, 10, PUBLIC[1], 100), Replacement(T, 5, PUBLIC[2], 200)))


def test_a_ring_names_its_agent_by_the_first_key() -> None:
    """The newest signs; each is found by its fingerprint, a foreign one is not."""
    assert (IDS[0].hex(), PUBLIC[2]) == (RING.agent_id, RING.newest)
    assert [*PUBLIC[:3], None] == [RING.key(kid) for kid in IDS]
    assert PUBLIC[0] == Keyring(PUBLIC[0]).newest


@pytest.mark.parametrize(
    ("key", "stream", "sequence", "position", "good"),
    [
        (0, S, 10, None, True),  # the change itself, and what came before it, whenever it arrives
        (0, S, 3, 500, True),
        (0, S, 11, 50, False),
        (1, S, 10, None, False),
        (1, S, 11, 150, True),
        (1, S, 11, None, False),  # replaced in another stream since, and not logged by then
        (1, S, 11, 250, False),
        (1, T, 5, None, True),
        (1, T, 6, None, False),
        (2, T, 5, None, False),
        (2, T, 6, None, True),
        (2, S, 11, None, True),
        (0, T, 1, 99, True),
        (0, T, 1, 100, False),
        (0, U, 0, None, False),  # a thief of an old key begins a stream of his own
        (2, U, 0, None, True),
        (3, S, 1, 1, False),
    ],
)
def test_which_key_may_sign_what(key: int, stream: bytes, sequence: int, position: int | None, good: bool) -> None:
    """A fault says why."""
    assert good == (RING.fault(IDS[key], stream, sequence, position) == "")


def test_nobody_takes_on_a_key_that_he_does_not_hold() -> None:
    """The proof is the new key's signature over the place of the change."""
    change = make_key_change(S, 3, bytes(32), KEYS[1])
    assert change == read_item(seal_item(change, KEYS[0]), PUBLIC[0])
    for other in (make_key_change(S, 4, bytes(32), KEYS[1]), make_key_change(S, 3, bytes(32), KEYS[2])):
        forged = type(change)(S, 3, bytes(32), PUBLIC[1], other.proof)
        with pytest.raises(WireError) as told:
            read_item(seal_item(forged, KEYS[0]), PUBLIC[0])
        assert Reason.WRONG_SIGNATURE is told.value.reason
