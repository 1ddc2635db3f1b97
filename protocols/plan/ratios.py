"""Exact ratios between what a register shows and the base unit of its quantity."""

from __future__ import annotations

from fractions import Fraction

from protocols.ghg.volume import between_references
from protocols.modbus.registermap import Register
from protocols.plan.model import Instrument, Point
from protocols.quantities import Kind, Moisture, Quantity, Reference, Temperature

TRANSFORMED = {
    Quantity.ACTIVE_ENERGY_IMPORT: ("ct", "pt"),
    Quantity.ACTIVE_ENERGY_EXPORT: ("ct", "pt"),
    Quantity.ACTIVE_POWER: ("ct", "pt"),
    Quantity.VOLTAGE: ("pt",),
    Quantity.CURRENT: ("ct",),
    Quantity.FREQUENCY: (),
}
"""Electrical quantities and the transformer ratios that turn a secondary value into a primary one."""


def may_be_secondary(quantity: Quantity) -> bool:
    """Whether current and voltage transformers say anything about the quantity, or leave it as it is."""
    return quantity in TRANSFORMED or quantity.definition.kind is Kind.STATE


def unit_ratio(instrument: Instrument, register: Register) -> Fraction:
    """Base units per unit of the register, transformer ratios included where it shows secondary values."""
    ratio = register.quantity.definition.units[register.unit]
    if instrument.registers == "secondary":
        ratios = {"ct": Fraction(instrument.ct_ratio), "pt": Fraction(instrument.pt_ratio)}
        for transformer in TRANSFORMED.get(register.quantity, ()):
            ratio *= ratios[transformer]
    return ratio


def max_rate(point: Point, quantity: Quantity) -> Fraction | None:
    """Greatest plausible growth of a counter [base unit/h]; None where none is stated or its unit is unknown."""
    size = quantity.definition.units.get(point.max_rate_unit.removesuffix("/h"))
    if point.max_rate is None or size is None or not point.max_rate_unit.endswith("/h"):
        return None
    return Fraction(point.max_rate) * size


def converted(register: Register, point: Point) -> Register:
    """The register as sources see it: a volume that the plan converts is at the state it is converted to."""
    if point.conversion is None or register.quantity is not Quantity.GAS_VOLUME:
        return register
    return register.model_copy(update={"temperature": point.conversion.to})


def conversion_ratio(register: Register, point: Point) -> Fraction:
    """Volume after conversion per volume shown, where the ratio is exact; 1 where it is measured or there is none."""
    if point.conversion is None or register.temperature in (None, Temperature.ACTUAL.value):
        return Fraction(1)
    return between_references(Temperature(register.temperature), Temperature(point.conversion.to))


def reference_of(register: Register) -> Reference:
    """The state a register's value refers to."""
    return Reference(
        Temperature(register.temperature) if register.temperature is not None else None,
        Moisture(register.moisture) if register.moisture is not None else None,
    )
