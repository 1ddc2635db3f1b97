"""The command: exit codes, both languages, JSON, and what it needs to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.evidence.site import Site

SITE = Site().make()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier as a process of its own."""
    command = [sys.executable, "-m", "collector.evidence.verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An honest bundle."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(SITE.bundle())
    return path


def test_exit_codes(bundle: Path) -> None:
    """0 with the anchors, 4 without, 1 where it contradicts, 2 where the command is wrong."""
    agent, collector = SITE.anchors()
    broken = bundle.with_name("broken.zip")
    broken.write_bytes(bundle.read_bytes()[:-1])

    assert 0 == run(str(bundle), "--trust", agent, "--trust", collector.upper()).returncode
    assert 4 == run(str(bundle)).returncode
    assert 4 == run(str(bundle), "--trust", agent).returncode
    assert 1 == run(str(broken), "--trust", agent, "--trust", collector).returncode
    assert 2 == run(str(bundle.with_name("none.zip"))).returncode
    assert 2 == run(str(bundle), "--trust", "abc").returncode
    assert 2 == run().returncode


def test_the_headline_is_in_both_languages(bundle: Path) -> None:
    """And the text says which keys are not held, and what is not claimed."""
    said = run(str(bundle)).stdout

    assert "内部一致，来源未经证实 / Internally consistent, origin not established" in said
    assert f"signed by agent {SITE.anchors()[0]}: NOT held" in said
    assert "does not show / 不证明: that the meters told the truth" in said


def test_json_says_the_same(bundle: Path) -> None:
    """One object with verdict, exit code, findings and signers."""
    done = run(str(bundle), "--json", *(part for anchor in SITE.anchors() for part in ("--trust", anchor)))
    said = json.loads(done.stdout)

    assert ("consistent", 0, [], 0) == (said["verdict"], said["exit_code"], said["findings"], done.returncode)
    assert {(anchor, True) for anchor in SITE.anchors()} == {(s["fingerprint"], s["held"]) for s in said["signers"]}


def test_nothing_but_the_base_install_is_loaded() -> None:
    """The web stack, SQLAlchemy and typer stay away."""
    code = (
        "import sys, collector.evidence.verify.__main__\n"
        "print(sorted({'fastapi', 'sqlalchemy', 'typer', 'jinja2', 'paho', 'pymodbus'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
