"""Counts of many steps at once are those of each step alone, whether or not it is whole days."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import Year
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.rollup.unit_sums import counted_between, counted_by_step
from carbon.storage.engine import reading
from carbon.storage.names import workload_unit
from carbon.storage.settled import pieces_of

UTC = ZoneInfo("UTC")
DAYS = 6


@pytest.mark.parametrize(("begins_h", "width_h"), [(0, 24), (7, 36)])
def test_steps_at_once_count_what_each_counts(
    engine: Engine, new_context: Callable[[Engine], Context], begins_h: int, width_h: int
) -> None:
    context = new_context(engine)
    year = Year(context, Fleet(gpus=6, workload_count=5, teams=2, seed=7), DAYS, 0.0)
    year.write()
    first = year.end_ms - DAYS * MS_PER_DAY + begins_h * MS_PER_HOUR
    marks = [*range(first, year.end_ms, width_h * MS_PER_HOUR), year.end_ms]
    steps = list(pairwise(marks))
    with reading(context.engine) as connection:
        unit_id, workload_id = connection.execute(
            select(workload_unit.c.id, workload_unit.c.workload_id).limit(1)
        ).one()
        at_once = counted_by_step(connection, workload_id, unit_id, steps, UTC)
        alone = {
            step: counted_between(
                connection, workload_id, unit_id, lo, hi, pieces_of(connection, UTC, workload_id)
            )
            for step, (lo, hi) in enumerate(steps)
        }
    assert at_once == alone
    assert sum(inside for inside, _ in alone.values()) > 0
