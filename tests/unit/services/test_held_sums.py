"""Sums of long windows that are kept: always those of the rows that stand there now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from job_house import fresh_engine
from sqlalchemy import Engine, delete, insert, update

from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.services.sci import held_sums as module
from carbon.services.sci.held_sums import held_sums
from carbon.services.sci.time_range import TimeRange
from carbon.storage.engine import reading, writing
from carbon.storage.period_sums import PeriodSum, period_sums
from carbon.storage.rollups import workload_day

START_MS = 1_700_006_400_000  # a midnight
WINDOW = TimeRange(START_MS, START_MS + 40 * MS_PER_DAY, "")
STEP_MS = 7 * MS_PER_DAY


@pytest.fixture
def engine(new_context: Callable[[Engine], Context]) -> Engine:
    engine = fresh_engine()
    with writing(engine) as connection:
        rows = [row(day, workload) for day in range(40) for workload in (1, 2)]
        connection.execute(insert(workload_day), rows)
    return engine


def row(day: int, workload: int, energy_mj: int = 1_000) -> dict[str, int]:
    return {
        "start_ms": START_MS + day * MS_PER_DAY,
        "workload_id": workload,
        "model_id": 1,
        "method": 1,
        "rating_id": 1,
        "energy_mj": energy_mj + day,
        "operational_ng": 7,
        "covered_ms": 3,
        "reserved_ms": 4,
        "recorded_ms": START_MS,
    }


def merged(rows: Iterable[PeriodSum]) -> Counter[tuple[int, int]]:
    """mJ by step and workload: a step may have a row of kept days and one of fresh ones."""
    found: Counter[tuple[int, int]] = Counter()
    for one in rows:
        found[one.step, one.workload] += one.energy_mj
    return found


def both(engine: Engine, own: list[int] | None = None) -> tuple[Counter[tuple[int, int]], ...]:
    with reading(engine) as connection:
        kept = held_sums(connection, WINDOW, STEP_MS, own)
        whole = period_sums(connection, START_MS, WINDOW.end_ms, STEP_MS, True, own)
    return merged(kept), merged(whole)


@pytest.mark.parametrize("own", [None, [1], []])
def test_they_are_those_of_the_rows_first_and_when_kept(
    engine: Engine, own: list[int] | None
) -> None:
    for _ in range(2):
        kept, whole = both(engine, own)
        assert kept == whole


@pytest.mark.parametrize("day", [0, 20, 37, 38, 39])
def test_a_change_of_any_day_shows_at_once(engine: Engine, day: int) -> None:
    both(engine)
    at = workload_day.c.start_ms == START_MS + day * MS_PER_DAY
    for change in (update(workload_day).values(energy_mj=5), delete(workload_day)):
        with writing(engine) as connection:
            connection.execute(change.where(at))
        kept, whole = both(engine)
        assert kept == whole


def test_what_moves_between_workloads_shows_though_the_clock_was_behind(engine: Engine) -> None:
    both(engine)
    with writing(engine) as connection:
        connection.execute(
            update(workload_day)
            .where(workload_day.c.start_ms == START_MS, workload_day.c.workload_id == 1)
            .values(workload_id=9, recorded_ms=START_MS - 1)
        )
    kept, whole = both(engine)
    assert kept == whole
    assert kept[0, 9] == 1_000


def test_what_is_kept_is_not_summed_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    both(engine)
    asked: list[tuple[int, int]] = []

    def counted(connection: object, start_ms: int, end_ms: int, *rest: object, **more: object):  # type: ignore[no-untyped-def]
        asked.append((start_ms, end_ms))
        return period_sums(connection, start_ms, end_ms, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "period_sums", counted)
    both(engine)
    assert asked == [(WINDOW.end_ms - 2 * MS_PER_DAY, WINDOW.end_ms)]
