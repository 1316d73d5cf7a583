"""However a backlog is cut into passes, stopped, and added to on the way: the same roll-ups."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_house import fresh_engine
from ledger import NOON_MS, Ledger, interval
from sqlalchemy import delete, select

from carbon.clock import FakeClock
from carbon.domain.civil import civil_days
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.services.context import Context
from carbon.services.rollup import rollup
from carbon.services.rollup.rollup import Pace, roll_up
from carbon.settings import Settings
from carbon.storage.dirty import count_dirty, mark_dirty, oldest_dirty, take_marks
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import reading, writing
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour
from carbon.storage.sealed_days import keep_buckets_from

#: The last half hour of a UTC day.
T = floor_to(NOON_MS, MS_PER_DAY) - 2 * QUARTER_MS
KATHMANDU = ZoneInfo("Asia/Kathmandu")
Row = tuple[Any, ...]
TABLES = (bucket, quarter_hour, workload_hour, workload_day)
STEP_MS = 60_000
#: Midnight there is 18:15 UTC.
ENDS_IN_KATHMANDU_MS = -6 * MS_PER_HOUR


class Stopped(Exception):
    pass


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    context_settings = Settings(
        data_dir=tmp_path, feeds=False, zone="DE", timezone="Asia/Kathmandu"
    )
    made = Ledger(Context(fresh_engine(), context_settings, FakeClock(NOON_MS)))
    yield made
    made.close()
    made.context.engine.dispose()


def sent(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Of three devices over an hour that two UTC days share, some of it held by a run."""
    found = []
    for _ in range(count):
        at = T + rng.randrange(60) * STEP_MS + rng.choice([0, ENDS_IN_KATHMANDU_MS])
        found.append(
            interval(
                at,
                at + rng.choice([1, 5, 20]) * STEP_MS,
                rng.choice([0, 1_000_003, 77]),
                f"gpu-{rng.randrange(3)}",
                workload=rng.choice("ab"),
                method=rng.choice(["counter", "modelled"]),
            )
        )
    return found


def rolled(ledger: Ledger) -> list[list[tuple[Any, ...]]]:
    with reading(ledger.context.engine) as connection:
        return [sorted(map(tuple, connection.execute(select(table)))) for table in TABLES]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(st.randoms(use_true_random=False))
def test_any_cut_and_any_stop_come_to_the_same(ledger: Ledger, rng: random.Random) -> None:
    ledger.forget(TABLES)
    ledger.send(sent(rng, rng.randrange(1, 12)))
    rests, stop_at, late = [], rng.randrange(12), sent(rng, 3)

    def rest(_: float) -> None:
        rests.append(1)
        if len(rests) == stop_at // 2:
            ledger.send(late)  # its buckets may be on their way
        if len(rests) == stop_at:
            raise Stopped

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pace, "took", lambda self, *_: setattr(self, "size", rng.randrange(1, 5)))
        for pause in (rest, lambda _: None):
            with contextlib.suppress(Stopped):
                roll_up(ledger.context, pause=pause, at_once=lambda: rng.randrange(1, 9))
    piecemeal = rolled(ledger)
    ledger.forget(TABLES)
    roll_up(ledger.context)
    assert rolled(ledger) == piecemeal
    assert_sums(*piecemeal)


def assert_sums(buckets: list[Row], quarters: list[Row], hours: list[Row], days: list[Row]) -> None:
    """Each from the finer ones; the days are Kathmandu's, which end within an hour."""
    assert summed(buckets, QUARTER_MS, 3, 5) == summed(quarters, QUARTER_MS, 3, 6)
    assert summed(quarters, 4 * QUARTER_MS, 3, 6) == summed(hours, 4 * QUARTER_MS, 1, 5)
    of_days: Counter[tuple[int, int]] = Counter()
    for row in quarters:
        [(day_ms, _)] = civil_days(row[0], row[0] + QUARTER_MS, KATHMANDU)
        of_days[day_ms, row[3]] += row[6]
    assert of_days == summed(days, 1, 1, 5)


def summed(rows: list[Row], step_ms: int, workload: int, energy: int) -> Counter[tuple[int, int]]:
    sums: Counter[tuple[int, int]] = Counter()
    for row in rows:
        sums[floor_to(row[0], step_ms), row[workload]] += row[energy]
    return sums


def test_a_pass_is_of_one_day_and_of_whole_quarter_hours(ledger: Ledger) -> None:
    day = T + 2 * QUARTER_MS
    marks = [(T + n * BUCKET_MS, device) for n in range(12) for device in (1, 2)]
    with writing(ledger.context.engine) as connection:
        mark_dirty(connection, marks)

    def starts(most: int, end_ms: int | None = None) -> list[tuple[int, int]]:
        with reading(ledger.context.engine) as connection:
            found = oldest_dirty(connection, most, end_ms)
        return list(zip(found.start_ms.tolist(), found.device.tolist(), strict=True))

    first = [(T + n * BUCKET_MS, device) for device in (1, 2) for n in range(3)]
    assert starts(6) == starts(11) == first
    assert starts(100)[:6] == first
    assert sorted(starts(100)) == [pair for pair in marks if pair[0] < day]
    assert starts(4) == [*first[:4]]  # more devices than a pass takes: some of them
    assert starts(100, T + BUCKET_MS) == [(T, 1), (T, 2)]
    assert starts(100, T) == []


def test_marks_that_changed_are_left(ledger: Ledger) -> None:
    with writing(ledger.context.engine) as connection:
        mark_dirty(connection, [(T, 1), (T, 2), (T + BUCKET_MS, 1)])
        seen = oldest_dirty(connection, 100)
        connection.execute(
            dirty_bucket.update().where(dirty_bucket.c.device_id == 2).values(marks=7)
        )
        assert take_marks(connection, seen).tolist() == [True, True, False]
        assert count_dirty(connection) == 1
        assert not take_marks(connection, seen).any()


def test_where_buckets_are_gone_a_late_row_changes_its_own_and_the_quarter_hour_stays_whole(
    ledger: Ledger,
) -> None:
    ledger.send([interval(T, T + QUARTER_MS, 9_000, workload="a")])
    roll_up(ledger.context)
    with writing(ledger.context.engine) as connection:
        keep_buckets_from(connection, T + QUARTER_MS)
        connection.execute(delete(bucket))
    ledger.send([interval(T + BUCKET_MS, T + BUCKET_MS + STEP_MS, 1_000, workload="b")])
    roll_up(ledger.context)
    _, quarters, hours, _ = rolled(ledger)
    # Of the minute that was read finer that reading alone counts: 600 of the 9 000 are void.
    assert sum(row[6] for row in quarters) == 9_000 - 600 + 1_000
    assert sum(row[5] for row in hours) == 9_000 - 600 + 1_000


def test_a_bucket_that_changed_while_it_was_computed_is_not_set(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.send([interval(at, at + STEP_MS, 5) for at in (T, T + BUCKET_MS)])
    computed = rollup._stored_ratings

    def late(*asked: Any) -> Any:
        monkeypatch.undo()
        ledger.send([interval(T + STEP_MS, T + 2 * STEP_MS, 1)])
        return computed(*asked)

    monkeypatch.setattr(rollup, "_stored_ratings", late)
    roll_up(ledger.context, most=1)
    assert [(row[0], row[5]) for row in rolled(ledger)[0]] == [(T + BUCKET_MS, 5)]
    roll_up(ledger.context)
    assert sorted((row[0], row[5]) for row in rolled(ledger)[0]) == [(T, 6), (T + BUCKET_MS, 5)]


@pytest.mark.parametrize("first", [8, 64])
@given(st.floats(0.000_02, 0.002))
def test_a_pace_finds_how_many_take_a_few_milliseconds(first: int, one_s: float) -> None:
    pace = Pace(first)
    for _ in range(60):
        pace.took(pace.size, pace.size * one_s)
    assert pace.size == first // 4 or 0.001 < pace.size * one_s < 0.004
