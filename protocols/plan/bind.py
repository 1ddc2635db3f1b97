"""A plan and its register maps become a ``BoundPlan``: names gone to positions, decimals to exact ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np

from protocols.errors import InputErrors
from protocols.exact import half_even
from protocols.ghg.cems import needed_inputs
from protocols.ghg.factors import coefficient
from protocols.ghg.steam import SteamRule
from protocols.ghg.volume import ZERO_CELSIUS_K, volume_factor
from protocols.modbus.planner import plan_reads
from protocols.modbus.registermap import Register, RegisterMap, scale_of, step_of
from protocols.plan.bound import (
    BoundConversion,
    BoundOperating,
    BoundPlan,
    BoundPoint,
    BoundSource,
    BoundStatus,
    Cause,
    CemsSeries,
    CounterSeries,
    RateSeries,
    SteamSeries,
)
from protocols.plan.check import plan_errors
from protocols.plan.check_instants import apart_problems
from protocols.plan.limits import bound_plausible, stated_or_rated_growth
from protocols.plan.model import (
    Conversion,
    FactorRecord,
    Instrument,
    Method,
    Operating,
    Plan,
    Point,
    Source,
    Status,
    Steam,
)
from protocols.plan.ratios import conversion_ratio, converted, max_rate, reference_of, unit_ratio
from protocols.quantities import NO_REFERENCE, Kind, Moisture, Quantity, Temperature
from protocols.records import Phase
from protocols.toml import Document

SQRT3 = 1.7320508075688772
COVERAGE = 2.0
"""k of the 95 % intervals that factor records state."""


def bind(plan: Plan, maps: Mapping[str, RegisterMap], digest: bytes, document: Document | None = None) -> BoundPlan:
    """Resolve a plan once and for all.

    Parameters
    ----------
    plan : Plan
    maps : mapping of str to RegisterMap
        By model; every map the instruments name.
    digest : bytes
        SHA-256 of the plan document.
    document : Document, optional
        The text the plan was read from, so that errors name its lines.

    Returns
    -------
    BoundPlan

    Raises
    ------
    InputErrors
        The plan breaks a rule of ``protocols.plan.check``.
    """
    text = document or Document("plan", "", {})
    errors = plan_errors(plan, maps, text)
    if errors:
        raise InputErrors(errors)
    instruments = {instrument.id: position for position, instrument in enumerate(plan.instruments)}
    scans = {scan.id: position for position, scan in enumerate(plan.scan_classes)}
    positions = {point.id: position for position, point in enumerate(plan.points)}
    points = tuple(
        _point(plan, point, instruments[point.instrument], scans[point.scan_class], maps, positions)
        for point in plan.points
    )
    bound = BoundPlan(
        plan=plan,
        digest=digest,
        window_ms=plan.windows.window_s * 1000,
        batch_ms=plan.windows.batch_s * 1000,
        intervals_ms=tuple(scan.interval_ms for scan in plan.scan_classes),
        points=points,
        sources=tuple(_source(plan, source, points, positions) for source in plan.sources),
        quirks=tuple(maps[instrument.map].quirks for instrument in plan.instruments),
    )
    if any(point.status is not None for point in points):
        apart = [problem.in_file(text) for problem in apart_problems(bound, plan_reads(bound))]
        if apart:
            raise InputErrors(apart)
    return bound


def _point(
    plan: Plan,
    point: Point,
    instrument_at: int,
    scan_class: int,
    maps: Mapping[str, RegisterMap],
    positions: Mapping[str, int],
) -> BoundPoint:
    instrument = plan.instruments[instrument_at]
    register = maps[instrument.map].register_named(point.register_name)
    units = unit_ratio(instrument, register) * conversion_ratio(register, point)
    interval_ms = plan.scan_classes[scan_class].interval_ms
    shown = max_rate(point, register.quantity)
    stated = None if shown is None else shown * conversion_ratio(register, point)
    growth = stated_or_rated_growth(instrument, register.quantity, stated)
    accuracy = instrument.accuracy
    return BoundPoint(
        id=point.id,
        instrument=instrument_at,
        register=register,
        quantity=register.quantity,
        kind=register.quantity.definition.kind,
        reference=reference_of(converted(register, point)),
        scan_class=scan_class,
        interval_ms=interval_ms,
        hold_ms=point.hold_ms if point.hold_ms is not None else 2 * interval_ms,
        ratio=scale_of(register) * units,
        modulus=_nearest(register.modulus, units),
        resolution=_resolution(register) * units,
        max_per_hour=None if growth is None else ceil(growth),
        mpe_percent_of_reading=float(accuracy.percent_of_reading),
        mpe_absolute=_limit_of_span(instrument, register, units),
        repeatability_percent=float(accuracy.repeatability_percent),
        offset=Fraction(register.offset) * units,
        status=_status(point.status, units, positions),
        plausible=bound_plausible(instrument, register, point),
        conversion=_conversion(point.conversion, positions),
    )


def _conversion(conversion: Conversion | None, positions: Mapping[str, int]) -> BoundConversion | None:
    """Where conditions are measured; None where there are none to measure."""
    if conversion is None or conversion.temperature is None or conversion.pressure is None:
        return None
    to, compressibility = Temperature(conversion.to), float(conversion.compressibility)
    celsius, kpa = (
        np.array([float(value or 0)]) for value in (conversion.usual_temperature_c, conversion.usual_pressure_kpa)
    )
    return BoundConversion(
        temperature=positions[conversion.temperature],
        pressure=positions[conversion.pressure],
        to=to,
        compressibility=compressibility,
        usual=float(volume_factor(celsius, kpa, to, compressibility)[0]),
    )


def _status(status: Status | None, units: Fraction, positions: Mapping[str, int]) -> BoundStatus | None:
    if status is None:
        return None
    meant = {
        Phase.MEASURE: status.measure,
        Phase.ZERO: status.zero,
        Phase.SPAN: status.span,
        Phase.MAINTENANCE: status.maintenance,
        Phase.FAULT: status.fault,
    }
    gases = (None if gas is None else float(Fraction(gas) * units) for gas in (status.zero_gas, status.span_gas))
    phases = tuple((code, phase) for phase, codes in meant.items() for code in codes)
    return BoundStatus(positions[status.point], phases, *gases)


def _nearest(modulus: Decimal | None, units: Fraction) -> int | None:
    if modulus is None:
        return None
    exact = Fraction(modulus) * units
    return half_even(exact.numerator, exact.denominator)


def _resolution(register: Register) -> Fraction:
    """Least step of the indication in the register's unit: as stated, else the step of an integer register."""
    if register.resolution is not None:
        return Fraction(register.resolution)
    if register.quantity.definition.kind is Kind.STATE:
        return Fraction(0)
    return step_of(register) or Fraction(0)


def _limit_of_span(instrument: Instrument, register: Register, units: Fraction) -> float:
    """Absolute part of the limit of error. [base unit]"""
    if register.quantity.definition.kind is not Kind.INSTANT:
        return 0.0
    accuracy = instrument.accuracy
    return float(Fraction(accuracy.percent_of_span) / 100 * Fraction(accuracy.span) * units)


def _source(plan: Plan, source: Source, points: Sequence[BoundPoint], positions: Mapping[str, int]) -> BoundSource:
    series: Iterable[RateSeries] = ()
    if source.method is Method.CEMS:
        series = _cems(plan, source, points, positions)
    elif source.method is Method.STEAM:
        series = _steam(plan, source, points, positions)
    rates = tuple(series)
    return BoundSource(
        id=source.id,
        method=source.method,
        role=source.role,
        category=source.category,
        gases=source.gases,
        counters=() if rates else tuple(_counters(plan, source, points, positions)),
        rates=rates,
        operating=_operating(source.operating, positions),
    )


def _counters(
    plan: Plan, source: Source, points: Sequence[BoundPoint], positions: Mapping[str, int]
) -> Iterable[CounterSeries]:
    """One series per input and gas, inputs outermost; first those to add, then those to subtract."""
    records = {factor.id: factor for factor in plan.factors}
    signed = [(name, 1) for name in source.inputs.add] + [(name, -1) for name in source.inputs.subtract]
    for position, (name, sign) in enumerate(signed):
        point = points[positions[name]]
        conversion = point.conversion
        for gas_at, gas in enumerate(source.gases):
            chain = [records[factor] for factor in source.factors[gas]]
            yield CounterSeries(
                input=position,
                gas=gas_at,
                point=positions[name],
                sign=sign,
                coefficient=float(coefficient(chain, gas, point.quantity, point.reference)),
                causes=(*_meter_causes(plan, point, points), *_factor_causes(chain)),
                conditions=() if conversion is None else (conversion.temperature, conversion.pressure),
            )


def _meter_causes(plan: Plan, point: BoundPoint, points: Sequence[BoundPoint]) -> tuple[Cause, ...]:
    """The counter's instrument and those of the conditions it is converted by, each once: within one they add up.

    The limits of temperature and pressure are taken at what is usual there, relative to the absolute values.
    """
    relatives = {f"instrument:{plan.instruments[point.instrument].id}": point.mpe_percent_of_reading / 100.0}
    stated, conversion = plan.points[points.index(point)].conversion, point.conversion
    if stated is not None and conversion is not None:
        celsius, kpa = float(stated.usual_temperature_c or 0), float(stated.usual_pressure_kpa or 0)
        for position, level, absolute in (
            (conversion.temperature, abs(celsius), ZERO_CELSIUS_K + celsius),
            (conversion.pressure, kpa, kpa),
        ):
            one = points[position]
            limit = level * one.mpe_percent_of_reading / 100.0 + one.mpe_absolute
            name = f"instrument:{plan.instruments[one.instrument].id}"
            relatives[name] = relatives.get(name, 0.0) + limit / absolute
    return tuple(Cause(name, relative / SQRT3) for name, relative in relatives.items())


def _factor_causes(chain: Sequence[FactorRecord]) -> Iterable[Cause]:
    """Factors that are not exact; sources that use the same factor share its cause."""
    for record in chain:
        if record.uncertainty_percent > 0:
            yield Cause(f"factor:{record.id}", float(record.uncertainty_percent) / 100.0 / COVERAGE)


def _cems(
    plan: Plan, source: Source, points: Sequence[BoundPoint], positions: Mapping[str, int]
) -> Iterable[CemsSeries]:
    """One series per gas, with the conversions that this gas needs."""
    inputs = source.inputs
    flow = positions[inputs.flow or ""]
    reference = points[flow].reference
    for gas_at, gas in enumerate(source.gases):
        concentration = positions[inputs.concentration[gas]]
        is_dry = points[concentration].reference.moisture is Moisture.DRY
        needed = needed_inputs(reference, is_dry)
        names = {"temperature": inputs.temperature, "pressure": inputs.pressure, "moisture": inputs.moisture}
        at = {key: positions[name] for key, name in names.items() if key in needed and name is not None}
        yield CemsSeries(
            gas=gas_at,
            flow=flow,
            temperature=at.get("temperature"),
            pressure=at.get("pressure"),
            moisture=at.get("moisture"),
            concentration=concentration,
            flow_reference=reference,
            fraction_is_dry=is_dry,
            causes=_instrument_causes(plan, points, [flow, *at.values(), concentration]),
        )


def _instrument_causes(plan: Plan, points: Sequence[BoundPoint], used: Sequence[int]) -> tuple[Cause, ...]:
    """The instruments behind the inputs of a rate, in order of first use; their part follows from the readings."""
    owners = dict.fromkeys(plan.instruments[points[position].instrument].id for position in used)
    return tuple(Cause(f"instrument:{owner}", 0.0) for owner in owners)


def _steam(
    plan: Plan, source: Source, points: Sequence[BoundPoint], positions: Mapping[str, int]
) -> Iterable[SteamSeries]:
    """One series per gas of purchased steam or hot water."""
    records = {factor.id: factor for factor in plan.factors}
    inputs, steam = source.inputs, source.steam or Steam()
    flow, pressure = positions[inputs.flow or ""], positions[inputs.pressure or ""]
    temperature = None if inputs.temperature is None else positions[inputs.temperature]
    used = [position for position in (flow, temperature, pressure) if position is not None]
    for gas_at, gas in enumerate(source.gases):
        chain = [records[factor] for factor in source.factors[gas]]
        yield SteamSeries(
            gas=gas_at,
            flow=flow,
            temperature=temperature,
            pressure=pressure,
            rule=SteamRule(
                # mg/mWh is kg/kWh
                kg_per_kwh=float(coefficient(chain, gas, Quantity.THERMAL_ENERGY, NO_REFERENCE)),
                reference_enthalpy=float(steam.reference_enthalpy),
                dryness=None if steam.dryness is None else float(steam.dryness),
                flow_is_volume=points[flow].quantity is not Quantity.MASS_FLOW,
            ),
            causes=(*_instrument_causes(plan, points, used), *_factor_causes(chain)),
        )


def _operating(operating: Operating | None, positions: Mapping[str, int]) -> BoundOperating | None:
    """Codes that are operating time and codes that are zero by evidence; standby goes as the plan says."""
    if operating is None:
        return None
    running = {*operating.running, *operating.starting}
    stopped = {*operating.stopped}
    (running if operating.standby_is_operating else stopped).update(operating.standby)
    return BoundOperating(positions[operating.point], frozenset(running), frozenset(stopped))
