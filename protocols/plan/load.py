"""Monitoring plans from TOML."""

from __future__ import annotations

from pathlib import Path

from protocols.errors import InputErrors
from protocols.plan.check import plan_errors
from protocols.plan.model import Plan
from protocols.toml import Document, parse_toml, read_toml, validate


def parse_plan(text: str, file: str) -> Plan:
    """The plan of a TOML text, checked as far as it goes without register maps; InputErrors name all problems."""
    return read_plan(parse_toml(text, file))


def load_plan(path: Path) -> tuple[Plan, str]:
    """The plan in a file and its exact text."""
    document = read_toml(path)
    return read_plan(document), document.text


def read_plan(document: Document) -> Plan:
    """The plan of a parsed document; what needs the register maps is checked by ``bind``."""
    plan = validate(document, Plan)
    errors = plan_errors(plan, None, document)
    if errors:
        raise InputErrors(errors)
    return plan
