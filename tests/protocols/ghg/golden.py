"""Golden vectors of the quantification: inputs and results to the last bit, kept in ``tests/data``.

The results in the files were not made by the code under test but by ``_expected`` below: one scalar operation at
a time in Python's own floats, without numpy. ``python -m tests.protocols.ghg.golden --write`` makes the files
anew; without an argument it computes all vectors with the code under test and prints them with the processor
features numpy uses, which is how a test runs them again with fewer features.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from protocols.ghg.cems import mass_rate_kg_per_h, sensitivities
from protocols.ghg.combustion import combustion_mass_mg
from protocols.ghg.energy import energy_mass_mg
from protocols.quantities import Moisture, Reference, Temperature
from tests.protocols.ghg.golden_water import computed_states, expected_states, made_states

DATA = Path(__file__).resolve().parents[2] / "data"
NAMES = ("golden_cems", "golden_combustion", "golden_electricity", "golden_states")
OF_STATES = ("water", "volume")
MOLAR_MASS = {"CO2": 44.0095, "CH4": 16.0425, "N2O": 44.0128}
KELVIN = {"15C": 288.15, "20C": 293.15}

Case = dict[str, Any]


def load(name: str) -> list[Case]:
    """The cases of a file."""
    cases: list[Case] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return cases


def computed(case: Case) -> Case:
    """Results of a case by the code under test."""
    if case["method"] in OF_STATES:
        return computed_states(case)
    if case["method"] != "cems":
        amounts = np.array(case["amounts"], dtype=np.int64)
        coefficient = float.fromhex(case["coefficient"])
        mass = combustion_mass_mg if case["method"] == "combustion" else energy_mass_mg
        return {"mass_mg": mass(amounts, coefficient).tolist()}
    column = {name: np.array([float.fromhex(v) for v in values]) for name, values in case["inputs"].items()}
    arguments: dict[str, Any] = {
        "flow_m3_per_h": column["flow"],
        "gas": case["gas"],
        "fraction_percent": column["concentration"],
        "temperature_c": column["temperature"],
        "pressure_kpa": column["pressure"],
        "water_percent": column["moisture"],
        "flow_reference": Reference(Temperature(case["temperature"]), Moisture(case["moisture"])),
        "fraction_is_dry": case["fraction_is_dry"],
    }
    slopes = sensitivities(**arguments)
    return {
        "rate": [float(v).hex() for v in mass_rate_kg_per_h(**arguments)],
        "slopes": {name: [float(v).hex() for v in values] for name, values in slopes.items()},
    }


def _expected(case: Case) -> Case:
    if case["method"] in OF_STATES:
        return expected_states(case)
    if case["method"] != "cems":
        return {"mass_mg": [_mass(amount, float.fromhex(case["coefficient"])) for amount in case["amounts"]]}
    column = {name: [float.fromhex(v) for v in values] for name, values in case["inputs"].items()}
    rows = [dict(zip(column, values, strict=True)) for values in zip(*column.values(), strict=True)]
    results = [_cems(case, row) for row in rows]
    slopes = {name: [r[name].hex() for r in results] for name in column}
    return {"rate": [r["rate"].hex() for r in results], "slopes": slopes}


def _mass(amount: int, coefficient: float) -> int:
    product = float(amount) * coefficient
    if abs(amount) < 2**53 and abs(product) < 2**53:
        return round(Fraction(product))
    return round(amount * Fraction(coefficient))


def _cems(case: Case, row: dict[str, float]) -> dict[str, float]:
    density = MOLAR_MASS[case["gas"]] / 22.414
    rate = _normal(case, row, row["flow"]) * (row["concentration"] / 100.0) * density
    actual = case["temperature"] == "actual"
    change = 0 if (case["moisture"] == "dry") == case["fraction_is_dry"] else (-1 if case["fraction_is_dry"] else 1)
    return {
        "rate": rate,
        "flow": _normal(case, row, 1.0) * (row["concentration"] / 100.0) * density,
        "temperature": -rate / (273.15 + row["temperature"]) if actual else 0.0,
        "pressure": rate / row["pressure"] if actual else 0.0,
        "moisture": change * rate / (100.0 - row["moisture"]) if change else 0.0,
        "concentration": _normal(case, row, row["flow"]) * density / 100.0,
    }


def _normal(case: Case, row: dict[str, float], flow: float) -> float:
    state = case["temperature"]
    if state == "actual":
        flow = flow * (273.15 / (273.15 + row["temperature"])) * (row["pressure"] / 101.325)
    elif state in KELVIN:
        flow = flow * (273.15 / KELVIN[state])
    if (case["moisture"] == "dry") == case["fraction_is_dry"]:
        return flow
    share = (100.0 - row["moisture"]) / 100.0
    return flow * share if case["fraction_is_dry"] else flow / share


def _made() -> dict[str, list[Case]]:
    """Inputs from a fixed seed; 35 rows, so that no vector width divides them."""
    seeded = random.Random(20261122)
    ranges = {
        "flow": (0.0, 900000.0), "temperature": (-20.0, 400.0), "pressure": (70.0, 110.0), "moisture": (0.0, 30.0),
        "concentration": (0.0, 20.0),
    }  # fmt: skip
    cems = [
        {
            "method": "cems", "gas": gas, "temperature": temperature, "moisture": moisture, "fraction_is_dry": dry,
            "inputs": {n: [seeded.uniform(*r).hex() for _ in range(35)] for n, r in ranges.items()},
        }
        for gas, temperature, moisture, dry in (
            ("CO2", "actual", "wet", True), ("CO2", "actual", "wet", False), ("CH4", "0C", "wet", True),
            ("N2O", "15C", "dry", True), ("CO2", "20C", "dry", False),
        )
    ]  # fmt: skip
    ties = [0, 1, 3, 5, 7, -1, -3, 2**53 - 1, 2**53 + 1, -(2**60) - 1, 2**60 - 1]
    counts = [seeded.randrange(-(10**9), 10**12) for _ in range(56)]
    combustion = [
        {"method": "combustion", "amounts": ties + counts, "coefficient": c.hex()} for c in (0.5, 1.9635, 2.162188809)
    ]
    electricity = [{"method": "electricity", "amounts": ties + counts, "coefficient": c.hex()} for c in (0.5, 0.5306)]
    return dict(zip(NAMES, (cems, combustion, electricity, made_states()), strict=True))


def _write() -> None:
    for name, cases in _made().items():
        filled = [case | {"expected": _expected(case)} for case in cases]
        about = "made by tests/protocols/ghg/golden.py; floats as C99 hexadecimal, masses in mg"
        rows = ",\n".join(json.dumps(case) for case in filled)
        text = f'{{"about": {json.dumps(about)}, "cases": [\n{rows}\n]}}\n'
        (DATA / f"{name}.json").write_text(text, encoding="utf-8")


def features() -> dict[str, bool]:
    """The processor features numpy can choose between at run time, and whether it uses each."""
    core: Any
    try:
        core = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:  # numpy 1.26
        core = importlib.import_module("numpy.core._multiarray_umath")
    found: dict[str, bool] = core.__cpu_features__
    dispatched: list[str] = core.__cpu_dispatch__
    return {name: found.get(name, False) for name in dispatched}


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        _write()
    else:
        results = {name: [computed(case) for case in load(name)] for name in NAMES}
        print(json.dumps({"features": features(), "results": results}))
