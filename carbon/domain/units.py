"""Units and the only conversions between them.

Energy is an integer of millijoules, mass an integer of nanograms of CO2e, time an integer of
milliseconds since the epoch (UTC). Floats appear where a figure leaves the ledger.

Why nanograms: one rounding of a 5-minute bucket must stay invisible on the shortest run.
A run of 1 s at 5 W emits about 0.5 mg; rounded to µg that is 0.1 %, rounded to ng 0.0001 %.
"""

from __future__ import annotations

from typing import Final

MJ_PER_J: Final = 1_000
MJ_PER_KWH: Final = 3_600_000_000
NG_PER_G: Final = 1_000_000_000
MS_PER_S: Final = 1_000
MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 86_400_000
#: ISO/IEC 21031 reads a year of hardware life as 365 days (its own example: 35 040 h for 4 y).
MS_PER_LIFESPAN_YEAR: Final = 365 * MS_PER_DAY
PPM: Final = 1_000_000

#: Functional units that every workload has; the ledger counts them, so nobody may send them.
DERIVED_UNITS: Final = frozenset({"run", "device_hour"})

#: The widths of the roll-ups. A bucket is the finest step at which carbon is computed.
BUCKET_MS: Final = 300_000
QUARTER_MS: Final = 900_000


def kwh(energy_mj: int) -> float:
    """Millijoules as kilowatt-hours; 1 kWh is exactly 3.6e9 mJ."""
    return energy_mj / MJ_PER_KWH


def grams(mass_ng: int) -> float:
    return mass_ng / NG_PER_G


def energy_mj(kilowatt_hours: float) -> int:
    return round(kilowatt_hours * MJ_PER_KWH)


def floor_to(ms: int, width_ms: int) -> int:
    return ms - ms % width_ms


def ceil_to(ms: int, width_ms: int) -> int:
    return -(-ms // width_ms) * width_ms


def watts(energy_mj_: int, duration_ms: int) -> float:
    """Mean power over a duration (> 0): mJ per ms is W."""
    return energy_mj_ / duration_ms
