"""The parts of a report as a table: one row a part of O or M, masses to the nanogram."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from carbon.exports.issued import Issued, grams_text
from carbon.wire.reports import ReportLine

COLUMNS = (
    *("report", "workload", "unit", "count", "start", "end", "part", "device", "kind", "model"),
    *("method", "zone", "source", "signal", "scope", "energy_kwh", "factor", "lifespan"),
    *("reserved_s", "g_co2e", "low_g_per_unit", "high_g_per_unit", "boundary", "input_hash"),
)


def write(issued: Issued) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in table(issued):
        writer.writerow({name: cell(value) for name, value in row.items()})
    return out.getvalue()


def table(issued: Issued) -> Iterator[dict[str, object]]:
    """Each part of each workload once, by the names of `COLUMNS`."""
    seen: set[str] = set()
    for line in issued.statement.lines:
        if line.answer.workload not in seen:  # else the same grams in another unit
            seen.add(line.answer.workload)
            yield from _rows(issued, line)


def _rows(issued: Issued, line: ReportLine) -> Iterator[dict[str, object]]:
    a = line.answer
    common: dict[str, object] = {
        "report": issued.report.id,
        "workload": a.workload,
        "unit": a.unit,
        "count": a.count,
        "start": a.start,
        "end": a.end,
        "low_g_per_unit": a.low,
        "high_g_per_unit": a.high,
        "boundary": a.boundary["version"],
        "input_hash": a.input_hash,
    }
    for o in line.operational:
        yield {
            **common,
            "part": "operational",
            "device": o.device,
            "kind": o.kind,
            "model": o.model,
            "method": o.method,
            "zone": o.zone,
            "source": o.source,
            "signal": o.signal,
            "scope": o.scope,
            "energy_kwh": o.energy_mj / 3.6e9,
            "g_co2e": grams_text(o.operational_ng),
        }
    for m in line.embodied:
        yield {
            **common,
            "part": "embodied",
            "device": m.device,
            "kind": m.kind,
            "model": m.model,
            "factor": m.factor,
            "lifespan": m.lifespan,
            "reserved_s": m.reserved_ms / 1000,
            "g_co2e": grams_text(m.embodied_ng),
        }


def cell(value: object) -> object:
    """Names come from outside; a spreadsheet must not take one for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
