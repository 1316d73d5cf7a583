"""Prices that change later say what they would have said at once, on every store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Connection, Engine, delete, event, select
from stores import migrate

from carbon.clock import FakeClock
from carbon.errors import Unavailable
from carbon.services.context import Context
from carbon.services.fleet.hosts import HostTimes, record_host
from carbon.services.rollup import repricing
from carbon.services.rollup.beside import Beside
from carbon.services.rollup.day_prices import day_prices
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import create_engine, memory_engine, reading, writing
from carbon.storage.migrations import upgrade
from carbon.storage.ratings import ratings
from carbon.storage.repricing import dirty_price, mark_price
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour
from carbon.storage.settled import device_day, device_hour, device_month
from carbon.wire.hosts import HostBody

HOUR = 3_600_000
DAY = 24 * HOUR
#: 2026-01-31 00:00 UTC.
T = 1_769_817_600_000
NOW = T + 60 * DAY
TABLES = (
    *(bucket, quarter_hour, workload_hour, workload_day),
    *(device_hour, device_day, device_month),
)
FIRST = [101.3 + n * 1.7 for n in range(3 * 24)]
REVISED = [88.8 + n * 2.3 for n in range(3 * 24)]


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = _ledger(new_context(engine))
    yield made
    made.close()


@pytest.fixture
def told_at_once(new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    store = memory_engine()
    upgrade(store)
    made = _ledger(new_context(store))
    yield made
    made.close()


def _ledger(context: Context) -> Ledger:
    settings = context.settings.model_copy(update={"timezone": "Asia/Kathmandu"})
    return Ledger(Context(context.engine, settings, FakeClock(NOW)))


def fill(ledger: Ledger) -> None:
    """Two days, three devices of two hosts, one of them in France."""
    for n, zone in enumerate((None, None, "FR")):
        ledger.send(
            [
                interval(at, at + 610_000, 12_345_677 + 31 * hour * (n + 1), f"gpu-{n}", workload=w)
                for hour, w in enumerate(("a", "b", "a", "a"))
                for at in [T + hour * 13 * HOUR + 7 * n]
            ],
            host=f"host-{n % 2}",
            **({} if zone is None else {"zone": zone}),
        )
    roll_up(ledger.context)
    settle(ledger.context)


def rolled(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """All roll-ups, by what they say: ratings by name, without when and from which vintage."""
    roll_up(ledger.context)
    settle(ledger.context)
    found = {}
    with reading(ledger.context.engine) as connection:
        names = ratings(connection)
        for table in TABLES:
            rows = [
                tuple(
                    str(names[value]) if column.name == "rating_id" else value
                    for column, value in zip(table.c, row, strict=True)
                    if column.name not in ("recorded_ms", "vintage_id")
                )
                for row in connection.execute(select(table))
            ]
            found[table.name] = sorted(rows)
    return found


def assert_priced_in_sets(ledger: Ledger) -> None:
    with reading(ledger.context.engine) as connection:
        assert connection.execute(select(dirty_price)).first()
        assert not connection.execute(select(dirty_bucket)).first()


def test_a_revision_prices_as_if_it_had_been_there(ledger: Ledger, told_at_once: Ledger) -> None:
    ledger.intensity(T, FIRST, published_ms=T)
    fill(ledger)
    before = rolled(ledger)
    ledger.intensity(T + HOUR, REVISED, published_ms=T + 1)
    assert_priced_in_sets(ledger)
    told_at_once.intensity(T, FIRST, published_ms=T)
    told_at_once.intensity(T + HOUR, REVISED, published_ms=T + 1)
    fill(told_at_once)
    assert rolled(ledger) == rolled(told_at_once) != before
    with reading(ledger.context.engine) as connection:
        assert not connection.execute(select(dirty_price)).first()


def test_a_feed_that_comes_late_replaces_the_yearly_figure(
    ledger: Ledger, told_at_once: Ledger
) -> None:
    fill(ledger)
    ledger.intensity(T, REVISED)
    assert_priced_in_sets(ledger)
    told_at_once.intensity(T, REVISED)
    fill(told_at_once)
    assert rolled(ledger) == rolled(told_at_once)


def test_a_pue_that_is_told_later(ledger: Ledger, told_at_once: Ledger) -> None:
    pue = HostBody("host-0", pue=1.31)
    fill(ledger)
    record_host(ledger.context, pue, HostTimes(T + 20 * HOUR))
    record_host(told_at_once.context, pue, HostTimes(T + 20 * HOUR))
    fill(told_at_once)
    assert rolled(ledger) == rolled(told_at_once)


@pytest.mark.parametrize("first", [FIRST, None])
def test_quarter_hours_alone_are_enough(
    ledger: Ledger, told_at_once: Ledger, first: list[float] | None
) -> None:
    """After 90 days the buckets are gone: each quarter-hour is rounded once instead of thrice."""
    for one in (ledger, told_at_once):
        if first:
            one.intensity(T, first, published_ms=T)
    fill(ledger)
    with writing(ledger.context.engine) as connection:
        connection.execute(delete(bucket))
    ledger.intensity(T, REVISED, published_ms=T + 1)
    told_at_once.intensity(T, REVISED, published_ms=T + 1)
    fill(told_at_once)
    got, expected = rolled(ledger), rolled(told_at_once)
    for table, off in ((quarter_hour, 2), (workload_day, 20), (device_month, 20)):
        place = [c.name for c in table.c if c.name != "vintage_id"].index("operational_ng")
        for row, other in zip(got[table.name], expected[table.name], strict=True):
            assert row[:place] + row[place + 1 :] == other[:place] + other[place + 1 :]
            assert abs(row[place] - other[place]) <= off
    for table in TABLES[2:]:
        place = [c.name for c in table.c].index("operational_ng")
        assert sum(row[place] for row in got[table.name]) == sum(
            row[[c.name for c in quarter_hour.c].index("operational_ng")]
            for row in got["quarter_hour"]
        )


def test_another_revision_while_one_is_priced_is_not_lost(ledger: Ledger) -> None:
    ledger.intensity(T, FIRST, published_ms=T)
    fill(ledger)
    ledger.intensity(T, REVISED, published_ms=T + 1)
    paused = []

    def revise_once_more(_took_s: float) -> None:
        if not paused:
            paused.append(1)
            ledger.intensity(T, FIRST, published_ms=T + 2)

    roll_up(ledger.context, pause=revise_once_more)
    after = ledger.sci("a", start_ms=T, end_ms=T + 3 * DAY, principal=ADMIN)
    ledger.intensity(T, FIRST, published_ms=T + 3)
    assert ledger.sci("a", start_ms=T, end_ms=T + 3 * DAY).operational_g == after.operational_g


def test_hosts_of_one_zone_that_differ_in_pue_are_priced_each_by_its_own(
    ledger: Ledger, told_at_once: Ledger
) -> None:
    """One rating with two prices: no statement for the rating is right for both."""
    for one in (ledger, told_at_once):
        for host, pue in (("host-0", 1.31), ("host-1", 1.07)):
            record_host(one.context, HostBody(host, zone="DE", pue=pue), HostTimes(T - DAY))
    ledger.intensity(T, FIRST, published_ms=T)
    fill(ledger)
    ledger.intensity(T, REVISED, published_ms=T + 1)
    assert_priced_in_sets(ledger)
    told_at_once.intensity(T, FIRST, published_ms=T)
    told_at_once.intensity(T, REVISED, published_ms=T + 1)
    fill(told_at_once)
    assert rolled(ledger) == rolled(told_at_once)


def test_sums_that_lack_a_row_are_made_anew(ledger: Ledger, told_at_once: Ledger) -> None:
    for one in (ledger, told_at_once):
        one.intensity(T, FIRST, published_ms=T)
        fill(one)
    with writing(ledger.context.engine) as connection:
        connection.execute(delete(workload_hour).where(workload_hour.c.start_ms < T + DAY))
        connection.execute(delete(device_day))
    for one in (ledger, told_at_once):
        one.intensity(T, REVISED, published_ms=T + 1)
    assert rolled(ledger) == rolled(told_at_once)


def test_many_days_are_priced_by_a_process_beside_the_one_that_writes(
    tmp_path: Path,
    new_context: Callable[[Engine], Context],
    told_at_once: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carbon.services.rollup.repricing._MANY_DAYS", 2)
    store = migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}"))
    ledger = _ledger(new_context(store))
    for one in (ledger, told_at_once):
        one.intensity(T, FIRST, published_ms=T)
        fill(one)
        one.intensity(T, REVISED, published_ms=T + 1)
    assert_priced_in_sets(ledger)
    assert rolled(ledger) == rolled(told_at_once)
    ledger.close()


def test_what_the_process_raises_is_raised_here_and_its_death_is_told(
    tmp_path: Path, new_context: Callable[[Engine], Context]
) -> None:
    context = new_context(migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")))
    with Beside(context, day_prices) as process:
        process.ask([], T, T + DAY)
        assert process.answer().quarters == []
        with writing(context.engine) as connection:
            connection.exec_driver_sql("DROP TABLE bucket")
        process.ask([], T, T + DAY)
        with pytest.raises(OperationalError, match="no such table"):
            process.answer()
        process._process.kill()
        with pytest.raises(Unavailable) as error:
            process.answer()
    assert error.value.code == "process_ended"
    context.engine.dispose()


@pytest.mark.parametrize("most", ["_LOCK_S", "_LOCK_BY_CLOCK_S"])
def test_a_transaction_that_is_long_by_either_clock_takes_one_step_and_no_further(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    ledger.intensity(T, FIRST, published_ms=T)
    fill(ledger)
    turns: dict[float, list[float]] = {1e9: [], 0.0: []}
    for name in ("_LOCK_S", "_LOCK_BY_CLOCK_S"):
        monkeypatch.setattr(repricing, name, 1e9)
    for limit, held in turns.items():
        monkeypatch.setattr(repricing, most, limit)
        with writing(ledger.context.engine) as connection:
            mark_price(connection, "", T, T + 3 * DAY)
        assert repricing.reprice(ledger.context, pause=held.append)
    assert len(turns[1e9]) < len(turns[0.0])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_revised_costs_what_it_would_have_cost_at_once(
    ledger: Ledger, told_at_once: Ledger, seed: int
) -> None:
    """Zones, hours and PUE of any kind, and devices that change hands."""
    drawn = random.Random(seed)
    sent = [
        (
            [interval(at, at + drawn.choice((300_000, 905_000)), mj, gpu, workload=workload)],
            {"host": host, **zone},
        )
        for gpu, host, zone in (
            ("gpu-0", "host-0", {}),
            ("gpu-1", "host-1", {}),
            ("gpu-2", "host-0", {"zone": "FR"}),
        )
        for _ in range(12)
        for at, mj in [(T + drawn.randrange(40 * HOUR), drawn.randrange(10**9))]
        for workload in drawn.choice("ab")
    ]
    revised = [
        (zone, T + drawn.randrange(30) * HOUR, [drawn.uniform(1, 900) for _ in range(n)])
        for zone, n in (("DE", drawn.randrange(1, 60)), ("FR", drawn.randrange(1, 9)))
        if drawn.random() < 0.8
    ]
    pue = HostBody("host-1", pue=drawn.uniform(1, 2)), HostTimes(T + drawn.randrange(30) * HOUR)

    def send(one: Ledger) -> None:
        fill(one)
        for intervals, where in sent:
            one.send(intervals, **where)
        roll_up(one.context)
        settle(one.context)

    def revise(one: Ledger) -> None:
        for zone, start_ms, g_per_kwh in revised:
            one.intensity(start_ms, g_per_kwh, zone=zone, published_ms=T + 1)
        record_host(one.context, *pue)

    for one in (ledger, told_at_once):
        for zone in ("DE", "FR"):
            one.intensity(T, FIRST, zone=zone, published_ms=T)
    send(ledger)
    revise(ledger)
    revise(told_at_once)
    send(told_at_once)
    assert rolled(ledger) == rolled(told_at_once)


def test_one_that_is_ended_anywhere_and_begun_again_says_the_same(
    ledger: Ledger, told_at_once: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repricing, "_LOCK_S", 0.0)
    for one in (ledger, told_at_once):
        one.intensity(T, FIRST, published_ms=T)
        fill(one)
        one.intensity(T, REVISED, published_ms=T + 1)
    ends_after = 0
    while _ends(ledger.context, ends_after):
        ends_after = ends_after * 3 // 2 + 1
    assert ends_after > 10
    assert rolled(ledger) == rolled(told_at_once)


def test_what_a_crash_may_undo_is_done_before_its_mark_is_taken(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL waits for its disk once a day that is priced, and then for all of it."""
    if ledger.context.engine.dialect.name == "sqlite":
        pytest.skip("does not wait for the disk at all")
    waits = []

    def noting(name: str) -> None:
        made = getattr(repricing.store, name)

        def noted(connection: Connection, *given: Any, **named: Any) -> Any:
            waits.append((name, connection.exec_driver_sql("SHOW synchronous_commit").scalar()))
            return made(connection, *given, **named)

        monkeypatch.setattr(repricing.store, name, noted)

    ledger.intensity(T, FIRST, published_ms=T)
    fill(ledger)
    for name in ("price_ratings", "set_nanograms", "cut_marks"):
        noting(name)
    event.listen(ledger.context.engine, "connect", _wait_for_the_disk)
    ledger.context.engine.dispose()
    ledger.intensity(T, REVISED, published_ms=T + 1)
    roll_up(ledger.context)
    assert set(waits) == {("price_ratings", "off"), ("set_nanograms", "off"), ("cut_marks", "on")}


def _wait_for_the_disk(connection: Any, _record: object) -> None:
    """As a server does by default, if not that of the tests."""
    connection.execute("SET synchronous_commit = on")
    connection.commit()


class _Ended(Exception): ...


def _ends(context: Context, transactions: int) -> bool:
    """Prices all anew and ends after so many transactions; False where it needed no more."""
    left = iter(range(transactions))

    def pause(_took_s: float) -> None:
        if next(left, None) is None:
            raise _Ended

    with writing(context.engine) as connection:
        mark_price(connection, "", T, T + 3 * DAY)
    try:
        repricing.reprice(context, pause=pause)
    except _Ended:
        return True
    return False
