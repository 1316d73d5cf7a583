"""Prices of energy from a CSV file, for `carbon import prices FILE.csv --zone COLUMN`.

Its shapes are those of `intensity_csv`: a column of times, and a column per zone or one of values.
"""

from __future__ import annotations

from pathlib import Path

from carbon.domain.price import is_currency, is_plausible_price
from carbon.errors import InvalidInput
from carbon.imports.intensity_csv import IntensityTable, read_series

_KWH = {"KWH": 1.0, "MWH": 1_000.0}


def read_price_csv(path: Path | str, zone_column: str, unit: str) -> tuple[IntensityTable, str]:
    """One series as money per kWh, and its currency; `unit` is such as `EUR/MWh`.

    Raises InvalidInput: `bad_currency`, and what `read_intensity_csv` does.
    """
    currency, _, energy = unit.strip().upper().partition("/")
    kwh = _KWH.get(energy)
    if kwh is None or not is_currency(currency):
        raise InvalidInput("bad_currency", f"{unit!r}: write the unit as EUR/MWh or EUR/kWh")
    return read_series(path, zone_column, 1 / kwh, is_plausible_price), currency
