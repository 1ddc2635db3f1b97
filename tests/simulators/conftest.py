from __future__ import annotations

import pytest

from simulators.plant import Plant, build_plant
from simulators.scenario import load_scenario


@pytest.fixture(scope="session")
def plant() -> Plant:
    """The demo plant under seed 7, from the scenario's own start."""
    return build_plant(load_scenario("demo"), 7)
