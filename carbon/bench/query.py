"""`carbon bench query`: reports over a generated year, that more raw rows slow neither them nor
what is loaded next, and the raw driver reading the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import delete

from carbon.bench.figure import Figure, Options, at_least, at_most, reported
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.bench.kept_year import FEW, MANY, Size, few, many, size_of
from carbon.bench.ledger import LOADED_BELOW, Place, Steps, median_ms, of_databases
from carbon.bench.raw_driver import raw_cursor
from carbon.bench.raw_size import raw_sizes
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.services.proofs.recommendations import recommendations
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.sci.time_range import TimeRange
from carbon.services.screens.breakdown import By, breakdown
from carbon.services.screens.overview import overview
from carbon.storage.energy import energy_interval
from carbon.storage.engine import is_sqlite, writing
from carbon.storage.partitions import day_of_end, drop_day

_ADMIN = Principal("bench", "bench", "bench", ADMIN_SCOPES)

#: Most ms of each report.
_TARGETS: dict[str, float] = {
    "one workload, 30 d": 20.0,
    "one workload, one year": 100.0,
    "all workloads, 24 h": 50.0,
    "all workloads, one year": 50.0,
    "page of all workloads, 24 h": 50.0,
    "page of all workloads, one year": 50.0,
    "first page": 100.0,
    "recommendations, 28 d": 100.0,
}


def measure(options: Options) -> list[Figure]:
    """100 M raw rows take 10 to 15 minutes a database on 2 cores, from what `--data` kept about
    one; `--rows 1000000` some 6, and `--quick` some seconds. `--part sqlite` and `--part
    postgresql` run one of the two."""
    size = size_of(options)
    return of_databases(options, lambda place: _measure(place, size))


def _measure(place: Place, size: Size) -> list[Figure]:
    steps, name = Steps(place.name), place.name
    with few(place, size, steps) as year:
        of_few = _reports(year)
        first_rate = _loading_rate(year, size)
        steps.done("ask for reports with few raw rows")
    with many(place, size, steps) as year:
        of_many = _reports(year)
        raw = _raw_driver(year)
        last_rate = _loading_rate(year, size)
        sizes = raw_sizes(year)
        steps.done("ask for reports and sizes")
    if not place.is_kept:
        place.drop(FEW)
        place.drop(MANY)
    note = f"service call, median of 15; {size.many:,} raw rows, {LOADED_BELOW}"
    answers = [
        at_most(f"{name}: {one}", of_many[one], "ms", most, note) for one, most in _TARGETS.items()
    ]
    ratios = [
        reported(
            f"{name}: raw driver, rows of {one}",
            took,
            "ms",
            f"the report takes {of_many[one] / took:.1f} x",
        )
        for one, took in raw.items()
    ]
    growth = {one: of_many[one] / of_few[one] for one in _TARGETS}
    slowest = max(growth, key=lambda one: growth[one])
    told = f"{size.many:,} rows against {size.few:,}"
    loaded = f"{told}, {_loaded_ms(size) // SPAN_MS * size.fleet.gpus:,} more to each"
    rates = f"{name}: rate of loading, late over early"
    return [
        *answers,
        *ratios,
        at_most(
            f"{name}: growth of the slowest report",
            growth[slowest],
            "x",
            1.5,
            f"{told}, {slowest}",
        ),
        at_least(rates, last_rate / first_rate, "x", 0.8, loaded),
        *sizes,
        *steps.figures,
    ]


def _loaded_ms(size: Size) -> int:
    """Of the rows that are loaded to tell a rate: as much time as the few span, at most a day."""
    return min(size.few_ms, MS_PER_DAY)


def _loading_rate(year: Year, size: Size) -> float:
    """Raw rows a second, of a day before all that are there; they are taken out again."""
    end_ms = floor_to(year.raw_from_ms, MS_PER_DAY)
    start_ms = end_ms - _loaded_ms(size)
    began = time.perf_counter()
    year.write_readings(start_ms, end_ms)
    took_s = time.perf_counter() - began
    with writing(year.context.engine) as connection:
        if is_sqlite(connection):
            remove = delete(energy_interval).where(energy_interval.c.end_ms <= end_ms)
            connection.execute(remove)
        else:
            drop_day(connection, day_of_end(end_ms))
    return (end_ms - start_ms) // SPAN_MS * year.fleet.gpus / took_s


def _reports(year: Year) -> dict[str, float]:
    """What each report takes, ms. The last 24 hours begin at no midnight, which is the harder."""
    context, end_ms = year.context, year.end_ms
    serving = next(w for w in year.fleet.workloads[3:] if w.has_counts)
    name = f"{serving.team}/{serving.name}"
    now_ms = end_ms - 5 * QUARTER_MS

    def sci(days: int) -> Callable[[], object]:
        question = Question(name, now_ms - days * MS_PER_DAY, now_ms)
        return lambda: workload_sci(context, _ADMIN, question)

    def series(days: int) -> Callable[[], object]:
        group_by = parse_group_by("workload")
        asked = SeriesQuestion(group_by, now_ms - days * MS_PER_DAY, now_ms, unit="device_hour")
        return lambda: sci_series(context, _ADMIN, asked)

    def page(days: int) -> Callable[[], object]:
        window = TimeRange(end_ms - days * MS_PER_DAY, end_ms, "")
        return lambda: breakdown(context, _ADMIN, window, By.WORKLOAD)

    calls = (
        sci(30),
        sci(year.days - 1),
        series(1),
        series(year.days - 1),
        page(1),
        page(year.days),
        lambda: overview(context, _ADMIN),
        lambda: recommendations(context, _ADMIN),
    )
    return {name: median_ms(call) for name, call in zip(_TARGETS, calls, strict=True)}


def _fetched(cursor: Any, statement: str) -> list[Any]:
    return list(cursor.execute(statement).fetchall())


def _raw_driver(year: Year) -> dict[str, float]:
    """What the driver takes to sum the rows that three of the reports are made of, ms."""
    end_ms = year.end_ms
    day_ms, year_ms = end_ms - MS_PER_DAY, end_ms - year.days * MS_PER_DAY
    workload = year.owners[year.fleet.gpus // 2][1]
    sums = "sum(energy_mj), sum(operational_ng)"
    own = (
        f"FROM device_day WHERE workload_id = {workload} AND start_ms >= {end_ms - 30 * MS_PER_DAY}"
    )
    hours = f"FROM workload_hour WHERE start_ms >= {floor_to(day_ms, MS_PER_HOUR)}"
    months = f"FROM device_month WHERE start_ms >= {year_ms}"
    statements = {
        "one workload, 30 d": f"SELECT device_id, {sums} {own} GROUP BY device_id",
        "all workloads, 24 h": f"SELECT workload_id, {sums} {hours} GROUP BY workload_id",
        "all workloads, one year": f"SELECT workload_id, {sums} {months} GROUP BY workload_id",
    }
    with raw_cursor(year.context.engine) as cursor:
        return {one: median_ms(partial(_fetched, cursor, text)) for one, text in statements.items()}
