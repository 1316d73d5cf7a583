"""No report reads a table from end to end: what SQLite's planner says of the very statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ledger import ADMIN
from sqlalchemy import Engine, event

from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import Year
from carbon.domain.units import MS_PER_DAY, QUARTER_MS
from carbon.services.breakdown import By, breakdown
from carbon.services.context import Context
from carbon.services.inventory import inventory
from carbon.services.overview import overview
from carbon.services.quality import quality
from carbon.services.question import Question
from carbon.services.recommendations import recommendations
from carbon.services.sci import workload_sci
from carbon.services.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.time_range import TimeRange
from carbon.services.workload_view import workload_view
from carbon.storage.engine import reading
from carbon.storage.recomputing import quarters_of_workloads

#: Those that grow with time or with the fleet's work.
LARGE = (
    *("energy_interval", "bucket", "quarter_hour", "workload_hour", "workload_day"),
    *("device_day", "device_month", "unit_count", "unit_day", "run", "reservation"),
)


@pytest.fixture
def year(memory: Engine, new_context: Callable[[Engine], Context]) -> Year:
    made = Year(new_context(memory), Fleet(gpus=4, workload_count=4, teams=2), 40, 0.05)
    made.write()
    return made


def plans(year: Year, call: Callable[[], Any]) -> list[str]:
    """Of every statement that a call runs."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(year.context.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(year.context.engine, "before_cursor_execute", note)
    found = []
    with reading(year.context.engine) as connection:
        for statement, values in asked:
            if statement.lstrip().upper().startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                found += [f"{row[3]}  <- {statement}" for row in plan]
    return found


def test_no_full_scan(year: Year) -> None:
    for days in (0.3, 7, 33):
        for report, call in reports(year, days).items():
            found = plans(year, call)
            assert found, report
            scanned = {plan.split()[1] for plan in found if plan.startswith("SCAN ")}
            assert scanned.isdisjoint(LARGE), (report, days)


def find_quarters(year: Year, start_ms: int, end_ms: int) -> object:
    with reading(year.context.engine) as connection:
        return quarters_of_workloads(connection, start_ms, end_ms, [1, 2])


def reports(year: Year, days: float) -> dict[str, Callable[[], Any]]:
    end_ms = year.end_ms - QUARTER_MS
    start_ms = end_ms - round(days * MS_PER_DAY / QUARTER_MS) * QUARTER_MS
    workload = year.fleet.workloads[3]
    name = f"{workload.team}/{workload.name}"
    question = Question(name, start_ms + 1_000, end_ms - 1_000)
    window = TimeRange(year.end_ms - max(1, int(days)) * MS_PER_DAY, year.end_ms, "")
    return {
        "sci": lambda: workload_sci(year.context, ADMIN, question),
        "series": lambda: sci_series(
            year.context, ADMIN, SeriesQuestion(parse_group_by("workload"), start_ms, end_ms)
        ),
        "team series": lambda: sci_series(
            year.context, ADMIN, SeriesQuestion((), start_ms, end_ms, "1h", None, name)
        ),
        "page": lambda: breakdown(
            year.context,
            ADMIN,
            window,
            By.WORKLOAD,
        ),
        "first page": lambda: overview(year.context, ADMIN),
        "workload page": lambda: workload_view(year.context, ADMIN, name, window),
        "quality page": lambda: quality(year.context, ADMIN, window),
        "inventory": lambda: inventory(year.context, ADMIN, start_ms, end_ms),
        "recommendations": lambda: recommendations(year.context, ADMIN),
        "months of readings": lambda: find_quarters(year, start_ms, end_ms),
    }
