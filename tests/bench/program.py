"""The agent program with a folder of maps in place of the packaged ones: the benchmark's device is no product.

Usage: ``python -m tests.bench.program MAPS ...``; the rest is emitrace-agent's own command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agent.__main__ import main
from protocols.modbus import maps

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    setattr(maps, "_folder", lambda: folder)  # noqa: B010
    main()
