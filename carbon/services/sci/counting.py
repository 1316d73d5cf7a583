"""R: how many functional units a workload did in a window, and where counts were set aside."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from sqlalchemy import Connection, func, select

from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.services.rollup.unit_sums import counted_between, counted_finely
from carbon.services.sci.question import Question
from carbon.services.sci.window_ledger import Ledger, Scope
from carbon.storage.corrections import members
from carbon.storage.names import run
from carbon.storage.unit_counts import units_of
from carbon.storage.unit_definitions import definition_of

#: Units that every workload has; the ledger counts them itself.
RUN: Final = "run"
DEVICE_HOUR: Final = "device_hour"


def count_units(
    scope: Scope, ledger: Ledger, question: Question
) -> tuple[str, int | float, int | float]:
    """(unit, R, counts set aside)."""
    connection = scope.connection
    own = units_of(connection, ledger.workload_id)
    unit = question.unit or _only_unit(own)
    if unit == DEVICE_HOUR:
        return unit, sum(row.reserved_ms for row in ledger.rows) / MS_PER_HOUR, 0
    if unit in own:
        counted, aside = counted_of(scope, ledger, own[unit])
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


def counted_of(scope: Scope, ledger: Ledger, unit_id: int) -> tuple[int | float, int | float]:
    """(R, counts set aside) of one of the workload's own units; of a converted one those of what
    it follows from, times its factor."""
    asked = (scope.connection, ledger.workload_id, unit_id)
    made = definition_of(scope.connection, unit_id)
    if made is not None and made.conversion is not None:
        own = units_of(scope.connection, ledger.workload_id)
        counted, aside = counted_of(scope, ledger, own[made.conversion.of])
        return counted * made.conversion.factor, aside * made.conversion.factor
    window = ledger.start_ms, ledger.end_ms
    if ledger.subject_id is not None:
        inside, outside = counted_finely(*asked, *window, ledger.subject_id)
    else:
        inside, outside = counted_between(*asked, *window, scope.pieces)
    filled = sum(counted_finely(*asked, lo, hi, ledger.subject_id)[1] for lo, hi in ledger.filled)
    if ledger.counts_all:
        return inside + outside, 0
    return inside + filled, outside - filled


def _runs(connection: Connection, ledger: Ledger) -> int:
    """Runs that ended in the window."""
    r = run.c
    query = select(func.count()).where(
        r.workload_id.in_(members(connection, ledger.workload_id)),
        r.end_ms > ledger.start_ms,
        r.end_ms <= ledger.end_ms,
    )
    if ledger.subject_id is not None:
        query = query.where(r.subject_id == ledger.subject_id)
    return connection.scalar(query) or 0
