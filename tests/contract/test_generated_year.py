"""The generated year is a ledger like any other: its sums are what the service would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger import ADMIN
from sqlalchemy import Engine, insert, select, update

from carbon.bench.generated.fleet import PLANTED, Fleet
from carbon.bench.generated.year import Year
from carbon.errors import Conflicting
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import mark_unsettled, settle
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.storage.energy import dirty_bucket, energy_interval
from carbon.storage.engine import reading, writing
from carbon.storage.rollups import bucket, mark_hours, quarter_hour, workload_day, workload_hour
from carbon.storage.settled import device_day, device_month, unit_day

#: 2026-03-02 12:00 UTC.
NOON_MS = 1_772_452_800_000
HOUR = 3_600_000
TABLES = (bucket, quarter_hour, workload_hour, workload_day, device_day, device_month, unit_day)
FLEET = Fleet(gpus=6, workload_count=5, teams=2, seed=7)


def written(context: Context, raw_days: float = 0.125, days: int = 32) -> Context:
    Year(context, FLEET, days, raw_days).write()
    return context


def contents(context: Context) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    with reading(context.engine) as connection:
        for table in TABLES:
            columns = [c for c in table.c if c.name != "recorded_ms"]
            found[table.name] = sorted(tuple(r) for r in connection.execute(select(*columns)))
    return found


@pytest.mark.slow
def test_rolling_it_up_again_changes_nothing(
    engine: Engine, new_context: Callable[[Engine], Context]
) -> None:
    context = written(new_context(engine))
    before = contents(context)
    assert all(before.values())
    with writing(context.engine) as connection:
        for table, values in ((bucket, {"energy_mj": 1}), (unit_day, {"inside": 1})):
            connection.execute(update(table).values(**values))
        keys = select(bucket.c.start_ms, bucket.c.device_id).distinct()
        rows = [{"start_ms": r[0], "device_id": r[1], "marks": 1} for r in connection.execute(keys)]
        connection.execute(insert(dirty_bucket), rows)
        old = select(quarter_hour.c.start_ms, quarter_hour.c.workload_id).distinct()
        hours = {(at - at % HOUR, w) for at, w in connection.execute(old).all()}
        mark_hours(connection, [hour for hour in hours if hour[0] >= NOON_MS - 16 * HOUR], 1)
        days = {(w, at - at % (24 * HOUR), at - at % (24 * HOUR) + 24 * HOUR) for at, w in hours}
        mark_unsettled(connection, days, ZoneInfo("UTC"))
    roll_up(context)
    settle(context)
    assert contents(context) == before


def test_it_is_the_same_for_the_same_seed(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    context = written(new_context(memory))
    with reading(context.engine) as connection:
        raw = [tuple(r) for r in connection.execute(select(energy_interval))]
    assert len(raw) == 6 * 3 * 360
    assert sum(r[4] for r in raw) == sum(r[5] for r in contents(context)["bucket"])
    assert Fleet(seed=7).power_w(3).tolist() == Fleet(seed=7).power_w(3).tolist()
    assert Fleet(seed=8).power_w(3).tolist() != Fleet(seed=7).power_w(3).tolist()


def test_what_is_planted_can_be_found(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    context = written(new_context(memory), raw_days=0)
    parked, oversized, deferrable = (
        workload_sci(context, ADMIN, Question(f"{w.team}/{w.name}", unit="device_hour"))
        for w in FLEET.workloads[: len(PLANTED)]
    )
    assert parked.energy_mj == 0 < parked.embodied_g
    assert 0 < oversized.energy_mj < deferrable.energy_mj


def test_a_ledger_in_use_is_left_alone(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    context = written(new_context(memory), raw_days=0, days=1)
    with pytest.raises(Conflicting) as error:
        written(context)
    assert error.value.code == "ledger_not_empty"
