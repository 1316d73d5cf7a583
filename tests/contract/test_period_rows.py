"""Rows in memory stand for what the database holds, whoever wrote it: answers are those of a
process that keeps nothing, and each period that is written says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Engine, insert, select, update

from carbon.clock import FakeClock
from carbon.domain.civil import civil_days
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.sci.time_range import TimeRange
from carbon.services.screens.breakdown import By, breakdown
from carbon.services.screens.quality import quality
from carbon.storage import period_rows as memory_of
from carbon.storage.device_sums import energy_by_device
from carbon.storage.engine import create_engine, is_in_memory, reading, writing
from carbon.storage.period_changes import KINDS, UNNUMBERED, note_changes, period_change
from carbon.storage.period_rows import COLUMNS, period_rows
from carbon.storage.period_sums import period_sums
from carbon.storage.rollups import workload_day, workload_hour
from carbon.storage.settled import Piece, device_hour, pieces_between

#: 2026-01-30 00:00 UTC; the window holds a whole month.
T = 1_769_731_200_000
END = T + 33 * MS_PER_DAY
NOW = END + 9 * MS_PER_HOUR
WINDOW = (T + 3 * QUARTER_MS, END + 5 * MS_PER_HOUR + QUARTER_MS)
TABLES = tuple(COLUMNS)


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    yield from _filled(new_context(memory), "Europe/Berlin")


@pytest.fixture
def on_either(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """Of a time zone whose days begin at no full hour."""
    yield from _filled(new_context(engine), "Asia/Kathmandu")


def _filled(context: Context, timezone: str) -> Iterator[Ledger]:
    settings = context.settings.model_copy(update={"timezone": timezone})
    made = Ledger(Context(context.engine, settings, FakeClock(NOW)))
    rng = random.Random(7)
    made.intensity(T, [rng.uniform(50, 500) for _ in range(34 * 24)])
    days = [0, 5, 20, 32, 33]
    made.send([_row(rng, T + day * MS_PER_DAY, n) for day in days for n in range(3)])
    roll_up(made.context)
    settle(made.context)
    yield made
    made.close()


def _row(rng: random.Random, day_ms: int, device: int) -> dict[str, Any]:
    at = day_ms + 60_000 * rng.randrange(300)
    workload, method = rng.choice(["a", "b", None]), rng.choice(["counter", "modelled"])
    energy_mj = rng.randrange(1, 10**7)
    return interval(at, at + 600_000, energy_mj, f"gpu-{device}", workload=workload, method=method)


def _told(context: Context) -> list[Any]:
    """Of the whole fleet: series by coarse steps and by such as hold hours alone, and pages."""
    zone = ZoneInfo(context.settings.timezone)
    days = civil_days(*WINDOW, zone)
    windows = [TimeRange(days[3][0], days[-1][0], ""), TimeRange(days[4][0], days[6][0], "")]
    return [
        *(
            sci_series(context, ADMIN, SeriesQuestion(parse_group_by(by), *WINDOW, step))
            for by, step in (("workload", None), ("zone,device", "month"), ("technique", "2h"))
        ),
        *(breakdown(context, ADMIN, window, By.WORKLOAD) for window in windows),
        quality(context, ADMIN, windows[0]),
    ]


def _told_anew(context: Context, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """By who keeps nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(memory_of, "_memories", WeakKeyDictionary())
        return _told(context)


def _late_rows(ledger: Ledger, rng: random.Random) -> None:
    day_ms = T + rng.randrange(33) * MS_PER_DAY
    ledger.send([_row(rng, day_ms, rng.randrange(3, 99))])


def _late_prices(ledger: Ledger, rng: random.Random) -> None:
    day_ms = T + rng.randrange(31) * MS_PER_DAY
    ledger.intensity(day_ms, [rng.uniform(50, 500) for _ in range(48)])


def _roll(ledger: Ledger, rng: random.Random) -> None:
    roll_up(ledger.context)


def _settle(ledger: Ledger, rng: random.Random) -> None:
    settle(ledger.context, rng.choice([1, 5, None]))


def _later(ledger: Ledger, rng: random.Random) -> None:
    """Far enough for prices to be applied in sets."""
    ledger.context.clock.advance(20 * 86_400)  # type: ignore[attr-defined]


def _moved(ledger: Ledger, rng: random.Random) -> None:
    zone = rng.choice(["Europe/Berlin", "Asia/Kathmandu", "America/New_York"])
    settings = ledger.context.settings.model_copy(update={"timezone": zone})
    ledger.context = Context(ledger.context.engine, settings, ledger.context.clock)
    settle(ledger.context)


_STEPS = (_late_rows, _late_prices, _roll, _settle, _later, _moved)


def _stand(engine: Engine) -> tuple[dict[Any, Any], dict[Any, int]]:
    """(kind, start_ms) → rows, and → number."""
    rows: dict[Any, Any] = {}
    with reading(engine) as connection:
        for table in TABLES:
            for row in sorted(map(tuple, connection.execute(select(table)))):
                rows.setdefault((KINDS[table.name], row[0]), []).append(row)
        c = period_change.c
        numbers = connection.execute(select(c.kind, c.start_ms, c.number)).all()
    return rows, {(kind, at): number for kind, at, number in numbers}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_written_answers_are_those_of_who_keeps_nothing(
    ledger: Ledger, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _drive(ledger, random.Random(seed), 6, monkeypatch)


def test_on_either_store_likewise(on_either: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _drive(on_either, random.Random(11), 0, monkeypatch)


def _drive(ledger: Ledger, rng: random.Random, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in [*_STEPS, *rng.choices(_STEPS, k=steps)]:
        rows, numbers = _stand(ledger.context.engine)
        step(ledger, rng)
        now_rows, now_numbers = _stand(ledger.context.engine)
        for period in rows.keys() | now_rows.keys():
            if rows.get(period) != now_rows.get(period):
                assert now_numbers[period] != numbers.get(period), (step.__name__, period)
        assert _told(ledger.context) == _told_anew(ledger.context, monkeypatch)


def test_what_another_process_writes_is_seen_at_once(on_either: Ledger) -> None:
    if is_in_memory(on_either.context.engine):
        pytest.skip("no other process reaches what lies in memory")
    url = on_either.context.engine.url.render_as_string(hide_password=False)
    other = create_engine(url)
    try:
        before = _told(on_either.context)
        with writing(other) as connection:
            for table in TABLES:
                connection.execute(update(table).values(energy_mj=table.c.energy_mj + 1))
                note_changes(connection, table, connection.scalars(select(table.c.start_ms)))
        after = _told(on_either.context)
        assert after[0].total[0].energy_mj > before[0].total[0].energy_mj
    finally:
        other.dispose()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of the database, by table and window."""
    found: list[str] = []
    read = memory_of.read_columns

    def noted(connection: Any, expressions: Any, source: str) -> Any:
        found.append(source)
        return read(connection, expressions, source)

    monkeypatch.setattr(memory_of, "read_columns", noted)
    return found


def test_only_what_was_written_is_read_again(ledger: Ledger, reads: list[str]) -> None:
    _told(ledger.context)
    assert {source.split()[0] for source in reads} == {t.name for t in TABLES}
    reads.clear()
    _told(ledger.context)
    assert reads == []
    at = T + 31 * MS_PER_DAY + 12 * MS_PER_HOUR
    ledger.send([interval(at, at + 10_000, 555, "gpu-9")])
    roll_up(ledger.context)
    _told(ledger.context)
    # The day is read from its hours until it is settled anew, and nothing else.
    day_ms = range(at - 13 * MS_PER_HOUR, at + 11 * MS_PER_HOUR)  # of Berlin
    read = [source.split() for source in reads if source.startswith("device")]
    assert read
    assert all(words[0] == "device_hour" and int(words[4]) in day_ms for words in read)
    reads.clear()
    _told(ledger.context)
    assert reads == []
    settle(ledger.context)
    _told(ledger.context)
    [day] = {source for source in reads if source.startswith("device")}
    assert day.startswith("device_day")


def test_nothing_is_kept_while_replicas_of_before_may_write(
    ledger: Ledger, reads: list[str]
) -> None:
    row = {"kind": UNNUMBERED, "start_ms": NOW + MS_PER_HOUR, "number": 0}
    with writing(ledger.context.engine) as connection:
        connection.execute(insert(period_change).values(**row))
    told = _told(ledger.context)
    settle(ledger.context)
    reads.clear()
    assert _told(ledger.context) == told
    assert reads
    ledger.context.clock.advance(3_601)  # type: ignore[attr-defined]
    settle(ledger.context)
    _told(ledger.context)
    reads.clear()
    assert _told(ledger.context) == told
    assert reads == []


def test_what_is_kept_is_bounded(
    ledger: Ledger, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _told(ledger.context)
    memory = memory_of._memories[ledger.context.engine]
    assert 0 < memory._bytes == sum(held.size for held in memory._held.values())
    for most in (0, 600, 3_000):
        monkeypatch.setattr(memory_of, "MOST_BYTES", most)
        monkeypatch.setattr(memory_of, "_memories", WeakKeyDictionary())
        for _ in range(2):
            assert _told(ledger.context) == told
            memory = memory_of._memories[ledger.context.engine]
            assert memory._bytes == sum(held.size for held in memory._held.values()) <= most
        reads.clear()
        assert _told(ledger.context) == told
        assert reads


def test_what_was_longest_not_asked_for_goes_first(
    ledger: Ledger, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing goes for what is asked for with it."""
    first, second, third = [
        (device_hour, T + n * MS_PER_HOUR, T + (n + 1) * MS_PER_HOUR) for n in range(3)
    ]

    def is_read(*pieces: Piece) -> bool:
        reads.clear()
        with reading(ledger.context.engine) as connection:
            period_rows(connection, pieces, ZoneInfo("UTC"))
        return bool(reads)

    is_read(first, second, third)
    memory = memory_of._memories[ledger.context.engine]
    monkeypatch.setattr(memory_of, "MOST_BYTES", memory._bytes - 1)
    monkeypatch.setattr(memory_of, "_memories", WeakKeyDictionary())
    is_read(first)
    is_read(second)
    assert not is_read(first)
    assert is_read(third)
    assert not is_read(first, third)
    assert is_read(first, second, third)
    assert not is_read(first, third)


def test_columns_are_the_rows_of_the_tables(ledger: Ledger) -> None:
    zone = ZoneInfo(ledger.context.settings.timezone)
    with reading(ledger.context.engine) as connection:
        pieces = [p for p in pieces_between(connection, *WINDOW, zone) if p[0] in COLUMNS]
        pieces += [(workload_hour, *WINDOW), (workload_day, *WINDOW)]
        seen: set[Any] = set()
        for piece in pieces:
            table, lo, hi = piece
            found = period_rows(connection, [piece], zone)
            assert [at for at, _ in found] == sorted({at for at, _ in found})
            t = table.c
            query = select(t.start_ms, *(t[name] for name in COLUMNS[table]))
            inside = query.where(t.start_ms >= lo, t.start_ms < hi)
            meant = sorted(map(tuple, connection.execute(inside)))
            stand = [(at, *row) for at, rows in found for row in rows.T.tolist()]
            assert sorted(stand) == meant
            seen.add(table if meant else None)
            assert all(not rows.flags.writeable and rows.dtype == np.int64 for _, rows in found)
        assert seen >= set(TABLES)


def test_energy_of_devices_is_that_of_all_workloads(ledger: Ledger) -> None:
    zone = ZoneInfo(ledger.context.settings.timezone)
    with reading(ledger.context.engine) as connection:
        pieces = pieces_between(connection, *WINDOW, zone)
        assert {piece[0] for piece in pieces} > {device_hour}
        found = energy_by_device(connection, pieces, zone, None)
        assert found == energy_by_device(connection, pieces, zone, range(9))
        assert sum(found.values()) > 0
        assert energy_by_device(connection, [], zone, None) == {}


@pytest.mark.parametrize("is_daily", [False, True])
def test_sums_of_all_are_those_of_each_workload(ledger: Ledger, is_daily: bool) -> None:
    """Those of some workloads are summed by the database."""
    zone = ZoneInfo(ledger.context.settings.timezone)
    days = civil_days(*WINDOW, zone)
    span = (days[1][0], days[-1][0], 7 * MS_PER_DAY)
    with reading(ledger.context.engine) as connection:
        whole = period_sums(connection, *span, zone, is_daily, None)
        assert len(set(whole.workload.tolist())) > 2
        for some in ([0], [1], [0, 1, 2], []):
            of_some = period_sums(connection, *span, zone, is_daily, some)
            where = np.isin(whole.workload, some)
            for all_of, own in zip(vars(whole).values(), vars(of_some).values(), strict=True):
                assert all_of[where].tolist() == own.tolist()
