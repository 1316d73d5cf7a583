"""Avoided carbon: what was against what would have been, losses shown as losses, over time."""

from __future__ import annotations

import json
import re
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page, at_path
from sqlalchemy import insert

from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.storage.engine import writing
from carbon.storage.identities import Identities
from carbon.storage.jobs import saving

NOW_MS = generated_day.NOW_MS


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A saving of 210.4 g booked now, a loss of 51 g the day before."""
    context = generated_day.empty_context(tmp_path_factory.mktemp("avoided"))
    with writing(context.engine) as connection:
        generated_day.Jobs(connection, Identities(connection, NOW_MS, {})).write()
        connection.execute(
            insert(saving).values(
                job_id="j5",
                energy_mj=900_000_000,
                actual_g=131.0,
                counterfactual_g=80.0,
                credited_g=-51.0,
                counterfactual_start_ms=NOW_MS - MS_PER_DAY,
                flags="",
                booked_ms=NOW_MS - MS_PER_DAY,
            )
        )
    return context


@pytest.fixture
def lead(house: Context) -> TestClient:
    return browser(house, generated_day.admin_key(house))


def chart_of(page: str) -> Any:
    [told] = re.findall(r'id="page-data">(.*?)</script>', page)
    return json.loads(told)["charts"][0]


def test_each_step_sums_what_was_booked_in_it(lead: TestClient) -> None:
    answer = lead.get("/web/avoided.json?last=7d").json()
    assert answer["step_h"] == 24
    booked = {step["start"][:10]: step for step in answer["steps"] if step["count"]}
    assert booked.keys() == {"2026-11-22", "2026-11-23"}  # midnights of Berlin, told in UTC
    lost, saved = booked["2026-11-22"], booked["2026-11-23"]
    assert (lost["actual_g"], lost["counterfactual_g"], lost["lost_g"]) == (131.0, 80.0, -51.0)
    assert saved["saving_g"] == pytest.approx(210.4)
    assert saved["lost_g"] == 0.0
    for name in ("counterfactual_g", "actual_g", "saving_g", "lost_g"):
        assert sum(step[name] for step in answer["steps"]) == pytest.approx(answer[name])


def test_the_chart_draws_both_courses_and_the_losses_below_the_line(lead: TestClient) -> None:
    answer = lead.get("/web/avoided.json?last=7d").json()
    chart = chart_of(lead.get("/avoided?last=7d").text)
    assert chart["unit"] == "g CO₂e"
    at_once, as_run, lost = (one["values"] for one in chart["series"])
    told = [step for step in answer["steps"] if step["count"]]
    assert [v for v in at_once if v is not None] == [s["counterfactual_g"] for s in told]
    assert [v for v in as_run if v is not None] == [s["actual_g"] for s in told]
    assert [v for v in lost if v is not None] == [-51.0, 0.0]
    assert [one["is_hatched"] for one in chart["series"]] == [True, False, False]


def test_its_table_twin_and_tiles_say_the_same_numbers(lead: TestClient) -> None:
    answer = lead.get("/web/avoided.json?last=7d").json()
    page = Page(lead.get("/avoided?last=7d").text)
    assert {number.path for number in page.numbers} >= {"credited_g", "lost_g", "saving_g"}
    for number in page.numbers:
        assert number.value == at_path(answer, number.path), number
    assert "had it started at once" in page.text


def test_a_range_in_which_nothing_was_booked_has_no_steps_and_says_so(lead: TestClient) -> None:
    query = "start=2026-11-01&end=2026-11-03"
    assert lead.get(f"/web/avoided.json?{query}").json()["steps"] == []
    assert "No saving was booked" in lead.get(f"/avoided?{query}").text
