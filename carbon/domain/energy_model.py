"""Energy of what no meter sees: from rated power, load, time and traffic. Always `modelled`."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

#: Load in % -> share of the thermal design power of a server CPU, as measured on Intel Xeons.
#: Source: Teads Engineering, "Building an AWS EC2 carbon emissions dataset" (2021).
TEADS_CURVE = ((0.0, 0.12), (10.0, 0.32), (50.0, 0.75), (100.0, 1.02))


def teads_share_of_tdp(load_percent: float) -> float:
    """Power as a share of TDP at a CPU load of 0..100 %, linear between the measured loads."""
    if not 0.0 <= load_percent <= 100.0:
        raise ValueError(f"a load of {load_percent} % is outside 0 to 100")
    loads = [load for load, _ in TEADS_CURVE]
    segment = min(bisect_right(loads, load_percent), len(loads) - 1) - 1
    (low, share_low), (high, share_high) = list(pairwise(TEADS_CURVE))[segment]
    return share_low + (share_high - share_low) * (load_percent - low) / (high - low)


def power_kwh(power_w: float, hours: float, share: float = 1.0) -> float:
    """Constant power over time; `share` is that of a chip's cores, or a fixed load factor."""
    return power_w * hours * share / 1000.0


def cpu_kwh(tdp_w: float, load_percent: float, duration_s: float, share: float = 1.0) -> float:
    """A CPU of known TDP under a load, by the curve above."""
    return power_kwh(tdp_w * teads_share_of_tdp(load_percent), duration_s / 3600.0, share)


def amount_kwh(amount: float, kwh_per_amount: float) -> float:
    """Traffic in GB by kWh/GB, or memory in GB·h by kWh/(GB·h): a coefficient that is sourced."""
    return amount * kwh_per_amount


def facility_kwh(it_kwh: float, pue: float) -> float:
    """What the data centre draws for IT energy. The ledger applies PUE in the grams, once."""
    return it_kwh * pue


def water_l(it_kwh: float, wue: float, pue: float, grid_l_per_kwh: float) -> float:
    """Litres on site and at the power plants.

    WUE is per kWh of IT energy, so that only the plants' part follows PUE. Source: The Green
    Grid, WUE white paper (2011); counting PUE twice is the error of EcoLogits issue 230.
    """
    return it_kwh * (wue + pue * grid_l_per_kwh)
