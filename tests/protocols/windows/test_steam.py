"""Purchased steam and heat through the fold: masses by hand from published enthalpies, and what cannot be known."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import InputErrors
from protocols.ghg.steam import SteamRule, steam_rate_kg_per_h
from protocols.plan.bound import BoundPlan
from protocols.records import Fate, ReadRequest, Window
from protocols.windows.fold import fold
from protocols.windows.opening import initial_state
from tests.plans import MAP, PLAN, float_words, sample, small_plan

START = 1_767_225_600_000
KEYS = 'function = 3\ntype = "float32"\n'
RIG = f"""{MAP}
[[registers]]
name = "steam_flow"
quantity = "mass_flow"
address = 12
unit = "t/h"
{KEYS}
[[registers]]
name = "steam_volume"
quantity = "gas_flow"
address = 14
unit = "m3/h"
temperature = "actual"
moisture = "wet"
{KEYS}
[[registers]]
name = "steam_temperature"
quantity = "fluid_temperature"
address = 16
unit = "Cel"
{KEYS}
[[registers]]
name = "heat"
quantity = "thermal_energy"
function = 4
address = 4
type = "u32"
unit = "GJ"
scale = 0.001
"""


def text_with(source: str, *, flow: str = "steam_flow") -> str:
    """The small plan with steam points and one more source."""
    points = "".join(
        f'[[points]]\nid = "steam.{name}"\ninstrument = "stack-1"\n'
        f'register = "{register}"\nscan_class = "{scan}"\n{more}\n'
        for name, register, scan, more in (
            ("flow", flow, "stack", ""),
            ("temperature", "steam_temperature", "stack", ""),
            ("heat", "heat", "meters", 'max_rate = 100\nmax_rate_unit = "GJ/h"\n'),
        )
    )
    factor = (
        '[[factors]]\nid = "heat-factor"\nname = { zh = "热力", en = "Heat" }\nvalue = 0.11\nunit = "tCO2/GJ"\n'
        'uncertainty_percent = 10\nsource = "GB/T 32150-2025, 7.5.6, as quoted in public software"\n'
        'valid_from = 2020-01-01\nconfidence = "medium"\n\n'
    )
    head = (
        '[[sources]]\nid = "steam"\nname = { zh = "蒸汽", en = "Steam" }\nkind = "purchased-heat"\ncategory = 2\n'
        'gases = ["CO2"]\nfactors = { CO2 = ["heat-factor"] }\n'
    )
    text = PLAN.replace('[[sources]]\nid = "grid"', f'{points}[[sources]]\nid = "grid"')
    return text.replace('[[factors]]\nid = "grid-factor"', f'{head}{source}\n{factor}[[factors]]\nid = "grid-factor"')


SUPERHEATED = (
    'method = "steam"\n'
    'inputs = { flow = "steam.flow", temperature = "steam.temperature", pressure = "stack-1.pressure" }\n'
)
SATURATED = (
    'method = "steam"\nsteam = { dryness = 1 }\ninputs = { flow = "steam.flow", pressure = "stack-1.pressure" }\n'
)
HEAT = 'method = "heat"\ninputs = { add = ["steam.heat"] }\n'


ANY = [small_plan(plan=text_with(source, flow="steam_volume"), rig=RIG) for source in (SUPERHEATED, SATURATED)]


def windows(bound: BoundPlan, flow: float, celsius: float, kpa: float, silent: range = range(0)) -> list[Window]:
    """Windows of the steam source over 20 s; the flow does not answer in the seconds named."""

    def answer(request: ReadRequest, slot: int, due_ms: int) -> tuple[int, Mapping[str, int]] | Fate:
        if request.scan_class and slot - START // 1000 in silent:
            return Fate.TIMEOUT
        words = {point.id: float_words(50.0) for point in bound.points} | {"em-1.energy": 1, "gm-1.volume": 1}
        words |= {"stack-1.pressure": float_words(kpa), "steam.temperature": float_words(celsius)}
        words |= {"steam.flow": float_words(flow), "steam.heat": 1000 + (due_ms - START) // 1000, "stack-1.state": 1}
        return 0, words

    low, high = START, START + 20_000
    folded = fold(bound, initial_state(bound, low), sample(bound, low, high, answer), (), low, high)
    return [one for one in folded.windows if bound.sources[one.source].id == "steam"]


@pytest.mark.parametrize(
    ("celsius", "kpa", "enthalpy"),
    [
        (426.85, 30_000.0, 2631.49474),  # IAPWS R7-97 Table 15
        (26.85, 3_000.0, 115.331273),  # Table 5: hot water is reckoned alike
        (226.85, 3_000.0, 975.542239),
    ],
)
def test_mass_is_flow_times_enthalpy_above_the_reference_times_factor(
    celsius: float, kpa: float, enthalpy: float
) -> None:
    """5 t/h for 5 s at a state whose enthalpy IAPWS publishes, 0.11 t CO2 per GJ."""
    window = windows(small_plan(plan=text_with(SUPERHEATED), rig=RIG), 5.0, celsius, kpa)[1]
    gigajoules = 5_000 / 3600 * 5 * (enthalpy - 83.74) / 1e6

    assert gigajoules * 0.11 * 1e9 == pytest.approx(window.mass_mg, rel=3e-6, abs=1)  # float32
    assert (5_000, 5_000) == (window.operating_ms, window.measured_ms)
    assert 0.05 * window.mass_mg == pytest.approx(window.u_shared[-1], rel=1e-6)  # 10 % at k = 2


def test_saturated_steam_needs_its_pressure_only() -> None:
    """1 MPa: h'' = 2777.12 kJ/kg (any steam table)."""
    window = windows(small_plan(plan=text_with(SATURATED), rig=RIG), 5.0, 0.0, 1000.0)[1]

    assert 5_000 / 3600 * 5 * (2777.12 - 83.74) / 1e6 * 0.11 * 1e9 == pytest.approx(window.mass_mg, rel=1e-5)


def test_a_volume_flow_is_reckoned_with_the_density_of_its_state() -> None:
    """100 m3/h at 700 K and 30 MPa: 1 / 0.542946619e-2 kg/m3 (Table 15)."""
    bound = small_plan(plan=text_with(SUPERHEATED, flow="steam_volume"), rig=RIG)
    window = windows(bound, 100.0, 426.85, 30_000.0)[1]

    kilograms = 100 / 0.542946619e-2 / 3600 * 5
    assert kilograms * (2631.49474 - 83.74) / 1e6 * 0.11 * 1e9 == pytest.approx(window.mass_mg, rel=3e-6)


@pytest.mark.parametrize(("celsius", "kpa"), [(180.0, 1000.0), (374.5, 23_000.0), (900.0, 1000.0)])
def test_a_state_that_tells_no_phase_is_operating_time_without_measurement(celsius: float, kpa: float) -> None:
    """At boiling, near the critical point, above 800 degC."""
    window = windows(small_plan(plan=text_with(SUPERHEATED), rig=RIG), 5.0, celsius, kpa)[1]

    assert (0, 5_000, 0) == (window.mass_mg, window.operating_ms, window.measured_ms)


@settings(max_examples=100, deadline=None)
@given(st.floats(width=32), st.floats(width=32), st.floats(width=32), st.booleans())
def test_no_word_a_register_can_hold_breaks_the_fold(flow: float, celsius: float, kpa: float, wet: bool) -> None:
    """Garbled values are operating time that is not measured, never an error."""
    for one in windows(ANY[wet], flow, celsius, kpa):
        assert one.measured_ms or not one.mass_mg


def test_without_an_operating_signal_unknown_flow_is_missing() -> None:
    """Ten silent seconds: the hold of two, then windows that are not there."""
    known = windows(small_plan(plan=text_with(SUPERHEATED), rig=RIG), 5.0, 300.0, 1000.0, range(5, 15))

    assert [(0, 5_000), (5_000, 1_000), (15_000, 5_000)] == [(w.from_ms - START, w.operating_ms) for w in known]


def test_a_heat_meter_counts() -> None:
    """0.005 GJ in 5 s x 0.11 t/GJ."""
    window = windows(small_plan(plan=text_with(HEAT), rig=RIG), 5.0, 0.0, 1000.0)[1]

    assert 550_000 == window.mass_mg


def rate_at(celsius: float | None, kpa: float, rule: SteamRule) -> float:
    """Rate of 100 m3/h."""
    warm = None if celsius is None else np.array([celsius])
    return float(steam_rate_kg_per_h(np.array([100.0]), warm, np.array([kpa]), rule)[0][0])


@pytest.mark.parametrize(
    ("rule", "celsius"), [(SteamRule(0.4, 83.74, None, True), 300.0), (SteamRule(0.4, 83.74, 0.95, True), None)]
)
def test_slopes_are_those_of_the_rate(rule: SteamRule, celsius: float | None) -> None:
    """Against the difference quotients of the rate itself, for superheated and saturated steam."""
    warm = None if celsius is None else np.array([celsius])
    rate, slopes = steam_rate_kg_per_h(np.array([100.0]), warm, np.array([1000.0]), rule)
    by_pressure = (rate_at(celsius, 1010.0, rule) - rate_at(celsius, 990.0, rule)) / 20
    by_warmth = 0.0
    if celsius is not None:
        by_warmth = (rate_at(celsius + 1, 1000.0, rule) - rate_at(celsius - 1, 1000.0, rule)) / 2

    assert rate[0] / 100 == pytest.approx(slopes["flow"][0])
    assert by_pressure == pytest.approx(slopes["pressure"][0], rel=1e-3)
    assert by_warmth == pytest.approx(slopes["temperature"][0], rel=1e-3)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (SUPERHEATED.replace('temperature = "steam.temperature", ', ""), "steam = { dryness = 1 }"),
        (SATURATED.replace("flow =", 'temperature = "steam.temperature", flow ='), "a temperature beside a dryness"),
        (SUPERHEATED.replace("stack-1.pressure", "stack-1.flow"), "stack-1.flow is gas_flow"),
        (SUPERHEATED.replace('"steam.flow"', '"steam.flow", moisture = "stack-1.water"'), "moisture in a steam source"),
        (SUPERHEATED.replace("flow =", "flows ="), "flows"),
        (HEAT + "steam = { dryness = 1 }\n", "steam with method heat"),
        (HEAT.replace("steam.heat", "em-1.energy"), "em-1.energy is active_energy_import"),
        (HEAT.replace('"heat"', '"cems"'), 'purchased-heat is quantified by method "heat" or "steam"'),
    ],
)
def test_a_broken_source_of_heat_is_named(source: str, says: str) -> None:
    """What was seen and what to do."""
    with pytest.raises(InputErrors) as errors:
        small_plan(plan=text_with(source), rig=RIG)

    assert says in str(errors.value)
