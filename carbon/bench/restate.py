"""`carbon bench restate`: a year of quarter-hours priced anew after a revision, and how long the
database was locked for it at most."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.generated.fleet import SITES
from carbon.bench.generated.year import Year
from carbon.bench.ledger import generated_year
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.services.intensity import store_vintage
from carbon.services.rollup import roll_up
from carbon.services.settling import settle
from carbon.storage.engine import reading
from carbon.storage.rollups import quarter_hour

#: A year's worth at the rate measured is what is compared.
_TARGET_ROWS = 35_040_000
_TARGET_S = 60.0
_TARGET_LOCK_MS = 20.0


def measure(options: Options) -> list[Figure]:
    with generated_year(options, 0) as year:
        with reading(year.context.engine) as connection:
            rows = connection.scalar(select(func.count()).select_from(quarter_hour)) or 0
        held_s: list[float] = []
        began = time.perf_counter()
        _revise(year)
        stored_s = time.perf_counter() - began
        roll_up(year.context, pause=held_s.append)
        settle(year.context)
        took_s = time.perf_counter() - began
        is_sqlite = year.context.engine.dialect.name == "sqlite"
    note = f"{rows:,} rows, every hour of every zone revised; hours, days and months with them"
    # Of a small fleet each quarter-hour costs what it costs a large one: no target scales to it.
    target_s = _TARGET_S * rows / _TARGET_ROWS
    name = "price a year anew"
    whole = (
        reported(name, took_s, "s", note)
        if options.quick
        else at_most(name, took_s, "s", target_s, note)
    )
    figures = [
        whole,
        reported("rate", rows / took_s, "rows/s"),
        reported("of which storing the revision", stored_s, "s"),
    ]
    longest_ms = max(held_s) * 1000
    name = "longest transaction that writes"
    if is_sqlite:
        return [*figures, at_most(name, longest_ms, "ms", _TARGET_LOCK_MS, "SQLite's lock")]
    return [*figures, reported(name, longest_ms, "ms", "PostgreSQL locks rows, not the database")]


def _revise(year: Year) -> None:
    """Every hour a little dirtier, as a source that corrects its year."""
    first_ms = year.end_ms - year.days * MS_PER_DAY
    for zone, _ in SITES:
        points = tuple(
            IntensityPoint(at, at + MS_PER_HOUR, g_per_kwh + 3.7)
            for day in range(year.days)
            for hour, g_per_kwh in enumerate(year.fleet.g_per_kwh(zone, day).tolist())
            for at in [first_ms + day * MS_PER_DAY + hour * MS_PER_HOUR]
        )
        told = (Signal.AVERAGE, EmissionScope.LIFECYCLE, year.end_ms + 1, points)
        store_vintage(year.context, Vintage(zone, "generated", *told))
