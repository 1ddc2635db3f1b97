import tomllib
from pathlib import Path
from typing import Any

import pytest

from protocols.errors import InputErrors
from protocols.plan.load import load_plan, parse_plan
from tests.protocols.plan.site import TEXT, bound_site, changed

CASES = tomllib.loads((Path(__file__).parent / "broken.toml").read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=[case["rule"] for case in CASES])
def test_a_broken_rule_names_line_field_what_was_seen_and_what_to_do(case: dict[str, Any]) -> None:
    """One change of a good plan gives exactly the errors of the table."""
    with pytest.raises(InputErrors) as caught:
        bound_site(changed(case["old"], case["new"]))

    assert case["errors"] == [str(error) for error in caught.value.errors]


def test_the_good_plan_breaks_no_rule() -> None:
    """What the cases change is good as it stands."""
    assert 3 == len(bound_site().sources)


def test_all_problems_of_a_plan_come_at_once() -> None:
    """Mistakes in several tables are reported together, in the order of their lines."""
    text = changed(
        'bus = "line-a"', 'bus = "line-x"', changed('"slow"\nhold', '"slo"\nhold', changed("60, batch", "7, batch"))
    )
    with pytest.raises(InputErrors) as caught:
        parse_plan(text, "plan.toml")

    assert [5, 5, 17, 100] == [error.line for error in caught.value.errors]


def test_a_20c_volume_and_a_0c_factor_are_refused_and_both_states_shown() -> None:
    """The register map decides the state of the volume: the same plan with a 20 C converter is an error."""
    with pytest.raises(InputErrors) as caught:
        bound_site(sim_gas_corrector=('temperature = "0C"', 'temperature = "20C"'))

    assert "plan.toml:179: sources[1].factors.CO2: factor ncv: reference state 0C, but the volume is at 20C" in str(
        caught.value
    )


def test_moisture_is_asked_for_only_where_states_differ() -> None:
    """A dry flow with dry and wet fractions needs it; with a dry fraction alone it is refused."""
    dry_only = changed(
        ', CH4 = "stack.ch4-wet" }', " }", changed('gases = ["CO2", "CH4"]\noper', 'gases = ["CO2"]\noper')
    )
    dry_flow = ('moisture = "wet"', 'moisture = "dry"')

    assert "moisture" in bound_site(sim_stack_flow=dry_flow).sources[2].rates[1].inputs
    with pytest.raises(InputErrors, match=r"plan.toml:196: sources\[2\].inputs.moisture: moisture is not used"):
        bound_site(dry_only, sim_stack_flow=dry_flow)


def test_temperature_and_pressure_are_refused_for_a_flow_at_a_reference_state() -> None:
    """A flow that is converted already is not converted again."""
    with pytest.raises(InputErrors) as caught:
        bound_site(sim_stack_flow=('temperature = "actual"', 'temperature = "0C"'))

    assert ["sources[2].inputs.temperature", "sources[2].inputs.pressure"] == [e.field for e in caught.value.errors]


def test_a_plan_loads_with_its_exact_text(tmp_path: Path) -> None:
    """The text returned is the file's, comments and all."""
    path = tmp_path / "plan.toml"
    path.write_text("# ours\n" + TEXT, encoding="utf-8")

    plan, text = load_plan(path)

    assert ("2026-1", "# ours\n" + TEXT) == (plan.version, text)


def test_an_absurd_decimal_is_refused_before_it_is_computed() -> None:
    """An exponent of a thousand million never becomes a number."""
    for old, new in (("ct_ratio = 40", "ct_ratio = 1e999999999"), ("value = 0.0153", "value = 1e-999999999")):
        with pytest.raises(InputErrors):
            parse_plan(changed(old, new), "plan.toml")
