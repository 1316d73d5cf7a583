"""A half-year's balance file of EIA's hourly grid monitor, with the columns of 2024 and later.

Of each fuel a reported, an imputed and an adjusted column; one adjusted column is mistyped and
another holds two blanks, as in the real file. Without a key.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: From January to June.
HALF_YEAR_MS = 181 * DAY_MS
#: The last ones of a file: a whole half-year would slow the tests and tell no more.
DAYS = 6
PATH = "/electricity/gridmonitor/sixMonthFiles/"
AUTHORITIES = ("CISO", "ERCO", "PJM")
FUELS = {
    "Coal": 0.0,
    "Natural Gas": 9000.0,
    "Nuclear": 2000.0,
    "All Petroleum Products": 100.0,
    "Hydropower Excluding Pumped Storage": 1000.0,
    "Pumped Storage ": 50.0,
    "Solar without Integrated Battery Storage": 3000.0,
    "Solar with Integrated Battery Storage": 1000.0,
    "Wind without Integrated Battery Storage": 1500.0,
    "Wind with Integrated Battery Storage": 10.0,
    "Battery Storage": -300.0,
    "Other Energy Storage": 1.0,
    "Unknown Energy Storage": 1.0,
    "Geothermal": 800.0,
    "Other Fuel Sources": 20.0,
    "Unknown Fuel Sources": 5.0,
}


def header() -> list[str]:
    versions = ("", " (Imputed)", " (Adjusted)")
    columns = [
        f"Net Generation (MW) from {fuel}{version}" for version in versions for fuel in FUELS
    ]
    return [
        "Balancing Authority",
        "Data Date",
        "Hour Number",
        "Local Time at End of Hour",
        "UTC Time at End of Hour",
        "Demand Forecast (MW)",
        "Demand (MW)",
        "Net Generation (MW)",
        *columns,
        "Region",
    ]


def mistyped(names: list[str]) -> list[str]:
    """As EIA spells it."""
    right = "Solar with Integrated Battery Storage (Adjusted)"
    return [name.replace(right, right.replace("with ", "witho ")) for name in names]


def generated(authority: str, fuel: str, end_ms: int) -> float | None:
    """MW; CISO has no coal and says nothing of it, not 0. The sun shines from 15 to 1 h UTC."""
    if fuel == "Coal" and authority == "CISO":
        return None
    if fuel == "Coal":
        return 4000.0
    if fuel.startswith("Solar") and not (end_ms // HOUR_MS % 24 > 15 or end_ms // HOUR_MS % 24 < 1):
        return 0.0
    return FUELS[fuel]


def text_of(name: str, now_ms: int) -> str | None:
    """The file of that name as it stood at `now_ms`, up to the day before; None where it is
    not there."""
    start_ms = _start_ms(name)
    if start_ms is None or start_ms > now_ms:
        return None
    made = io.StringIO()
    rows = csv.writer(made)
    rows.writerow(mistyped(header()))
    last_ms = min(now_ms, start_ms + HALF_YEAR_MS) // DAY_MS * DAY_MS
    first_ms = max(start_ms, last_ms - DAYS * DAY_MS)
    for authority in AUTHORITIES:
        for end_ms in range(first_ms + HOUR_MS, last_ms + 1, HOUR_MS):
            rows.writerow(row(authority, end_ms))
    return made.getvalue()


def row(authority: str, end_ms: int) -> list[str]:
    moment = datetime.fromtimestamp(end_ms / 1000, UTC)
    told = [_cell(generated(authority, fuel, end_ms)) for fuel in FUELS]
    stamp = f"{moment:%m/%d/%Y} {moment.hour % 12 or 12}:{moment:%M:%S %p}"
    return [
        authority,
        f"{moment:%m/%d/%Y}",
        "1",
        stamp,
        stamp,
        "25000",
        "24,900",
        "24000",
        *told,
        *["" for _ in FUELS],
        *told,
        "CAL",
    ]


def _cell(mw: float | None) -> str:
    return "" if mw is None else f"{mw:,.0f}"


def _start_ms(name: str) -> int | None:
    for half, month in (("Jan_Jun", 1), ("Jul_Dec", 7)):
        if name.startswith("EIA930_BALANCE_") and name.endswith(f"_{half}.csv"):
            year = int(name.removeprefix("EIA930_BALANCE_")[:4])
            return round(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)
    return None
