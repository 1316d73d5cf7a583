"""The table that an auditor sums: energy and carbon of a report by device and quarter-hour."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import NamedTuple


class TableRow(NamedTuple):
    """What one device drew by one method at one price, in one quarter-hour or less; in a day
    where the report has so many quarter-hours that nobody would read them."""

    workload: str
    start: str
    end: str
    device: str
    method: str
    zone: str
    source: str
    signal: str
    scope: str
    intensity_kind: str
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int


def write(rows: Iterable[TableRow]) -> bytes:
    """CSV in UTF-8: the same rows are the same bytes."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TableRow._fields)
    writer.writerows(rows)
    return out.getvalue().encode()
