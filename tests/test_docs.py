"""What is written is true: commands, options, settings, links and blocks of the documentation."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption

import agent.commands
import collector.commands
import simulators.commands

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = [ROOT / "agent" / "agent.example.toml", ROOT / "collector" / "collector.example.toml"]
APPLICATIONS = {
    "emitrace-agent": agent.commands.app,
    "emitrace-collector": collector.commands.app,
    "emitrace-simulate": simulators.commands.app,
}
FENCE = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACES_OF_ONE_MACHINE = re.compile(r"(?<![\w.])/(?:work|home/\w+|root|Users/\w+)/[\w.]")
REGISTRY_SETTINGS = re.compile(r"(?:extra-)?index-" + r"url|trusted-" + r"host|_" + r"authToken")


def command_of(program: str) -> Any:
    """The command tree behind a program's typer application."""
    return typer.main.get_command(APPLICATIONS[program])


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from leaves(child, f"{path} {name}")


ALL = [leaf for program in APPLICATIONS for leaf in leaves(command_of(program), program)]
BLOCKS = [
    pytest.param(page, match[2], match[3], id=f"{page.name}:{match.string[: match.start()].count(chr(10)) + 1}")
    for page in PAGES
    for match in FENCE.finditer(page.read_text(encoding="utf-8"))
]


def written() -> str:
    """All pages, one text."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_claim_of_security_is_a_test() -> None:
    """docs/security.md claims nothing beyond the tests: each one it names is there."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"(?m)^(?:async )?def (test_\w+)\(", code))

    assert len(named) > 50
    assert set() == named - there


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_command_is_documented_and_has_help(name: str, command: Any) -> None:
    """A command appears in README or docs with its full name, and it and each of its options have help."""
    silent = [p.name for p in command.params if isinstance(p, TyperOption) and not p.help]

    assert (command.help or "").strip(), f"{name} has no help"
    assert silent == []
    assert re.search(re.escape(name) + r"(?![\w-])", written()), f"{name} is in neither README.md nor docs/"


def test_verifier_is_documented() -> None:
    """Each option of `emitrace-verify` is in README or docs."""
    done = subprocess.run(
        [sys.executable, "-m", "collector.evidence.verify", "--help"], capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"(--[a-z][a-z-]+)", done.stdout)) - {"--help"}

    assert "--trust" in options
    assert {option for option in options if option not in written()} == set()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_setting_of_the_example_is_explained(example: Path) -> None:
    """Each key of an example file bears a comment, beside it or above its group, or stands in the documentation."""
    text = example.read_text(encoding="utf-8")
    tomllib.loads(text)
    unexplained, above = [], ""
    for number, line in enumerate(text.splitlines(), start=1):
        key = re.match(r"\s*#?\s*([a-z][a-z0-9_]*)\s*=", line)
        if key is None:
            above = line.lstrip()
        elif "#" not in line.split("=", 1)[1] and not above.startswith("#") and f"`{key[1]}`" not in written():
            unexplained.append(f"line {number}: {key[1]}")

    assert unexplained == []


def said_commands(text: str) -> Iterator[list[str]]:
    """The command lines of our programs in a shell block, prompts and comments taken off."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        bare = re.sub(r"^\s*(?:[$#]\s+)?(?:sudo (?:-u \S+ )?)?", "", line)
        bare = re.sub(r"^(?:\S*/)?(?=emitrace-)", "", bare)
        if bare.startswith("emitrace-"):
            words = shlex.split(re.split(r"\s(?:\||>|<|&&|&$|;)\s?", bare)[0], comments=True)
            yield words


def faults_of(words: list[str]) -> str | None:
    """What is wrong with a command line: an unknown command or option; None if nothing."""
    if words[0] not in APPLICATIONS:
        return None if words[0] == "emitrace-verify" else f"no program {words[0]}"
    command = command_of(words[0])
    rest = words[1:]
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"{words[0]} has no command {rest[0]}"
        command = command.commands[rest[0]]
        rest = rest[1:]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    return f"{' '.join(words)}: unknown {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize(("page", "language", "text"), BLOCKS)
def test_block_is_right(page: Path, language: str, text: str) -> None:
    """TOML blocks parse, Python blocks compile, shell blocks parse and use commands and options that exist."""
    if language == "toml":
        tomllib.loads(text)
    elif language == "python":
        compile(text, str(page), "exec")
    elif language in {"sh", "bash", "console", "shell"}:
        faults = [fault for words in said_commands(text) if (fault := faults_of(words)) is not None]
        assert faults == []
    if language in {"sh", "bash"}:
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file or folder that exists."""
    targets = [t.split("#")[0] for t in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in t]

    assert [t for t in targets if t and not (page.parent / t).exists()] == []


def test_readme_leads_to_every_page() -> None:
    """Every page under docs/ is linked from the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []


def test_nothing_names_places_of_one_machine() -> None:
    """No tracked file holds a path of somebody's machine or a setting for a private registry."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    found = []
    for name in filter(None, listed):
        path = ROOT / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if PLACES_OF_ONE_MACHINE.search(line) or REGISTRY_SETTINGS.search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")

    assert found == []
