from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type

from collector.accounts.passwords import (
    PasswordError,
    check_password,
    hash_password,
    is_outdated,
    make_password,
    password_fits,
)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "short"),
        ("9 signs..", "short"),
        ("x" * 1025, "long"),
        ("zhangweiming", "name"),
        ("ZhangWeiMing", "name"),
        ("gnimiewgnahz", "name"),
        ("zhangweiming2026!", "name"),
        ("zhangweiming-zhangweiming", "name"),
        ("password1234", "obvious"),
        ("Emitrace2026", "obvious"),
        ("passwordpassword", "obvious"),
        ("1234567890", "obvious"),
        ("0987654321", "obvious"),
        ("aaaaaaaaaaaa", "obvious"),
        ("abababababab", "obvious"),
    ],
)
def test_what_is_guessed_first_is_refused(password: str, reason: str) -> None:
    """Too short, the name in any dress, and the first guesses are refused with what to do."""
    with pytest.raises(PasswordError) as refused:
        check_password("zhangweiming", password)

    assert reason == refused.value.reason
    assert refused.value.hint


@pytest.mark.parametrize("password", ["锅炉房旁边的老槐树开花了", "correct horse", "kD7-wq2Lm9x", "2026-11-27 17:44"])
def test_others_are_taken(password: str) -> None:
    """Any script, spaces, no rule on which signs."""
    check_password("zhangweiming", password)


def test_only_argon2id_is_kept() -> None:
    """A salted argon2id hash fits its own password alone; one of older parameters is noticed."""
    first, second = hash_password("correct horse"), hash_password("correct horse")
    weaker = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1, type=Type.ID).hash("correct horse")

    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert first != second
    assert (True, False, False) == tuple(
        password_fits(kept, typed)
        for kept, typed in ((first, "correct horse"), (first, "correct horsE"), ("no hash", "correct horse"))
    )
    assert (False, True) == (is_outdated(first), is_outdated(weaker))


def test_one_time_passwords_are_strong_and_taken() -> None:
    """Each is another one, long enough, and without signs that look alike."""
    made = {make_password() for _ in range(1000)}
    for password in made:
        check_password("admin", password)

    assert 1000 == len(made)
    assert set() == {sign for password in made for sign in password} & set("il1o0")
