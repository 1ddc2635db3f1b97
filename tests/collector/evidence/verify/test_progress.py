"""The line of progress: on a terminal only, and gone at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.evidence.site import Site


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_progress_and_a_pipe_does_not(tmp_path: Path) -> None:
    """The same run with standard error on a terminal and on a pipe; the report itself is the same."""
    import pty

    path = tmp_path / "b.zip"
    path.write_bytes(Site().make().bundle())
    # Draw at every read: a small bundle is done before a quarter of a second is over.
    code = (
        "import sys; from collector.evidence.verify import progress, __main__ as program; "
        "progress._EVERY_S = 0.0; program.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(path)]
    controller, terminal = pty.openpty()
    shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=False)
    os.close(terminal)
    drawn = os.read(controller, 1 << 16).decode()
    os.close(controller)
    piped = subprocess.run(command, capture_output=True, check=False)

    assert (4, 4) == (shown.returncode, piped.returncode)
    assert "% " in drawn
    assert " MB read" in drawn
    assert drawn.endswith("\r")
    assert b"" == piped.stderr
    assert shown.stdout == piped.stdout
