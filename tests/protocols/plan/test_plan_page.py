"""docs/plan.md says what the plan is; these tests hold it to that."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from protocols.errors import InputErrors
from protocols.plan import model
from protocols.plan.document import make_document, open_document

PAGE = (Path(__file__).parents[3] / "docs" / "plan.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
TABLES: dict[str, type[BaseModel]] = {
    "The plan itself": model.Plan,
    "windows": model.Windows,
    "scan_classes": model.ScanClass,
    "buses": model.Bus,
    "line": model.Line,
    "instruments": model.Instrument,
    "accuracy": model.Accuracy,
    "rating": model.Rating,
    "status": model.Status,
    "plausible": model.Plausible,
    "conversion": model.Conversion,
    "points": model.Point,
    "sources": model.Source,
    "inputs": model.Inputs,
    "steam": model.Steam,
    "operating": model.Operating,
    "factors": model.FactorRecord,
}


def test_the_example_is_a_valid_plan(tmp_path: Path) -> None:
    """The page's own plan can be copied and used."""
    path = tmp_path / "plan.toml"
    path.write_text(EXAMPLE, encoding="utf-8")

    assert 0.5306 == open_document(make_document(path)).sources[0].counters[0].coefficient


def test_the_first_error_on_the_page_is_what_a_reader_gets(tmp_path: Path) -> None:
    """The error shown is the one the misspelt example gives, line and all."""
    path = tmp_path / "plan.toml"
    path.write_text(EXAMPLE.replace('"energy_import"', '"energy_imprt"'), encoding="utf-8")

    with pytest.raises(InputErrors) as caught:
        make_document(path)

    assert str(caught.value).replace(str(path), "plan.toml") in PAGE


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_on_the_page_and_no_other(heading: str) -> None:
    """The table of each part lists exactly the keys of its model."""
    section = PAGE.split(f"### {heading}\n", 1)[1].split("\n##", 1)[0]
    rows = [line for line in section.split("\n\n| `kind`")[0].splitlines() if line.startswith("| `")]
    listed = {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert keys_of(TABLES[heading]) == listed


def keys_of(table: type[BaseModel]) -> set[str]:
    """Keys of a table as written in the file."""
    return {field.alias or name for name, field in table.model_fields.items()}
