"""A CSV of hourly intensity, one column per zone, as one array: what a backtest reads."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from carbon.domain.intensity import is_plausible
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.grid.daily_profile import HOURS_PER_DAY, Floats

#: Columns with fewer plausible hours than this share are left out.
LEAST_KNOWN: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class HourlyTable:
    """`g_per_kwh` has shape (zones, hours), NaN where unknown, from hour 0 of a day (UTC) on."""

    zones: tuple[str, ...]
    start_ms: int
    g_per_kwh: Floats

    @property
    def first_weekday(self) -> int:
        """Monday is 0."""
        return datetime.fromtimestamp(self.start_ms / 1000, UTC).weekday()

    def place(self, zone: str) -> int:
        """Raises InvalidInput `column_missing`."""
        if zone not in self.zones:
            known = ", ".join(self.zones[:8])
            raise InvalidInput("column_missing", f"no column {zone!r}; there are {known} …")
        return self.zones.index(zone)

    @property
    def varying(self) -> list[int]:
        """Places of the zones whose intensity is not one constant."""
        spread = np.nanmax(self.g_per_kwh, axis=1) - np.nanmin(self.g_per_kwh, axis=1)
        return [int(place) for place in np.flatnonzero(spread > 0)]


def read_hourly_table(path: Path) -> HourlyTable:
    """Reads a file whose first column is the time (UTC where no offset stands).

    Rows may come in any order and repeat; the last one counts. Raises InvalidInput:
    `file_unreadable`, `time_missing`, `not_hourly`.
    """
    heading, rows = _rows(path)
    hours = [_hour(row[0], path) for row in rows]
    first = min(hours) // HOURS_PER_DAY * HOURS_PER_DAY
    values = np.full((len(heading) - 1, max(hours) - first + 1), np.nan)
    for hour, row in zip(hours, rows, strict=True):
        for place, text in enumerate(row[1 : len(heading)]):
            values[place, hour - first] = _value(text)
    known = np.isfinite(values).mean(axis=1) >= LEAST_KNOWN
    if not known.any():
        raise InvalidInput("not_hourly", f"no column of {path} has a value for most hours")
    zones = tuple(name for name, kept in zip(heading[1:], known, strict=True) if kept)
    return HourlyTable(zones, first * MS_PER_HOUR, values[known])


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            heading = [cell.strip() for cell in next(reader, [])]
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("file_unreadable", f"cannot read {path} as CSV: {error}") from None
    if len(heading) < 2 or not rows:
        raise InvalidInput("file_unreadable", f"{path} holds no rows of a time and zones")
    return heading, rows


def _hour(text: str, path: Path) -> int:
    """Hours since the epoch."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(
            "time_missing", f"{path}: {text!r} is no time; write 2026-01-31T12:00:00Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) // 3600


def _value(text: str) -> float:
    """NaN for what is no plausible intensity."""
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if is_plausible(value) else float("nan")
