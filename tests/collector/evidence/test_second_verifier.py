"""docs/second_verifier.py, which imports nothing of ours, comes to the verdicts that its proofs allow."""

from __future__ import annotations

import ast
import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pytest

from collector.evidence.bundle import BundleContents
from collector.evidence.layout import MANIFEST, SIGNATURE
from collector.evidence.verify.report import Report, Step
from collector.evidence.verify.steps import verify_bundle
from tests.collector.evidence.conftest import PROGRAM
from tests.collector.evidence.forging import members_of, reforged, zipped
from tests.collector.evidence.site import Site, together
from tests.collector.evidence.verify.test_calibration import CHAIN, CT, OUT
from tests.collector.evidence.verify.test_calibration import LIES as OF_RECORDS
from tests.collector.evidence.verify.test_steps import LIES

PROOFS = {Step.MANIFEST, Step.SIGNATURE, Step.LOG, Step.ITEM, Step.CHAIN}
"""What it checks too; readings, hours and the inventory are ours alone."""
SITE = Site().make()
BUNDLE = SITE.bundle()
RECORDED = together(SITE, records=[OUT, CT, CHAIN])
Lie: TypeAlias = Callable[[BundleContents], BundleContents]


def both(second: ModuleType, data: bytes) -> tuple[Report, list[str], set[str]]:
    """Our report; the other's findings and signers."""
    findings, signers = second.verify(io.BytesIO(data))
    return verify_bundle(io.BytesIO(data), SITE.anchors()), findings, signers


def test_it_imports_nothing_of_ours() -> None:
    """The standard library, cbor2 and cryptography."""
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)

    assert {"cbor2", "cryptography"} == others


def test_both_find_an_honest_bundle_consistent(second: ModuleType) -> None:
    """With dropped items and a tombstone; the same keys signed."""
    report, findings, signers = both(second, BUNDLE)

    assert ([], []) == (report.findings, findings)
    assert set(report.signers) == signers


def test_both_find_calibration_records_proved(second: ModuleType) -> None:
    """An event, an instrument and a chain, each in the log."""
    report, findings, _ = both(second, SITE.bundle(RECORDED))

    assert ([], []) == (report.findings, findings)


@pytest.mark.parametrize(
    ("change", "made"),
    [*((lie, SITE.contents()) for lie, _ in LIES.values()), *((lie, RECORDED) for lie, _ in OF_RECORDS.values())],
    ids=[*LIES, *OF_RECORDS],
)
def test_both_refuse_what_breaks_a_proof(second: ModuleType, change: Lie, made: BundleContents) -> None:
    """Where we find a proof broken, so does it; where it finds one broken, so do we."""
    report, findings, _ = both(second, SITE.bundle(change(made)))
    steps = {finding.step for finding in report.findings}

    assert report.contradictions
    assert bool(findings) or not steps & PROOFS, (steps, findings)
    assert not findings or steps & (PROOFS | {Step.DOCUMENT}), (steps, findings)


@pytest.mark.parametrize("name", sorted(members_of(BUNDLE)))
def test_a_changed_or_missing_member_is_found(second: ModuleType, name: str) -> None:
    """A byte of a member changed, and the member left out, with the manifest as it was."""
    members = members_of(BUNDLE)
    draw = random.Random(name)
    place = draw.randrange(len(members[name]))
    flipped = bytes([members[name][place] ^ 1 << draw.randrange(8)])
    changed = members[name][:place] + flipped + members[name][place + 1 :]
    gone = {other: data for other, data in members.items() if other != name}

    assert second.verify(io.BytesIO(zipped(members | {name: changed})))[0]
    assert second.verify(io.BytesIO(zipped(gone)))[0]


def test_rubbish_is_a_finding_and_no_crash(second: ModuleType) -> None:
    """Random bytes in any member, well listed and signed by the collector; and no zip at all."""
    draw = random.Random(1)
    for name in sorted(members_of(BUNDLE)):
        for length in (0, 3, 200):
            signed = name not in (MANIFEST, SIGNATURE)
            data = reforged(BUNDLE, SITE.collector_key, {name: draw.randbytes(length)}, sign_again=signed)
            findings, _ = second.verify(io.BytesIO(data))
            recomputed_only = name.endswith((".json", ".jsonl", ".toml"))
            assert findings or recomputed_only, name
    assert second.verify(io.BytesIO(b"PK"))[0]


def test_the_program_says_so_with_its_exit_code(tmp_path: Path) -> None:
    """0 with every fingerprint, 4 with one missing, 1 where it contradicts, 2 without a bundle."""
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(BUNDLE)
    members = members_of(BUNDLE)
    (items,) = (name for name in members if name.startswith("items/"))
    bad.write_bytes(zipped(members | {items: members[items][:-1]}))
    agent, collector = SITE.anchors()
    calls: list[list[str]] = [[str(good), agent, collector], [str(good), agent], [str(bad), agent, collector], []]
    codes = [
        subprocess.run([sys.executable, PROGRAM, *call], capture_output=True, check=False, cwd=tmp_path).returncode
        for call in calls
    ]

    assert [0, 4, 1, 2] == codes
