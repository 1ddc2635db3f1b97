"""The systemd units that ship: read without a word, and rated as little exposed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import in_ci

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("collector/emitrace-collector.service", 2.0),
        ("agent/emitrace-agent.service", 2.2),  # it also has serial ports, and asks the kernel about the clock
    ],
)
def test_the_unit_is_right_and_hardened(name: str, most: float, tmp_path: Path) -> None:
    """The service manager reads the unit without a word; 10 is a service without any protection."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not in_ci(), "systemd-analyze is missing (apt-get install systemd); CI leaves nothing out"
        pytest.skip("no systemd-analyze on this machine")
    shipped = ROOT / name
    unit = tmp_path / shipped.name
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", shipped.read_text()))
    checked = subprocess.run([program, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    rated = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", rated.stdout)

    assert [said for said in checked.stderr.splitlines() if unit.name in said] == []
    assert exposure is not None, rated.stderr
    assert float(exposure[1]) <= most
