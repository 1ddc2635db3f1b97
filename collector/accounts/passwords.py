"""Passwords: which ones are taken, how they are kept (argon2id), and one-time passwords to hand over."""

from __future__ import annotations

import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from protocols.errors import EmitraceError

SHORTEST, LONGEST = 10, 1024
FEWEST_SIGNS = 4
OBVIOUS = (
    "password", "passwort", "passw", "letmein", "welcome", "changeme", "administrator", "emitrace", "collector",
    "secret", "qwerty", "qwertyuiop", "qwertz", "qazwsxedc", "asdfghjkl", "abcdefghij", "iloveyou", "mima", "woaini",
)  # fmt: skip
"""Words that are guessed first; digits and signs around them, or repeating them, help nobody."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"

_HASHER = PasswordHasher()  # RFC 9106, the recommendation for little memory: 64 MiB, 3 passes


class PasswordError(EmitraceError):
    """A password that is not taken; ``reason`` is short, long, name or obvious."""

    def __init__(self, reason: str, seen: str, hint: str) -> None:
        super().__init__("password", seen, hint)
        self.reason = reason


def check_password(name: str, password: str) -> None:
    """PasswordError where a new password of this account would be guessed too easily."""
    if len(password) < SHORTEST:
        raise PasswordError("short", f"{len(password)} characters", f"Take at least {SHORTEST}.")
    if len(password) > LONGEST:
        raise PasswordError("long", f"{len(password)} characters", f"Take at most {LONGEST}.")
    lowered = password.casefold()
    letters = re.sub(r"[\W\d_]+", "", lowered)
    if lowered in (name, name[::-1]) or _repeats(letters, re.sub(r"[\W\d_]+", "", name)):
        raise PasswordError("name", "it is the account's name", "Take one that does not follow from the name.")
    digits_only = not letters and (lowered in "01234567890123456789" or lowered in "98765432109876543210")
    if len(set(lowered)) < FEWEST_SIGNS or digits_only or any(_repeats(letters, word) for word in OBVIOUS):
        raise PasswordError("obvious", "one of those that are guessed first", "Take several words, or let one be made.")


def hash_password(password: str) -> str:
    """The argon2id hash to keep, parameters and salt included."""
    return _HASHER.hash(password)


def password_fits(password_hash: str, password: str) -> bool:
    """Whether the hash was made of this password."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def make_password() -> str:
    """A one-time password: 16 letters and digits (79 bits) that read and type well, in groups of four."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def _repeats(text: str, word: str) -> bool:
    """Whether the text is nothing but this word, once or several times."""
    return bool(word) and bool(text) and not text.replace(word, "")
