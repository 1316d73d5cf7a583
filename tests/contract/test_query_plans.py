"""No report reads a table from end to end: what the planners say of the very statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import ADMIN
from sqlalchemy import Connection, Engine, event

from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import Year
from carbon.domain.units import MS_PER_DAY, QUARTER_MS
from carbon.services.context import Context
from carbon.services.proofs.recommendations import recommendations
from carbon.services.reports.inventory import inventory
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.services.sci.time_range import TimeRange
from carbon.services.screens.breakdown import By, breakdown
from carbon.services.screens.overview import overview
from carbon.services.screens.quality import quality
from carbon.services.screens.workload_view import workload_view
from carbon.storage.engine import create_engine, reading
from carbon.storage.recomputing import quarters_of_workloads

#: Those that grow with time or with the fleet's work.
LARGE = (
    *("energy_interval", "bucket", "quarter_hour", "workload_hour", "workload_day"),
    *("device_hour", "device_day", "device_month", "unit_count", "unit_day", "run", "reservation"),
)


@pytest.fixture
def year(memory: Engine, new_context: Callable[[Engine], Context]) -> Year:
    return _written(new_context(memory))


@pytest.fixture
def year_on_postgresql(
    postgres_database: str, new_context: Callable[[Engine], Context]
) -> Iterator[Year]:
    engine = create_engine(postgres_database)
    made = _written(new_context(engine))
    with engine.begin() as connection:  # plans are made from these, whenever they are taken
        connection.exec_driver_sql("ANALYZE")
    yield made
    engine.dispose()


def _written(context: Context) -> Year:
    made = Year(context, Fleet(gpus=4, workload_count=4, teams=2), 40, 0.05)
    made.write()
    return made


def asked_by(year: Year, call: Callable[[], Any]) -> dict[str, Any]:
    """Each statement that a call runs and that reads, with values that it had."""
    asked: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            asked[statement] = values

    event.listen(year.context.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(year.context.engine, "before_cursor_execute", note)
    return asked


def scanned_on_sqlite(connection: Connection, statement: str, values: Any) -> set[str]:
    plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan
    return {step.split()[1] for step in plan if step.startswith("SCAN ")}


def scanned_on_postgresql(connection: Connection, statement: str, values: Any) -> set[str]:
    """Where an index would serve: for tables as small as a test's a scan would be the cheaper way
    anyhow, so that it is forbidden, and what is scanned still has no other. An index that is read
    from end to end is no better, but for its first few rows, or where it is the order that is
    wanted of few rows that are filtered: of a test's few any index is cheap."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    answer = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON, COSTS OFF) {statement}", values)
    found: set[str] = set()

    def look(node: Any, has_limit: bool) -> None:
        kind = node["Node Type"]
        is_asked = "Index Cond" in node or "Filter" in node
        is_whole = kind.startswith("Index") and not is_asked and not has_limit
        if kind == "Seq Scan" or is_whole:
            found.add(re.sub(r"_\d{8}$", "", node.get("Relation Name", "")))
        for below in node.get("Plans", ()):
            look(below, kind == "Limit")

    look(answer.scalar_one()[0]["Plan"], False)
    return found


def test_no_full_scan(year: Year) -> None:
    check_no_full_scan(year, scanned_on_sqlite)


def test_no_full_scan_on_postgresql(year_on_postgresql: Year) -> None:
    check_no_full_scan(year_on_postgresql, scanned_on_postgresql)


def check_no_full_scan(year: Year, scanned: Callable[[Connection, str, Any], set[str]]) -> None:
    seen: dict[str, Any] = {}
    for days in (0.3, 7, 33):
        for report, call in reports(year, days).items():
            asked = asked_by(year, call)
            assert asked, report
            with reading(year.context.engine) as connection:
                for statement in asked.keys() - seen.keys():
                    found = scanned(connection, statement, asked[statement])
                    assert found.isdisjoint(LARGE), (report, days, statement)
            seen |= asked
    with reading(year.context.engine) as connection:  # it would be seen
        whole = "SELECT sum(energy_mj) FROM quarter_hour"
        assert scanned(connection, whole, ()) == {"quarter_hour"}


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
