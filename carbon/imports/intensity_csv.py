"""Grid intensity from a CSV file, for `carbon import intensity FILE.csv --zone COLUMN`.

Understood without being told: one column per zone (`datetime_utc,DE,FR`), one column of values
(`time,carbon_intensity`), and Electricity Maps' exports with a life-cycle and a direct column.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, is_plausible
from carbon.errors import InvalidInput


class Unit(StrEnum):
    """Units in which intensity is published."""

    G_PER_KWH = "g/kWh"
    KG_PER_MWH = "kg/MWh"
    LB_PER_MWH = "lb/MWh"
    G_PER_MJ = "g/MJ"


#: g/kWh of one of each. A pound is 453.59237 g exactly (NIST SP 811); 1 kWh is 3.6 MJ.
_G_PER_KWH: Final = {
    Unit.G_PER_KWH: 1.0,
    Unit.KG_PER_MWH: 1.0,
    Unit.LB_PER_MWH: 0.453_592_37,
    Unit.G_PER_MJ: 3.6,
}
#: Names of columns that hold values of whatever zone the file is of.
_VALUE_WORDS: Final = ("intensity", "moer", "g_per_kwh", "gco2", "co2eq")
_ZONE_HEADINGS: Final = ("zone id", "zone_id", "zone_name", "zone")
_SCOPE_WORDS: Final = {
    EmissionScope.LIFECYCLE: ("lca", "lifecycle", "life cycle", "life-cycle"),
    EmissionScope.DIRECT: ("direct",),
}
#: Unix times of 2001 to 2286; larger ones are milliseconds.
_UNIX_SECONDS: Final = (1e9, 1e10)


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that was not imported. Lines count from 1, the heading's."""

    line: int
    text: str
    #: `no_value`, `not_a_number`, `implausible` or `no_time`.
    reason: str


@dataclass(frozen=True, slots=True)
class IntensityTable:
    """One zone's series of a file, ordered by time, without overlap; gaps are gaps."""

    zone: str
    column: str
    scope: EmissionScope
    points: tuple[IntensityPoint, ...]
    #: The most common distance of two rows; no point is longer.
    step_ms: int
    #: Rows whose time stood before in the file; the last one with a value counts.
    duplicates: int
    bad: tuple[BadCell, ...]


def read_intensity_csv(
    path: Path | str,
    zone_column: str,
    *,
    scope: EmissionScope = EmissionScope.LIFECYCLE,
    kind: PointKind = PointKind.ACTUAL,
    unit: Unit = Unit.G_PER_KWH,
) -> IntensityTable:
    """Reads one series of `unit`, as g/kWh.

    `zone_column` names the column of values, or else the zone of a file that has but one
    such column (of `scope`, where it has one per scope). The zone is the file's own zone
    column's where that holds a single one, else `zone_column`.

    Times are those of the first column that holds any: RFC 3339, a date and time taken as UTC
    where no offset stands, or Unix seconds or milliseconds. A point lasts until the next row,
    at most the most common step. Empty, unreadable and implausible cells (not in (0, 2000])
    are listed in `bad` and left out.

    Raises InvalidInput: `file_unreadable`, `column_missing` with `near`, `time_missing`,
    `step_unknown` where fewer than two rows have a time.
    """
    return read_series(path, zone_column, _G_PER_KWH[unit], is_plausible, scope, kind)


def read_series(
    path: Path | str,
    zone_column: str,
    scale: float,
    is_sound: Callable[[float], bool],
    scope: EmissionScope = EmissionScope.LIFECYCLE,
    kind: PointKind = PointKind.ACTUAL,
) -> IntensityTable:
    """As `read_intensity_csv`, of any quantity: values times `scale`, where `is_sound`."""
    heading, rows = _rows(Path(path))
    columns = _columns(heading, rows, zone_column, scope)
    values, duplicates, bad = _values(rows, columns, scale, is_sound)
    starts_ms = sorted(values)
    step_ms = _step_ms(starts_ms)
    return IntensityTable(
        _zone(rows, heading, columns.value, zone_column),
        heading[columns.value],
        columns.scope,
        tuple(_points(starts_ms, values, step_ms, kind)),
        step_ms,
        duplicates,
        tuple(bad),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: list[str]

    def cell(self, index: int) -> str:
        """Empty where the row is too short."""
        return self.cells[index].strip() if index < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class _Columns:
    time: int
    value: int
    scope: EmissionScope


def _rows(path: Path) -> tuple[list[str], list[_Row]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            heading = [cell.strip() for cell in next(reader, [])]
            rows = [_Row(reader.line_num, cells) for cells in reader if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("file_unreadable", f"cannot read {path} as CSV: {error}") from error
    if not heading or not rows:
        raise InvalidInput("file_unreadable", f"{path} holds no rows under a heading")
    return heading, rows


def _columns(
    heading: Sequence[str], rows: Sequence[_Row], wanted: str, scope: EmissionScope
) -> _Columns:
    time = _time_column(heading, rows)
    value = _named(heading, wanted)
    if value is None:
        value = _single_value_column(heading, rows, time, wanted, scope)
    return _Columns(time, value, _scope_of(heading[value]) or scope)


def _time_column(heading: Sequence[str], rows: Sequence[_Row]) -> int:
    """The first column of dates; where there is none, the first of Unix times."""
    for read in (_read_date, _read_unix):
        for index in range(len(heading)):
            if read(rows[0].cell(index)) is not None:
                return index
    raise InvalidInput(
        "time_missing",
        "no column holds times; write them as 2026-01-31T12:00:00Z or 2026-01-31 12:00:00 (UTC)",
    )


def _named(heading: Sequence[str], wanted: str) -> int | None:
    if wanted in heading:
        return heading.index(wanted)
    folded = [name.casefold() for name in heading]
    return folded.index(wanted.casefold()) if wanted.casefold() in folded else None


def _single_value_column(
    heading: Sequence[str], rows: Sequence[_Row], time: int, wanted: str, scope: EmissionScope
) -> int:
    numeric = [
        index
        for index in range(len(heading))
        if index != time and any(_read_number(row.cell(index)) is not None for row in rows[:100])
    ]
    spoken = [i for i in numeric if any(word in heading[i].casefold() for word in _VALUE_WORDS)]
    for candidates in (numeric, spoken, [i for i in spoken if _scope_of(heading[i]) is scope]):
        if len(candidates) == 1:
            return candidates[0]
    near = get_close_matches(wanted, heading, n=3, cutoff=0.3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(heading[:8])}"
    raise InvalidInput("column_missing", f"no column {wanted!r}: {hint}", column=wanted, near=near)


def _scope_of(name: str) -> EmissionScope | None:
    """The scope that a heading speaks of."""
    for scope, words in _SCOPE_WORDS.items():
        if any(word in name.casefold() for word in words):
            return scope
    return None


def _zone(rows: Iterable[_Row], heading: Sequence[str], value: int, wanted: str) -> str:
    folded = [name.casefold() for name in heading]
    for name in _ZONE_HEADINGS:
        if name in folded and folded.index(name) != value:
            zones = {zone for row in rows if (zone := row.cell(folded.index(name)))}
            if len(zones) == 1:
                return zones.pop()
    return wanted


def _values(
    rows: Iterable[_Row], columns: _Columns, scale: float, is_sound: Callable[[float], bool]
) -> tuple[dict[int, float | None], int, list[BadCell]]:
    """Value by start, ms; None where no row of that time has one."""
    values: dict[int, float | None] = {}
    duplicates, bad = 0, []
    for row in rows:
        start_ms = _read_time(row.cell(columns.time))
        if start_ms is None:
            bad.append(BadCell(row.line, row.cell(columns.time), "no_time"))
            continue
        duplicates += start_ms in values
        text = row.cell(columns.value)
        reason = _flaw(text, scale, is_sound)
        if reason:
            bad.append(BadCell(row.line, text, reason))
            values.setdefault(start_ms, None)
        else:
            values[start_ms] = float(text) * scale
    return values, duplicates, bad


def _flaw(text: str, scale: float, is_sound: Callable[[float], bool]) -> str | None:
    if not text:
        return "no_value"
    number = _read_number(text)
    if number is None:
        return "not_a_number"
    return None if is_sound(number * scale) else "implausible"


def _points(
    starts_ms: Sequence[int], values: dict[int, float | None], step_ms: int, kind: PointKind
) -> Iterator[IntensityPoint]:
    ends_ms = [*starts_ms[1:], starts_ms[-1] + step_ms]
    for start_ms, next_ms in zip(starts_ms, ends_ms, strict=True):
        value = values[start_ms]
        if value is not None:
            yield IntensityPoint(start_ms, min(next_ms, start_ms + step_ms), value, kind)


def _step_ms(starts_ms: Sequence[int]) -> int:
    steps = Counter(later - earlier for earlier, later in pairwise(starts_ms))
    if not steps:
        raise InvalidInput("step_unknown", "one row has no step: at least two times are needed")
    # Of equally common steps the shorter: rather a gap than a value stretched over it.
    return min(steps, key=lambda step: (-steps[step], step))


def _read_time(text: str) -> int | None:
    date_ms = _read_date(text)
    return _read_unix(text) if date_ms is None else date_ms


def _read_date(text: str) -> int | None:
    """Epoch ms of a date and time; UTC where no offset stands. Plain numbers are no dates."""
    if not text or text.replace(".", "").isdigit():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _read_unix(text: str) -> int | None:
    number = _read_number(text)
    if number is None or not _UNIX_SECONDS[0] <= number < _UNIX_SECONDS[1] * 1000:
        return None
    return round(number * 1000 if number < _UNIX_SECONDS[1] else number)


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
