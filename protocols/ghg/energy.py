"""Purchased electricity and heat: mass of a gas from metered energy."""

from __future__ import annotations

from protocols.ghg.combustion import rounded_product
from protocols.records import Float64, Int64


def energy_mass_mg(energy_mwh: Int64, coefficient_mg_per_mwh: float | Float64) -> Int64:
    """Mass of one gas behind metered energy, electrical or heat, window by window.

    Parameters
    ----------
    energy_mwh : ndarray of int64, shape (windows,)
        Differences of an energy counter; import and export are counters of their own, and the sign of an
        export is applied to the mass. Magnitude below 2**62. [mWh, milliwatt hours]
    coefficient_mg_per_mwh : float or ndarray of float64, shape (windows,)
        ``protocols.ghg.factors.coefficient`` of the factor, rounded once to float64. [mg/mWh = kg/kWh]

    Returns
    -------
    ndarray of int64, shape (windows,)
        Rounded once, half to even. [mg]

    Notes
    -----
    m = E * EF [1]_. Which year's EF applies is a rule of the accounting profile; at the edge it is the
    plan's record, and the ledger may state the mass anew with another. Registers, never integrated power.

    References
    ----------
    .. [1] GB/T 32150, purchased electricity; ISO 14064-1:2018 category 2. Form only; confidence: high.
    """
    return rounded_product(energy_mwh, coefficient_mg_per_mwh)
