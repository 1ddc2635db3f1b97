"""The second verifier, for every test that asks it too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "docs" / "second_verifier.py"


@pytest.fixture(scope="session")
def second() -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("second_verifier", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
