"""Accounting profiles: dated data that says how the ledger becomes an inventory."""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date
from fractions import Fraction
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collector.hours.assemble import HourRule
from protocols.errors import EmitraceError

DEFAULT_PROFILE = "iso14064-1-default"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProfileName(_Table):
    """The profile's name in both languages."""

    zh: str
    en: str


class HourTable(_Table):
    """When an hour qualifies, with where the rule comes from."""

    min_share: Annotated[str, Field(pattern=r"^(0|1|0?\.[0-9]+|1\.0+)$")]
    source: str
    confidence: str


class GwpTable(_Table):
    """Which GWP sets may be chosen."""

    default: str
    allowed: Annotated[tuple[str, ...], Field(min_length=1)]
    source: str
    confidence: str


class SourcesTable(_Table):
    """Which sources count."""

    roles: tuple[Literal["primary"], ...]


class Profile(_Table):
    """One accounting profile."""

    id: str
    version: str
    valid_from: date
    standard: str
    name: ProfileName
    hours: HourTable
    gwp: GwpTable
    sources: SourcesTable

    @property
    def hour_rule(self) -> HourRule:
        """The rule by which hours of rate-based sources qualify."""
        return HourRule(Fraction(self.hours.min_share))


def profile_names() -> list[str]:
    """Ids of the profiles that come with the program."""
    folder = resources.files("collector.inventory") / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def profile_text(name: str) -> str:
    """The exact text of a packaged profile; its SHA-256 is what inventories pin."""
    if name not in profile_names():
        known = ", ".join(profile_names())
        raise EmitraceError(f"accounting profile {name!r}", "no such profile", f"Choose one of: {known}.")
    return (resources.files("collector.inventory") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")


def parse_profile(text: str, name: str) -> Profile:
    """A profile from its text."""
    try:
        return Profile.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise EmitraceError(f"accounting profile {name!r}", str(error), "Reinstall the program.") from error


def load_profile(name: str = DEFAULT_PROFILE) -> tuple[Profile, bytes]:
    """A packaged profile and the SHA-256 of its text."""
    text = profile_text(name)
    return parse_profile(text, name), hashlib.sha256(text.encode()).digest()
