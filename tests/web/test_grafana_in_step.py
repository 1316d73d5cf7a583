"""Each panel of Grafana's dashboard, its query run as Grafana would, says what the API says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from promql import Scrapes, scraped
from service import Service
from test_grafana import panels, rows_of, sql_of

from carbon.api.metrics import registry_of
from carbon.clock import FakeClock, from_rfc3339, to_rfc3339
from carbon.domain.energy import Method
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.engine import create_engine

KWH_MJ = 3.6e9
MINUTE_S = 60


@dataclass
class House:
    """A ledger on a real PostgreSQL that Prometheus asked twice, a minute apart."""

    context: Context
    api: TestClient
    pages: TestClient
    scrapes: Scrapes
    #: What the API acknowledged between the two.
    accepted: int
    #: IT energy of each workload that it told between the two, in mJ.
    drawn_mj: dict[str, int]

    def value(self, panel: dict[str, Any]) -> float:
        [only] = self.scrapes.of(expression(panel)).values()
        return only

    def sql(self, panel: dict[str, Any]) -> list[Any]:
        [sql] = sql_of(panel)
        return rows_of(self.context, sql)

    def sci(self, **query: str) -> dict[str, list[Any]]:
        """Points of each workload over the panels' window."""
        window = {
            "start": to_rfc3339(generated_day.MIDNIGHT_MS),
            "end": to_rfc3339(generated_day.MIDNIGHT_MS + MS_PER_DAY),
        }
        answer = self.api.get("/v1/sci", params={"group_by": "workload", **window, **query})
        assert answer.status_code == 200, answer.text
        groups = answer.json()["groups"]
        return {
            str(g["group"]["workload"]): g["points"] for g in groups if g["group"].get("workload")
        }

    def fleet(self) -> Any:
        return self.pages.get("/web/fleet.json").json()


@pytest.fixture
def house(postgres_database: str, tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path, timezone="Europe/Berlin", zone="DE")
    context = Context(create_engine(postgres_database), settings, FakeClock(generated_day.NOW_MS))
    generated_day.fill_last_minutes(context, 90)
    with Service.of(context) as service:
        before = scraped(registry_of(context))
        accepted, drawn_mj = a_minute_more(context, service.admin)
        after = scraped(registry_of(context))
        pages = browser(context, generated_day.admin_key(context))
        scrapes = Scrapes(before, after, MINUTE_S)
        yield House(context, service.admin, pages, scrapes, accepted, drawn_mj)
    context.engine.dispose()


def a_minute_more(context: Context, api: TestClient) -> tuple[int, dict[str, int]]:
    """Two workloads draw for a minute and tell it every ten seconds; the clock stands after."""
    start_ms = context.clock.now_ms()
    assert isinstance(context.clock, FakeClock)
    context.clock.advance(MINUTE_S)
    drawn = {"default/one": 4_000_000, "default/two": 900_000}
    sent = [
        {
            "device": f"GPU-{name}",
            "workload": name,
            "start_ms": start_ms + n * 10_000,
            "end_ms": start_ms + (n + 1) * 10_000,
            "energy_mj": each + n * 1_000,
            "method": "counter",
        }
        for n in range(6)
        for name, each in drawn.items()
    ]
    body = {"source": "more", "boot_id": "b", "seq": 1, "zone": "DE", "intervals": sent}
    told = api.post("/v1/energy", json=body).json()
    assert told["rejected"] == []
    roll_up(context)
    sums = dict.fromkeys(drawn, 0)
    for interval in sent:
        sums[str(interval["workload"])] += int(str(interval["energy_mj"]))
    return told["accepted"], sums


def expression(panel: dict[str, Any]) -> str:
    [target] = panel["targets"]
    return str(target["expr"])


def power_now(house: House, panel: dict[str, Any]) -> None:
    assert house.value(panel) == pytest.approx(house.fleet()["power"]["power_w"])


def grid_intensity_now(house: House, panel: dict[str, Any]) -> None:
    now_ms = house.context.clock.now_ms()
    params = {"start": to_rfc3339(now_ms), "end": to_rfc3339(now_ms + 1000)}
    [point] = house.api.get("/v1/intensity/DE", params=params).json()["points"]
    told = {
        frozenset({("zone", "DE"), ("source", point["source"])}): pytest.approx(point["g_per_kwh"])
    }
    assert house.scrapes.of(expression(panel)) == told


def intervals_taken_in(house: House, panel: dict[str, Any]) -> None:
    assert house.accepted == 12
    assert house.value(panel) == pytest.approx(house.accepted / MINUTE_S)


def roll_ups_behind(house: House, panel: dict[str, Any]) -> None:
    assert house.value(panel) == house.fleet()["buckets_behind"]


def power_by_device(house: House, panel: dict[str, Any]) -> None:
    heard = [d for d in house.fleet()["power"]["devices"] if d["power_w"] is not None]
    told = {frozenset({("device", d["device"])}): pytest.approx(d["power_w"]) for d in heard}
    assert len(told) > 4
    assert house.scrapes.of(expression(panel)) == told


def power_by_workload(house: House, panel: dict[str, Any]) -> None:
    told = house.scrapes.of(expression(panel))
    for name, mj in house.drawn_mj.items():
        [points] = [points for workload, points in house.sci().items() if workload == name]
        assert sum(point["energy_mj"] for point in points) == mj
        assert told[frozenset({("workload", name)})] == pytest.approx(mj / 1000 / MINUTE_S)


def by_hour(house: House, panel: dict[str, Any], column: str, of_api: str, size: float) -> None:
    told = {
        (row.metric, int(row.time) * 1000): pytest.approx(float(getattr(row, column)))
        for row in house.sql(panel)
    }
    of_api_too = {
        (name, from_rfc3339(point["start"])): point[of_api] / size
        for name, points in house.sci(step="1h").items()
        for point in points
        if point["energy_mj"]
    }
    assert len(told) > 6
    assert of_api_too == told


def energy_by_hour(house: House, panel: dict[str, Any]) -> None:
    by_hour(house, panel, "kwh", "energy_mj", KWH_MJ)


def carbon_by_hour(house: House, panel: dict[str, Any]) -> None:
    by_hour(house, panel, "g", "operational_g", 1.0)


def workloads_of_the_period(house: House, panel: dict[str, Any]) -> None:
    rows = {row.workload: row for row in house.sql(panel)}
    told = {name: points[0] for name, points in house.sci().items() if points[0]["energy_mj"]}
    assert rows.keys() == told.keys()
    for name, point in told.items():
        row = rows[name]
        assert float(row.energy_kwh) == pytest.approx(point["energy_mj"] / KWH_MJ)
        assert float(row.operational_g) == pytest.approx(point["operational_g"])
        measured = sum(s for m, s in point["methods"].items() if Method.of(m).is_measured)
        assert float(row.measured_share) == pytest.approx(measured)


#: What is compared of each panel, by its title.
COMPARED: dict[str, Callable[[House, dict[str, Any]], None]] = {
    "Power now": power_now,
    "Grid intensity now": grid_intensity_now,
    "Intervals taken in": intervals_taken_in,
    "Roll-ups behind": roll_ups_behind,
    "Power by device": power_by_device,
    "Power by workload": power_by_workload,
    "Energy by workload and hour": energy_by_hour,
    "Operational carbon by workload and hour": carbon_by_hour,
    "Workloads of the period": workloads_of_the_period,
}


def test_every_panel_says_what_the_api_says(house: House) -> None:
    known = {panel["title"]: panel for panel in panels()}
    assert known.keys() == COMPARED.keys(), "compare a new panel with the API here"
    for title, panel in known.items():
        COMPARED[title](house, panel)


def test_a_query_that_is_not_spoken_here_is_no_silent_pass() -> None:
    with pytest.raises(ValueError, match="avg"):
        Scrapes({}, {}, 1.0).of("avg(carbon_power_watts)")
