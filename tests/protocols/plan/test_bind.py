from fractions import Fraction
from math import sqrt

import pytest

from protocols.errors import InputErrors
from protocols.modbus.maps import load_map
from protocols.modbus.registermap import Quirks
from protocols.plan.bind import bind
from protocols.plan.bound import BoundPlan, BoundPoint, Cause, CemsSeries
from protocols.plan.load import parse_plan
from protocols.quantities import Kind, Moisture, Reference, Temperature
from tests.protocols.plan.site import DIGEST, TEXT, bound_site, changed


@pytest.fixture(scope="module")
def bound() -> BoundPlan:
    """The good plan, bound."""
    return bound_site()


def point(bound: BoundPlan, name: str) -> BoundPoint:
    """A point by its id."""
    return next(p for p in bound.points if p.id == name)


def test_the_grid_is_in_milliseconds(bound: BoundPlan) -> None:
    """Windows, batches and intervals keep the plan's order and become milliseconds."""
    assert (60_000, 60_000, (1000, 5000), DIGEST) == (bound.window_ms, bound.batch_ms, bound.intervals_ms, bound.digest)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("em-1.import", Fraction(10**6) * 40 * Fraction(3, 2)),  # kWh to mWh, CT 40, PT 1.5
        ("em-1.current", Fraction(40)),  # a current knows only the CT
        ("gas-1.volume", Fraction(10**6, 100)),  # m3 / 100 to mL
        ("gas-1.actual", Fraction(10**6, 1000)),
        ("stack.flow", Fraction(1, 10)),
        ("stack.pressure", Fraction(1, 100)),
        ("stack.co2-dry", Fraction(1, 10**4)),  # ppm to vol%
        ("boiler.state", Fraction(1)),
    ],
)
def test_a_ratio_joins_scale_unit_and_transformers_exactly(bound: BoundPlan, name: str, ratio: Fraction) -> None:
    """One exact ratio leads from register number to base unit."""
    assert ratio == point(bound, name).ratio


def test_a_primary_register_is_not_multiplied_again() -> None:
    """Where the meter shows primary values its transformer ratios are only documentation."""
    text = changed('registers = "secondary"\nct', 'registers = "primary"\nct')

    assert Fraction(10**6) == point(bound_site(text), "em-1.import").ratio


def test_counters_know_modulus_resolution_and_greatest_growth(bound: BoundPlan) -> None:
    """All three are in the base unit, transformer ratios included for the register's own figures."""
    volume, export = point(bound, "gas-1.volume"), point(bound, "em-1.export")

    assert (10**7 * 10**6, Fraction(10**4), 1000 * 10**6) == (volume.modulus, volume.resolution, volume.max_per_hour)
    assert (None, Fraction(60_000), 10**8) == (export.modulus, export.resolution, export.max_per_hour)


def test_the_step_of_an_integer_register_stands_in_for_an_unstated_resolution() -> None:
    """An integer cannot show less than one; a float that says nothing is unknown, a code has no step."""
    bound = bound_site(sim_stack_flow=("resolution = 0.1\n", ""))

    assert Fraction(1, 10) == point(bound, "stack.flow").resolution
    assert (Fraction(0), Fraction(0)) == (
        point(bound, "stack.co2-dry").resolution,
        point(bound, "boiler.state").resolution,
    )


def test_holds_default_to_two_intervals(bound: BoundPlan) -> None:
    """A stated hold stays as stated."""
    assert (2000, 7500) == (point(bound, "stack.flow").hold_ms, point(bound, "em-1.current").hold_ms)


def test_limits_of_error_are_split_into_reading_and_span(bound: BoundPlan) -> None:
    """Per cent of span becomes an absolute amount in the base unit."""
    flow, volume = point(bound, "stack.flow"), point(bound, "gas-1.volume")

    assert (3.0, 100.0, 0.0) == (flow.mpe_percent_of_reading, flow.mpe_absolute, flow.repeatability_percent)
    assert (1.0, 0.0, 0.1) == (volume.mpe_percent_of_reading, volume.mpe_absolute, volume.repeatability_percent)


def test_points_know_kind_and_reference_state(bound: BoundPlan) -> None:
    """Both come from the register."""
    assert (Kind.COUNTER, Reference(Temperature.C0)) == (
        point(bound, "gas-1.volume").kind,
        point(bound, "gas-1.volume").reference,
    )
    assert Reference(Temperature.ACTUAL, Moisture.WET) == point(bound, "stack.flow").reference
    assert Kind.STATE is point(bound, "boiler.state").kind


def test_counter_series_run_input_by_input_then_gas_by_gas(bound: BoundPlan) -> None:
    """What is subtracted follows what is added, with a minus."""
    grid, boiler, _ = bound.sources

    assert [(0, 0, 0, 1, 0.5306), (1, 0, 1, -1, 0.5306)] == [
        (s.input, s.gas, s.point, s.sign, s.coefficient) for s in grid.counters
    ]
    assert [(0, 0, 3, 1), (0, 1, 3, 1)] == [(s.input, s.gas, s.point, s.sign) for s in boiler.counters]


def test_a_coefficient_is_rounded_once_from_the_exact_chain(bound: BoundPlan) -> None:
    """Natural gas by hand: GJ per 1e4 m3 x tC/GJ x 44/12, in mg of CO2 per mL."""
    by_hand = Fraction("389.31") / 10**10 * Fraction("0.0153") * Fraction(44, 12) * 10**9

    assert float(by_hand) == bound.sources[1].counters[0].coefficient


def test_causes_are_the_instrument_and_every_inexact_factor(bound: BoundPlan) -> None:
    """A limit of error is divided by the root of three, a 95 % interval by two; an exact ratio is no cause."""
    co2, ch4 = bound.sources[1].counters

    assert ("instrument:gas-1", "factor:ncv", "factor:carbon") == tuple(c.name for c in co2.causes)
    assert [1.0 / 100 / sqrt(3), 0.01, 0.0075] == pytest.approx([c.relative for c in co2.causes], rel=1e-15)
    assert (Cause("factor:ncv", 0.01), Cause("factor:ch4", 0.5)) == ch4.causes[1:]


def test_a_cems_gas_takes_only_the_conversions_it_needs(bound: BoundPlan) -> None:
    """The wet fraction under a wet flow leaves the moisture out, and one instrument is one cause."""
    co2, ch4 = bound.sources[2].rates

    assert isinstance(co2, CemsSeries)
    assert isinstance(ch4, CemsSeries)
    assert {"flow": 5, "temperature": 6, "pressure": 7, "moisture": 8, "concentration": 9} == co2.inputs
    assert {"flow": 5, "temperature": 6, "pressure": 7, "concentration": 10} == ch4.inputs
    assert (True, False) == (co2.fraction_is_dry, ch4.fraction_is_dry)
    assert (
        tuple(Cause(f"instrument:{name}", 0.0) for name in ("flow-1", "stack-1", "co2-1")) == co2.causes == ch4.causes
    )


@pytest.mark.parametrize(
    ("text", "operating", "stopped"),
    [
        (TEXT, frozenset({1, 2, 3}), frozenset({0})),
        (
            changed("standby = [3] }", "standby = [3], standby_is_operating = false }"),
            frozenset({1, 2}),
            frozenset({0, 3}),
        ),
    ],
)
def test_standby_is_operating_time_unless_the_plan_says_otherwise(
    text: str, operating: frozenset[int], stopped: frozenset[int]
) -> None:
    """Starting always is operating time."""
    state = bound_site(text).sources[2].operating

    assert state is not None
    assert (11, operating, stopped) == (state.point, state.operating, state.stopped)


def test_reading_limits_follow_the_instruments(bound: BoundPlan) -> None:
    """The planner finds each instrument's limits at its position."""
    assert Quirks(max_registers=80, max_gap=40) == bound.quirks[0]
    assert len(bound.plan.instruments) == len(bound.quirks)


def test_an_unchecked_plan_is_checked_on_binding() -> None:
    """Binding never resolves a name that is not there; without the text errors name the field alone."""
    plan = parse_plan(changed('register = "state"', 'register = "stat"'), "plan.toml")
    maps = {instrument.map: load_map(instrument.map)[0] for instrument in plan.instruments}

    with pytest.raises(InputErrors) as caught:
        bind(plan, maps, DIGEST)

    seen = 'no register "stat" in sim-boiler-plc'
    assert f"plan: points[11].register: {seen}. did you mean 'state'?" == str(caught.value)
