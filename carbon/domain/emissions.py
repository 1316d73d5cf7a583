"""Operational emissions: energy times the intensity of the place and minute, exactly rounded."""

from __future__ import annotations

from carbon.domain.units import MJ_PER_KWH, NG_PER_G


def operational_ng(energy_mj: int, g_per_kwh: float, pue: float = 1.0) -> int:
    """Nanograms of CO2e that IT energy causes at one intensity.

    mJ · (g/kWh) · PUE · (1e9 ng/g) / (3.6e9 mJ/kWh) = E·I·PUE / 3.6 ng. The floats count with
    their exact binary value, and the one rounding is half to even, so the result is the same
    on every machine and monotone in each argument. Raises where a float is not finite.
    """
    intensity, per_intensity = g_per_kwh.as_integer_ratio()
    overhead, per_overhead = pue.as_integer_ratio()
    return _divided_half_even(
        energy_mj * intensity * overhead * NG_PER_G, per_intensity * per_overhead * MJ_PER_KWH
    )


def _divided_half_even(numerator: int, denominator: int) -> int:
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient % 2):
        quotient += 1
    return quotient


def implied_g_per_kwh(operational_g: float, energy_kwh: float) -> float | None:
    """The intensity that a stated O and E imply; None where there is no energy.

    Two components of one region must imply the same figure, and a figure far below the
    zone's betrays a market-based one.
    """
    return operational_g / energy_kwh if energy_kwh > 0 else None
