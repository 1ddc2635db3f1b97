from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from collector.commands import app
from tests.collector.running import PASSWORD


def run(folder: Path, *words: str) -> Result:
    """A command with the folder's configuration; without a terminal to ask on."""
    (folder / "collector.toml").touch()
    return CliRunner().invoke(app, [*words, "--config", str(folder / "collector.toml")])


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with a password on its first line."""
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nnot this\n", encoding="utf-8")
    return str(path)


def names(folder: Path) -> dict[str, tuple[str, bool]]:
    """What `user list --json` says: role and state by name."""
    listed = json.loads(run(folder, "user", "list", "--json").stdout)
    return {one["name"]: (one["role"], one["enabled"]) for one in listed}


def test_accounts_are_made_changed_and_removed(tmp_path: Path, file: str) -> None:
    """Each command does what it says, and the list shows it, without anything of a password."""
    codes = [
        run(tmp_path, "user", "add", "admin", "--role", "admin", "--password-file", file),
        run(tmp_path, "user", "add", "Li", "--role", "technician", "--password-file", file),
        run(tmp_path, "user", "set-role", "li", "--role", "verifier"),
        run(tmp_path, "user", "set-password", "li", "--password-file", file),
        run(tmp_path, "user", "disable", "li"),
    ]
    listed = run(tmp_path, "user", "list")
    assert [0] * 5 == [result.exit_code for result in codes], [result.output for result in codes]
    assert {"admin": ("admin", True), "li": ("verifier", False)} == names(tmp_path)
    assert ("never" in listed.stdout, "argon2" in listed.stdout + run(tmp_path, "user", "list", "--json").stdout) == (
        True, False,
    )  # fmt: skip

    assert 0 == run(tmp_path, "user", "enable", "li").exit_code
    assert "0 sessions of li" in run(tmp_path, "user", "sign-out", "li").stdout
    assert ("verifier", True) == names(tmp_path)["li"]
    assert 0 == run(tmp_path, "user", "remove", "li").exit_code
    assert ["admin"] == list(names(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "admin", "--role", "admin", "--password-file", "FILE"), "already"),
        (("add", "a b", "--role", "admin", "--password-file", "FILE"), "letters, digits"),
        (("add", "li", "--role", "chief", "--password-file", "FILE"), "technician"),
        (("add", "li", "--role", "manager", "--password-file", "SHORT"), "at least 10"),
        (("add", "li", "--role", "manager", "--password-file", "NONE"), "readable"),
        (("add", "li", "--role", "manager"), "--password-file"),
        (("set-password", "nobody", "--password-file", "FILE"), "Known: admin"),
        (("set-role", "admin", "--role", "verifier"), "last administrator"),
        (("disable", "admin"), "last administrator"),
        (("remove", "admin"), "last administrator"),
        (("sign-out", "nobody"), "no such account"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:2]),
)
def test_what_cannot_be_done_is_said(tmp_path: Path, file: str, words: tuple[str, ...], said: str) -> None:
    """Exit 2, what was seen and what to do; nothing changes."""
    run(tmp_path, "user", "add", "admin", "--role", "admin", "--password-file", file)
    (tmp_path / "short").write_text("short\n")
    paths = {"FILE": file, "SHORT": str(tmp_path / "short"), "NONE": str(tmp_path / "none")}
    result = run(tmp_path, "user", *(paths.get(word, word) for word in words))

    assert (2, True) == (result.exit_code, said in result.stderr.replace("\n", " ")), result.stderr
    assert {"admin": ("admin", True)} == names(tmp_path)


def test_a_list_without_an_administrator_says_what_to_do(tmp_path: Path) -> None:
    """In a fresh database the list names the first step."""
    assert "emitrace-collector user add admin --role admin" in run(tmp_path, "user", "list").stdout


def test_a_password_is_asked_for_on_a_terminal(tmp_path: Path) -> None:
    """Typed twice on a real terminal, where it is not shown; the account then exists."""
    (tmp_path / "collector.toml").touch()
    command = [
        sys.executable,
        "-m",
        "collector",
        "user",
        "add",
        "admin",
        "--role",
        "admin",
        "--config",
        "collector.toml",
    ]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(command[0], command)  # noqa: S606 - the program under test, on the terminal just made
    seen = b""
    answers = [b"Password: ", b"more: "]
    while True:
        try:
            got = os.read(terminal, 1024)
        except OSError:  # how Linux says that the other end is closed
            break
        if not got:
            break
        seen += got
        if answers and seen.endswith(answers[0]):
            answers.pop(0)
            os.write(terminal, f"{PASSWORD}\n".encode())
    _, status = os.waitpid(child, 0)
    os.close(terminal)

    assert 0 == os.waitstatus_to_exitcode(status), seen
    assert (b"admin is added as admin" in seen, PASSWORD.encode() in seen) == (True, False)
