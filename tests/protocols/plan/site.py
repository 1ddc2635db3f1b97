"""The plan of ``site.toml`` beside this file, whole or with one change."""

from __future__ import annotations

from pathlib import Path

from protocols.modbus.maps import load_map, parse_map
from protocols.plan.bind import bind
from protocols.plan.bound import BoundPlan
from protocols.plan.load import read_plan
from protocols.toml import parse_toml

TEXT = (Path(__file__).parent / "site.toml").read_text(encoding="utf-8")
DIGEST = bytes(range(32))


def changed(old: str, new: str, text: str = TEXT) -> str:
    """The text with one place changed; the place must be there once."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def bound_site(text: str = TEXT, **map_changes: tuple[str, str]) -> BoundPlan:
    """The plan bound to the packaged maps, some of them with a change: ``sim_gas_corrector=(old, new)``."""
    document = parse_toml(text, "plan.toml")
    plan = read_plan(document)
    texts = {instrument.map: load_map(instrument.map)[1] for instrument in plan.instruments}
    for name, (old, new) in map_changes.items():
        model = name.replace("_", "-")
        assert old in texts[model]
        texts[model] = texts[model].replace(old, new)
    maps = {model: parse_map(map_text, model) for model, map_text in texts.items()}
    return bind(plan, maps, DIGEST, document)
