"""`carbon bench query`: reports over a generated year, that more raw rows slow neither them nor
what is loaded next, and the raw driver reading the same rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from carbon.bench.figure import Figure, Options, at_least, at_most, reported
from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.bench.ledger import LOADED_BELOW, SMALL, Steps, generated_year, median_ms, of_databases
from carbon.bench.raw_driver import raw_cursor
from carbon.bench.raw_size import raw_sizes
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, ceil_to, floor_to
from carbon.services.breakdown import By, breakdown
from carbon.services.kept_findings import KeptFindings
from carbon.services.overview import overview
from carbon.services.question import Question
from carbon.services.recommendations import recommendations
from carbon.services.sci import workload_sci
from carbon.services.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.time_range import TimeRange

_LEAST_ROWS = 1_000_000
_MOST_ROWS = 100_000_000
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
    """100 M raw rows take 8 to 12 minutes a database on 2 cores; `--rows 1000000` about 5, and
    `--quick` some seconds. `--part sqlite` and `--part postgresql` run one of the two."""
    return of_databases(options, lambda name, url: _measure(options, name, url))


def _measure(options: Options, name: str, url: str | None) -> list[Figure]:
    rows = options.rows or (_LEAST_ROWS // 10 if options.quick else _MOST_ROWS)
    least = min(_LEAST_ROWS, rows // 10)
    fleet, days = (SMALL, 40) if options.quick else (Fleet(), 365)
    steps = Steps(name)
    with generated_year(url, fleet, days, rows) as year:
        steps.done("load the roll-ups")
        KeptFindings(year.context).make(floor_to(year.context.clock.now_ms(), MS_PER_HOUR))
        steps.done("make the hour's findings, as the service does in the background")
        some_ms = ceil_to(least // fleet.gpus * SPAN_MS, QUARTER_MS)
        first_rate = _load(year, year.end_ms - some_ms, year.end_ms)
        few = _reports(year)
        steps.done(f"load and ask {least:,} raw rows")
        rest_from_ms = year.raw_from_ms + some_ms
        _load(year, rest_from_ms, year.end_ms - some_ms)
        last_rate = _load(year, year.raw_from_ms, rest_from_ms)
        steps.done(f"load {rows:,} raw rows")
        many = _reports(year)
        raw = _raw_driver(year)
        sizes = raw_sizes(year)
        steps.done("ask for reports and sizes")
    note = f"service call, median of 15; {rows:,} raw rows, {LOADED_BELOW}"
    answers = [
        at_most(f"{name}: {one}", many[one], "ms", most, note) for one, most in _TARGETS.items()
    ]
    ratios = [
        reported(
            f"{name}: raw driver, rows of {one}",
            took,
            "ms",
            f"the report takes {many[one] / took:.1f} x",
        )
        for one, took in raw.items()
    ]
    growth = max(many[one] / few[one] for one in _TARGETS)
    told = f"{rows:,} rows against {least:,}"
    return [
        *answers,
        *ratios,
        at_most(f"{name}: growth of the slowest report", growth, "x", 1.5, told),
        at_least(
            f"{name}: rate of loading, late over early", last_rate / first_rate, "x", 0.8, told
        ),
        *sizes,
        *steps.figures,
    ]


def _load(year: Year, start_ms: int, end_ms: int) -> float:
    """Raw rows a second."""
    began = time.perf_counter()
    year.write_readings(start_ms, end_ms)
    rows = (end_ms - start_ms) // SPAN_MS * year.fleet.gpus
    return rows / (time.perf_counter() - began)


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
