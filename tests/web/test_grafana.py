"""Grafana's dashboard asks only for what is there, and shows the numbers of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from sqlalchemy import text

from carbon.api.metrics import registry_of
from carbon.bundled import bundled
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading

DASHBOARDS = bundled("dashboards") / "grafana" / "dashboards"


def panels() -> Iterator[dict[str, Any]]:
    for path in DASHBOARDS.glob("*.json"):
        yield from json.loads(path.read_text("utf-8"))["panels"]


def sql_of(panel: dict[str, Any]) -> list[str]:
    return [target["rawSql"] for target in panel["targets"] if "rawSql" in target]


@pytest.fixture(params=["memory", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, day: Context) -> Iterator[Context]:
    if request.param == "memory":
        yield day
        return
    url = request.getfixturevalue("postgres_database")
    settings = Settings(data_dir=tmp_path, timezone="Europe/Berlin", zone="DE")
    context = Context(create_engine(url), settings, day.clock)
    generated_day.fill(context)
    yield context
    context.engine.dispose()


def rows_of(context: Context, sql: str) -> list[Any]:
    """The query with Grafana's macros filled in for the generated day."""
    since_s = generated_day.MIDNIGHT_MS // 1000
    until_s = (generated_day.MIDNIGHT_MS + MS_PER_DAY) // 1000
    filled = sql.replace("$__unixEpochFrom()", str(since_s))
    filled = filled.replace("$__unixEpochTo()", str(until_s))
    assert "$__" not in filled
    with reading(context.engine) as connection:
        return list(connection.execute(text(filled)))


def test_every_query_of_a_panel_finds_the_day(ledger: Context) -> None:
    queries = [sql for panel in panels() for sql in sql_of(panel)]
    assert len(queries) == 3
    for sql in queries:
        assert rows_of(ledger, sql)


def test_the_workload_table_says_what_the_page_says(ledger: Context) -> None:
    [table] = [panel for panel in panels() if panel["title"] == "Workloads of the period"]
    [sql] = sql_of(table)
    client = browser(ledger, generated_day.admin_key(ledger))
    shares = client.get("/web/overview.json").json()["today"]["shares"]
    on_page = {s["name"]: s for s in shares if s["kind"] == "workload"}
    rows = {row.workload: row for row in rows_of(ledger, sql)}
    assert rows.keys() == on_page.keys()
    for name, row in rows.items():
        assert float(row.energy_kwh) == pytest.approx(on_page[name]["energy_kwh"])
        assert float(row.operational_g) == pytest.approx(on_page[name]["operational_g"])


def test_every_metric_a_panel_asks_for_is_exported(day: Context) -> None:
    exported = {sample.name for family in registry_of(day).collect() for sample in family.samples}
    asked = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in re.findall(r"carbon_[a-z_]+", target.get("expr", ""))
    }
    assert asked
    assert asked <= exported


def test_every_panel_names_its_unit_and_stands_alone_on_the_grid() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"]
        at = panel["gridPos"]
        own = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not own & cells
        assert max(x for x, _ in own) < 24
        cells |= own
