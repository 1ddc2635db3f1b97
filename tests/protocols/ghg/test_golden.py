from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.protocols.ghg.golden import NAMES, computed, features, load

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", NAMES)
def test_results_equal_the_golden_vectors_to_the_last_bit(name: str) -> None:
    """Rates, slopes and masses have the bits that scalar arithmetic gave."""
    cases = load(name)

    assert [case["expected"] for case in cases] == [computed(case) for case in cases]


def test_results_are_the_same_without_vector_instructions() -> None:
    """A processor without the features numpy would use here gives the same bits."""
    usable = [name for name, used in features().items() if used]
    switches = {"NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    if usable:
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(usable)

    ran = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-m", "tests.protocols.ghg.golden"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (0, "") == (ran.returncode, ran.stderr)
    answer = json.loads(ran.stdout)
    assert [] == [name for name in usable if answer["features"][name]]
    for name in NAMES:
        assert [case["expected"] for case in load(name)] == answer["results"][name]
