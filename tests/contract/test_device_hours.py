"""Hours by device say what their quarter-hours say, and are what the ends of a window read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Engine, delete, func, select, update

from carbon.clock import FakeClock
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.storage.engine import reading, writing
from carbon.storage.period_changes import note_changes
from carbon.storage.rollups import mark_hours, quarter_hour, workload_hour
from carbon.storage.settled import (
    HOURS,
    device_hour,
    dirty_period,
    mark_periods,
    pieces_between,
    settled_in,
)

#: 2026-01-30 00:00 UTC.
T = 1_769_731_200_000
DAYS = 2
END = T + DAYS * MS_PER_DAY
NOW = END + 9 * MS_PER_HOUR
_KEYS = ("workload_id", "device_id", "subject_id", "method", "rating_id")
_MEASURES = ("energy_mj", "operational_ng", "covered_ms", "reserved_ms")


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    yield from _filled(new_context(memory), "Europe/Berlin", seed=1)


@pytest.fixture
def on_either(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """Of a time zone whose days begin at no full hour."""
    yield from _filled(new_context(engine), "Asia/Kathmandu", seed=2)


def _filled(context: Context, timezone: str, seed: int) -> Iterator[Ledger]:
    settings = context.settings.model_copy(update={"timezone": timezone})
    made = Ledger(Context(context.engine, settings, FakeClock(NOW)))
    _fill(made, random.Random(seed))
    roll_up(made.context)
    settle(made.context)
    yield made
    made.close()


def _fill(ledger: Ledger, rng: random.Random) -> None:
    """Three devices in two zones, now and then read, by whom chance says; held by others."""
    ledger.intensity(T, [rng.uniform(50, 500) for _ in range(DAYS * 24)])
    for n, zone in enumerate((None, None, "FR")):
        starts = sorted(rng.sample(range(T, NOW - MS_PER_HOUR, QUARTER_MS), 14))
        rows = [
            interval(
                at + 1_000 * rng.randrange(60),
                at + 60_000 + 1_000 * rng.randrange(700),
                rng.randrange(1, 10**7),
                f"gpu-{n}",
                workload=rng.choice(["a", "b", None]),
                method=rng.choice(["counter", "counter", "modelled"]),
            )
            for at in starts
        ]
        held = [
            {"device": f"gpu-{n}", "workload": "b", "start_ms": at, "end_ms": at + 5_000_000}
            for at in starts[::4]
        ]
        for row in held:
            row["share_ppm"] = 400_000
        where = {} if zone is None else {"zone": zone}
        ledger.send(rows, host=f"host-{n % 2}", reservations=held, **where)
    counted = {"workload": "a", "unit": "token", "source": "s"}
    ledger.count(
        [
            {**counted, "start_ms": at, "end_ms": at + 500_000, "count": rng.randrange(1000)}
            for at in range(T, NOW - MS_PER_HOUR, 5 * MS_PER_HOUR)
        ]
    )


def _windows(rng: random.Random, count: int) -> list[tuple[int, int]]:
    """Of any alignment, and some that begin and end at full hours."""
    found = [(T + MS_PER_HOUR, T + 5 * MS_PER_HOUR), (T, NOW)]
    for number in range(count):
        step = MS_PER_HOUR if number % 3 == 0 else 1_000
        lo, hi = sorted(rng.sample(range(T, NOW, step), 2))
        found.append((lo, hi))
    return found


def _told(ledger: Ledger, start_ms: int, end_ms: int) -> list[Any]:
    """All that reports say of a window."""
    answers: list[Any] = [
        sci_series(
            ledger.context, ADMIN, SeriesQuestion(parse_group_by(by), start_ms, end_ms, step)
        )
        for by, step in (("workload", None), ("zone,device", "2h"), ("team", "day"))
    ]
    for name, unit in (("a", "token"), ("b", "device_hour")):
        answers.append(ledger.sci(name, start_ms=start_ms, end_ms=end_ms, unit=unit))
    return answers


def _tables(ledger: Ledger, start_ms: int, end_ms: int) -> set[str]:
    timezone = ZoneInfo(ledger.context.settings.timezone)
    with reading(ledger.context.engine) as connection:
        return {p[0].name for p in pieces_between(connection, start_ms, end_ms, timezone)}


def _hours(ledger: Ledger) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """As they stand, and as their quarter-hours say."""
    q, h = quarter_hour.c, device_hour.c
    hour = q.start_ms - q.start_ms % MS_PER_HOUR
    keys = [q[name] for name in _KEYS]
    sums = [func.sum(q[name]) for name in _MEASURES]
    with reading(ledger.context.engine) as connection:
        stand = connection.execute(select(h.start_ms, *(h[n] for n in (*_KEYS, *_MEASURES))))
        meant = connection.execute(select(hour, *keys, *sums).group_by(hour, *keys))
        return sorted(map(tuple, stand)), sorted(tuple(map(int, row)) for row in meant)


@pytest.mark.parametrize("seed", range(2))
def test_every_window_is_told_as_from_quarter_hours(ledger: Ledger, seed: int) -> None:
    windows = _windows(random.Random(seed), 6)
    told = [_told(ledger, *window) for window in windows]
    with writing(ledger.context.engine) as connection:
        kept = connection.execute(select(settled_in)).one()
        connection.execute(delete(settled_in))
    assert _tables(ledger, *windows[0]) == {"quarter_hour"}
    assert [_told(ledger, *window) for window in windows] == told
    with writing(ledger.context.engine) as connection:
        connection.execute(settled_in.insert().values(**kept._mapping))
    assert "device_hour" in _tables(ledger, *windows[0])


def test_a_first_day_that_is_cut_may_be_the_shorter_of_two(ledger: Ledger) -> None:
    """Two steps begin one width apart, whatever the second one's own width: its rows were counted
    in a third, which is none."""
    asked = SeriesQuestion((), T + 20 * MS_PER_HOUR, T + 44 * MS_PER_HOUR, "day")
    told = sci_series(ledger.context, ADMIN, asked).total
    alone = [
        sci_series(ledger.context, ADMIN, SeriesQuestion((), lo, hi)).total[0].energy_mj
        for lo, hi in (
            (T + 20 * MS_PER_HOUR, T + 23 * MS_PER_HOUR),
            (T + 23 * MS_PER_HOUR, T + 44 * MS_PER_HOUR),
        )
    ]
    assert [point.energy_mj for point in told] == alone


def test_on_either_store_hours_are_their_quarter_hours(on_either: Ledger) -> None:
    stand, meant = _hours(on_either)
    assert stand == meant != []
    window = (T + MS_PER_HOUR + QUARTER_MS, END - 5 * QUARTER_MS)
    told = _told(on_either, *window)
    assert "device_hour" in _tables(on_either, *window)
    with writing(on_either.context.engine) as connection:
        connection.execute(delete(settled_in))
    assert _told(on_either, *window) == told


def test_adjoining_windows_sum_to_the_window_that_they_make(ledger: Ledger) -> None:
    rng = random.Random(3)
    marks = [T, *sorted(rng.sample(range(T, NOW, QUARTER_MS), 5)), NOW]

    def energy_mj(lo: int, hi: int) -> int:
        [point] = sci_series(ledger.context, ADMIN, SeriesQuestion((), lo, hi)).total
        return point.energy_mj

    parts = [energy_mj(*pair) for pair in pairwise(marks)]
    assert sum(parts) == energy_mj(T, NOW) > 0


def test_a_late_row_is_in_the_hour_at_once(ledger: Ledger) -> None:
    window = (T + MS_PER_HOUR, T + 5 * MS_PER_HOUR)
    before = ledger.sci("a", start_ms=window[0], end_ms=window[1], unit="token").energy_mj
    at = T + 2 * MS_PER_HOUR
    ledger.send([interval(at, at + 10_000, 555, "gpu-9", workload="a")])
    roll_up(ledger.context)
    after = ledger.sci("a", start_ms=window[0], end_ms=window[1], unit="token").energy_mj
    assert after == before + 555
    stand, meant = _hours(ledger)
    assert stand == meant


def test_hours_are_what_is_read(ledger: Ledger) -> None:
    """Else the tests above would prove nothing."""
    window = (T + MS_PER_HOUR, T + 7 * MS_PER_HOUR)
    before = _told(ledger, *window)
    with writing(ledger.context.engine) as connection:
        connection.execute(update(device_hour).values(energy_mj=device_hour.c.energy_mj + 1))
        note_changes(connection, device_hour, range(T, NOW, MS_PER_HOUR))
    assert _told(ledger, *window)[0].total[0].energy_mj > before[0].total[0].energy_mj


def test_an_hour_that_is_behind_is_read_from_its_quarter_hours(ledger: Ledger) -> None:
    timezone = ZoneInfo(ledger.context.settings.timezone)
    with writing(ledger.context.engine) as connection:
        mark_hours(connection, [(T + 2 * MS_PER_HOUR, 1)], NOW)
        window = (T + MS_PER_HOUR, T + 4 * MS_PER_HOUR)
        for workload, behind in ((None, True), (1, True), (2, False)):
            pieces = pieces_between(connection, *window, timezone, workload)
            names = [(table.name, (lo - T) // MS_PER_HOUR) for table, lo, _ in pieces]
            whole = [("device_hour", 1)]
            split = [("device_hour", 1), ("quarter_hour", 2), ("device_hour", 3)]
            assert names == (split if behind else whole)


def test_pieces_make_up_any_window_once_and_in_order(ledger: Ledger) -> None:
    timezone = ZoneInfo(ledger.context.settings.timezone)
    rng = random.Random(5)
    with writing(ledger.context.engine) as connection:
        behind = rng.sample(range(T, NOW - NOW % MS_PER_HOUR, MS_PER_HOUR), 5)
        mark_hours(connection, [(at, 1) for at in behind], NOW)
        for _ in range(50):
            lo, hi = sorted(rng.sample(range(T, END, QUARTER_MS), 2))
            pieces = pieces_between(connection, lo, hi, timezone)
            assert [pieces[0][1], *(piece[2] for piece in pieces)] == [
                *(piece[1] for piece in pieces),
                hi,
            ]
            assert pieces[0][1] == lo
            read = [at for t, a, b in pieces if t is device_hour for at in range(a, b, MS_PER_HOUR)]
            assert not set(read) & set(behind)
            assert all(at % MS_PER_HOUR == 0 for at in read)


def test_hours_of_a_marked_day_are_not_read_until_they_are_made_again(ledger: Ledger) -> None:
    window = (T + MS_PER_HOUR, T + 5 * MS_PER_HOUR)
    told = _told(ledger, *window)
    with writing(ledger.context.engine) as connection:
        connection.execute(update(device_hour).values(energy_mj=0))
        day = (T - MS_PER_HOUR, T + 23 * MS_PER_HOUR)  # of Berlin
        mark_periods(connection, HOURS, [(w, *day) for w in range(4)])
    assert _tables(ledger, *window) == {"quarter_hour"}
    assert _told(ledger, *window) == told
    settle(ledger.context)
    assert _tables(ledger, *window) == {"device_hour"}
    assert _told(ledger, *window) == told


def test_a_price_that_changes_later_is_in_the_hours(ledger: Ledger) -> None:
    """Far enough back to be priced in sets."""
    ledger.context.clock.advance(60 * 86_400)  # type: ignore[attr-defined]
    settle(ledger.context)
    ledger.intensity(T, [77.7 + 3 * n for n in range(DAYS * 24)])
    roll_up(ledger.context)
    window = (T + MS_PER_HOUR, T + 7 * MS_PER_HOUR)
    assert _tables(ledger, *window) == {"device_hour"}
    stand, meant = _hours(ledger)
    assert stand == meant
    told = _told(ledger, *window)
    settle(ledger.context)
    assert _hours(ledger) == (stand, meant)
    assert _told(ledger, *window) == told


def test_an_hour_of_workloads_is_that_of_their_devices(ledger: Ledger) -> None:
    def sums(table: Any) -> list[tuple[int, ...]]:
        t = table.c
        keys = (t.start_ms, t.workload_id, t.method, t.rating_id)
        query = select(*keys, *(func.sum(t[n]) for n in _MEASURES)).group_by(*keys)
        with reading(ledger.context.engine) as connection:
            return sorted(tuple(map(int, row)) for row in connection.execute(query))

    assert sums(workload_hour) == sums(device_hour) != []


def test_after_an_upgrade_hours_wait_for_replicas_that_know_none(ledger: Ledger) -> None:
    engine, clock = ledger.context.engine, ledger.context.clock
    window = (T + MS_PER_HOUR, T + 5 * MS_PER_HOUR)
    told = _told(ledger, *window)
    with writing(engine) as connection:
        connection.execute(update(settled_in).values(hours_from_ms=NOW + MS_PER_HOUR))
        connection.execute(delete(device_hour))
    settle(ledger.context)
    assert _tables(ledger, *window) == {"quarter_hour"}
    clock.advance(26 * 3_600)  # type: ignore[attr-defined]
    settle(ledger.context)
    assert _told(ledger, *window) == told
    assert _tables(ledger, *window) == {"device_hour"}
    with reading(engine) as connection:
        assert connection.scalar(select(settled_in.c.hours_from_ms)) == 0
        marks = select(func.count()).where(dirty_period.c.kind == HOURS)
        assert connection.scalar(marks) == 0
