"""`carbon bench restate`: a year of quarter-hours priced anew after a revision, how long the
database was locked for it at most, and the raw driver setting the same rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.generated.fleet import SITES, Fleet
from carbon.bench.generated.year import Year
from carbon.bench.kept_year import few, size_of
from carbon.bench.ledger import Place, Steps, generated_year, of_databases
from carbon.bench.raw_driver import raw_rate
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS
from carbon.services.grid.intensity import store_vintage
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.storage.engine import reading
from carbon.storage.intensity import intensity_vintage
from carbon.storage.rollups import quarter_hour

#: A year's worth at the rate measured is what is compared.
_TARGET_ROWS = 35_040_000
_TARGET_S = 60.0
_TARGET_LOCK_MS = 20.0
#: Days that lie behind the hot ones, which are rolled up from readings instead.
_DAYS, _QUICK_DAYS, _HOT_DAYS = 365, 20, 2
#: Of the raw driver: the quarter-hours of so many days, some in a transaction as the service does.
_RAW_DAYS = 10
_QUARTERS_AT_ONCE = 5


def measure(options: Options) -> list[Figure]:
    """The full size takes 6 to 10 minutes a database on 2 cores, one to three where `--data`
    names what `carbon bench query` kept; `--quick` about one. `--part sqlite` and `--part
    postgresql` run one of the two."""
    days = _QUICK_DAYS if options.quick else _DAYS
    return of_databases(options, lambda place: _measure(place, options, days))


@contextmanager
def _year(place: Place, options: Options, days: int, steps: Steps) -> Iterator[Year]:
    if place.is_kept:
        with few(place, size_of(options), steps) as year:
            yield year
        return
    with generated_year(place.url, Fleet(), days + _HOT_DAYS, 0, _HOT_DAYS) as year:
        steps.done("load the roll-ups")
        yield year


def _measure(place: Place, options: Options, days: int) -> list[Figure]:
    steps, name = Steps(place.name), place.name
    with _year(place, options, days, steps) as year:
        held_s: list[float] = []
        began_ms, began = year.context.clock.now_ms(), time.perf_counter()
        _revise(year)
        stored_s = time.perf_counter() - began
        roll_up(year.context, pause=held_s.append)
        settle(year.context)
        took_s = time.perf_counter() - began
        steps.done("price them anew")
        rows = _priced_since(year, began_ms)
        raw = raw_rate(year.context.engine, _raw_updates(year), _QUARTERS_AT_ONCE)
        steps.done("set some of them by the raw driver")
    # A shorter time is compared by what a year of it would take.
    year_s = took_s * _TARGET_ROWS / rows
    note = (
        f"{rows:,} rows in {took_s:.1f} s, every hour of every zone before the hot days revised, "
        "sums above with them"
    )
    figures = [
        at_most(f"{name}: price 35 M rows anew", year_s, "s", _TARGET_S, note),
        reported(f"{name}: rate", rows / took_s, "rows/s"),
        reported(f"{name}: raw driver, UPDATE of the same quarter-hours", raw, "rows/s"),
        reported(
            f"{name}: share of the raw driver", rows / took_s / raw, "1", "rows alone, no sums"
        ),
        reported(f"{name}: of which storing the revision", stored_s, "s"),
    ]
    longest_ms = max(held_s) * 1000
    lock = f"{name}: longest transaction that writes"
    if name == "SQLite":
        figures.append(at_most(lock, longest_ms, "ms", _TARGET_LOCK_MS, "its lock is held for it"))
    else:
        figures.append(reported(lock, longest_ms, "ms", "locks rows, not the database"))
    within_ms = sorted(held_s)[int(len(held_s) * 0.999)] * 1000
    told = f"{sum(s * 1000 > _TARGET_LOCK_MS for s in held_s)} of {len(held_s):,} took over 20 ms"
    figures.append(reported(f"{name}: 99.9 % of its transactions within", within_ms, "ms", told))
    return [*figures, *steps.figures]


def _priced_since(year: Year, since_ms: int) -> int:
    q = quarter_hour.c
    with reading(year.context.engine) as connection:
        query = select(func.count()).select_from(quarter_hour).where(q.recorded_ms >= since_ms)
        return connection.scalar(query) or 1


def _raw_updates(year: Year) -> list[str]:
    first_ms = year.end_ms - year.days * MS_PER_DAY
    starts = range(first_ms, first_ms + min(_RAW_DAYS, year.days) * MS_PER_DAY, QUARTER_MS)
    return [
        "UPDATE quarter_hour SET operational_ng = energy_mj / 3, recorded_ms = recorded_ms + 1 "
        f"WHERE start_ms = {at}"
        for at in starts
    ]


def _revise(year: Year) -> None:
    """Every hour before the hot days a little dirtier than it was said to be, as by a source that
    corrects its year."""
    first_ms = year.end_ms - year.days * MS_PER_DAY
    published = intensity_vintage.c.published_ms
    with reading(year.context.engine) as connection:
        number = (connection.scalar(select(func.max(published))) or 0) - year.end_ms + 1
    for zone, _ in SITES:
        points = tuple(
            IntensityPoint(at, at + MS_PER_HOUR, g_per_kwh + 3.7 * number)
            for day in range(year.days)
            for hour, g_per_kwh in enumerate(year.fleet.g_per_kwh(zone, day).tolist())
            for at in [first_ms + day * MS_PER_DAY + hour * MS_PER_HOUR]
            if at < year.context.hot_from_ms
        )
        told = (Signal.AVERAGE, EmissionScope.LIFECYCLE, year.end_ms + number, points)
        store_vintage(year.context, Vintage(zone, "generated", *told))
