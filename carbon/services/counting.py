"""R: how many functional units a workload did in a window, and where counts were set aside."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from sqlalchemy import Connection, func, select

from carbon.domain.energy import energy_until
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, floor_to
from carbon.errors import InvalidInput
from carbon.services.question import Question
from carbon.services.window_ledger import Ledger
from carbon.storage.ledger_rows import buckets_with_energy
from carbon.storage.names import run
from carbon.storage.unit_counts import counts_between, units_of

#: Units that every workload has; the ledger counts them itself.
RUN: Final = "run"
DEVICE_HOUR: Final = "device_hour"


def count_units(
    connection: Connection, ledger: Ledger, question: Question
) -> tuple[str, int | float, int | float]:
    """(unit, R, counts set aside)."""
    own = units_of(connection, ledger.workload_id)
    unit = question.unit or _only_unit(own)
    if unit == DEVICE_HOUR:
        return unit, sum(row.reserved_ms for row in ledger.rows) / MS_PER_HOUR, 0
    if unit in own:
        counted, aside = _counted(connection, ledger, own[unit])
        return unit, counted, aside
    if unit == RUN:
        return unit, _runs(connection, ledger), 0
    known = [*own, RUN, DEVICE_HOUR]
    raise InvalidInput(
        "unknown_unit",
        f"{question.workload} has no unit {unit!r}; it has {', '.join(known)}",
        near=get_close_matches(unit, known),
    )


def _only_unit(own: Mapping[str, int]) -> str:
    if len(own) > 1:
        raise InvalidInput("unit_required", f"say which unit: {', '.join(own)}", units=list(own))
    return next(iter(own), RUN)


def _counted(connection: Connection, ledger: Ledger, unit_id: int) -> tuple[int, int]:
    """Counts in buckets where the workload has energy, and the rest of the window's."""
    start_ms, end_ms = ledger.start_ms, ledger.end_ms
    powered = buckets_with_energy(
        connection, ledger.workload_id, start_ms, end_ms, ledger.subject_id
    )
    inside = outside = 0
    for lo, hi, count in counts_between(connection, unit_id, start_ms, end_ms):
        until, before = min(hi, end_ms), max(lo, start_ms)
        part = energy_until(count, lo, hi, until) - energy_until(count, lo, hi, before)
        if floor_to(lo, BUCKET_MS) in powered:
            inside += part
        else:
            outside += part
    return inside, outside


def _runs(connection: Connection, ledger: Ledger) -> int:
    """Runs that ended in the window."""
    r = run.c
    query = select(func.count()).where(
        r.workload_id == ledger.workload_id, r.end_ms > ledger.start_ms, r.end_ms <= ledger.end_ms
    )
    if ledger.subject_id is not None:
        query = query.where(r.subject_id == ledger.subject_id)
    return connection.scalar(query) or 0
