"""What a job appends to the file named by `$CARBON_UNITS`: lines of `unit count`."""

from __future__ import annotations

from collections.abc import Iterable

from carbon.domain.units import DERIVED_UNITS

#: The variable that names the file.
UNITS_VARIABLE = "CARBON_UNITS"
_MOST = 1 << 53
_LONGEST_NAME = 200
_MOST_UNITS = 1_000


def sum_unit_lines(lines: Iterable[str]) -> tuple[dict[str, int], list[int]]:
    """(counts by unit, numbers of the lines that cannot be meant). Counts of a unit add up; empty
    lines and those that begin with # say nothing."""
    counts: dict[str, int] = {}
    bad = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        unit, _, told = text.rpartition(" ")
        unit = unit.strip()
        is_count = told.isascii() and told.isdigit() and len(told) <= 16
        is_new = unit not in counts
        if (
            not is_count
            or not 0 < len(unit) <= _LONGEST_NAME
            or unit in DERIVED_UNITS
            or (is_new and len(counts) >= _MOST_UNITS)
            or counts.get(unit, 0) + int(told) > _MOST
        ):
            bad.append(number)
            continue
        counts[unit] = counts.get(unit, 0) + int(told)
    return counts, bad
