"""`carbon bench query`: reports over a generated year, and that more raw rows do not slow them."""

from __future__ import annotations

from collections.abc import Callable

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.bench.ledger import LOADED_BELOW, generated_year, median_ms
from carbon.bench.raw_size import raw_sizes
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.domain.units import MS_PER_DAY, QUARTER_MS, ceil_to
from carbon.services.breakdown import By, breakdown
from carbon.services.question import Question
from carbon.services.sci import workload_sci
from carbon.services.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.time_range import TimeRange

_LEAST_ROWS = 1_000_000
_MOST_ROWS = 100_000_000
_ADMIN = Principal("bench", "bench", "bench", ADMIN_SCOPES)


def measure(options: Options) -> list[Figure]:
    rows = options.rows or (_LEAST_ROWS // 10 if options.quick else _MOST_ROWS)
    least = min(_LEAST_ROWS, rows // 10)
    with generated_year(options, rows) as year:
        some_ms = ceil_to(least // year.fleet.gpus * SPAN_MS, QUARTER_MS)
        year.write_readings(year.end_ms - some_ms, year.end_ms)
        few = _reports(year)
        year.write_readings(year.raw_from_ms, year.end_ms - some_ms)
        many = _reports(year)
        sizes = raw_sizes(year)
    note = f"service call, median of 15; {rows:,} raw rows, {LOADED_BELOW}"
    figures = [
        at_most(name, many[name], "ms", target, note)
        if target
        else reported(name, many[name], "ms", note)
        for name, target in _TARGETS.items()
    ]
    growth = max(many[name] / few[name] for name in _TARGETS)
    growth_note = f"{rows:,} rows against {least:,}"
    figures.append(at_most("growth of the slowest report", growth, "x", 1.5, growth_note))
    return figures + sizes


_TARGETS: dict[str, float] = {
    "one workload, 30 d": 20.0,
    "one workload, one year": 100.0,
    "all workloads, 24 h": 50.0,
    "all workloads, one year": 50.0,
    # Pages make a chart of it besides; they have no target of their own.
    "page of all workloads, 24 h": 0.0,
    "page of all workloads, one year": 0.0,
}


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
    )
    return {name: median_ms(call) for name, call in zip(_TARGETS, calls, strict=True)}
