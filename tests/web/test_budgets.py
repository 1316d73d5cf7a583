"""Budgets are set, seen and ended on their screen."""

from __future__ import annotations

import json
from pathlib import Path

import generated_day
import msgspec
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page, at_path

from carbon.services.context import Context
from carbon.web.burn import HEIGHT, WIDTH, small_burn
from carbon.wire.budgets import Bounds, BudgetAnswer, CourseAhead, CoursePoint

FORM = {"of": "", "measure": "total_g", "amount": "2", "unit": "", "period": "month"}


@pytest.fixture
def own_day(tmp_path: Path) -> Context:
    """A day of this test's own, since budgets are written."""
    context = generated_day.empty_context(tmp_path)
    generated_day.fill(context)
    return context


@pytest.fixture
def lead(own_day: Context) -> TestClient:
    return browser(own_day, generated_day.admin_key(own_day))


def test_a_budget_is_set_on_the_page_and_its_numbers_are_those_of_the_json(
    lead: TestClient,
) -> None:
    told = lead.post("/budgets", data=FORM)
    assert (told.status_code, told.headers["location"]) == (303, "/budgets")
    page, answer = Page(lead.get("/budgets").text), lead.get("/web/budgets.json").json()
    [known] = answer["budgets"]
    assert known["amount"] == 2_000  # kg on the form, grams in the ledger
    assert {number.path for number in page.numbers} >= {"budgets.0.used", "budgets.0.amount"}
    for number in page.numbers:
        assert number.value == at_path(answer, number.path), number
    assert "three whole days" in page.text
    first, overview = Page(lead.get("/").text), lead.get("/web/overview.json").json()
    assert overview["budgets"][0]["id"] == known["id"]
    assert {number.path for number in first.numbers} >= {"budgets.0.used", "budgets.0.amount"}
    for number in first.numbers:
        assert number.value == at_path(overview, number.path), number
    logged = lead.get("/web/keys.json").json()["audit"]["entries"]
    assert [entry["action"] for entry in logged] == ["budget.set"]
    assert logged[0]["body"]["amount"] == 2_000
    lead.post(f"/budgets/{known['id']}/end")
    assert "No budget is set" in Page(lead.get("/budgets").text).text


def test_every_point_of_its_chart_is_the_answer_s_in_page_table_and_file(lead: TestClient) -> None:
    lead.post("/budgets", data=FORM)
    [known] = lead.get("/web/budgets.json").json()["budgets"]
    html = lead.get("/budgets").text
    [chart] = json.loads(html.partition('id="page-data">')[2].partition("</script>")[0])["charts"]
    assert chart["amount"] * 1000 == known["amount"]  # kg on the axis, grams in the answer
    assert [at for at, _ in chart["course"]] == [point["at"] for point in known["course"]]
    for (_, drawn), point in zip(chart["course"], known["course"], strict=True):
        assert drawn * 1000 == pytest.approx(point["used"])
    page = Page(html)
    told = {n.path: n.value for n in page.numbers if ".course." in n.path}
    assert told == {f"budgets.0.course.{n}.used": p["used"] for n, p in enumerate(known["course"])}
    rows = lead.get(f"/web/budgets/{known['id']}.csv").text.splitlines()
    assert rows[0].split(",")[:3] == ["at", "used", "forecast"]
    assert [float(row.split(",")[1]) for row in rows[1:]] == list(told.values())


def test_the_small_picture_ends_below_the_line_while_the_budget_is_kept() -> None:
    at = "2026-11-{:02d}T00:00:00Z".format
    course = [CoursePoint(at(1), 0.0), CoursePoint(at(16), 40.0)]
    ahead = [CourseAhead(at(16), 40, 40, 40), CourseAhead("2026-12-01T00:00:00Z", 80, 70, 90)]
    told = BudgetAnswer(
        *(1, None, None, "total_g", None, 100.0, "month", at(1), "2026-12-01T00:00:00Z", 40.0, 0.5),
        *(Bounds(80, 70, 90), "kept", None, 9, at(1), course, ahead),
    )
    small = small_burn(told)
    assert small is not None
    assert small.used == "M0.0 64.0 L150.0 39.8"
    assert small.now_x == WIDTH / 2
    ends = [float(point.split()[1]) for point in small.band[1:].split(" L")]
    assert len(ends) == 4
    assert all(small.budget_y < y < HEIGHT for y in ends)
    assert small_burn(msgspec.structs.replace(told, course=[], ahead=[])) is None


def test_a_team_sets_its_own_and_sees_no_other(own_day: Context, lead: TestClient) -> None:
    lead.post("/budgets", data=FORM)
    vision = browser(own_day, generated_day.team_key(own_day, "vision"))
    assert "No budget is set" in Page(vision.get("/budgets").text).text
    vision.post("/budgets", data={**FORM, "of": "vision/train-resnet"})
    [known] = vision.get("/web/budgets.json").json()["budgets"]
    assert known["workload"] == "vision/train-resnet"


def test_a_form_that_makes_no_sense_is_told_so(lead: TestClient) -> None:
    for wrong in ({"amount": "much"}, {"measure": "tons"}, {"amount": "-1"}):
        assert lead.post("/budgets", data={**FORM, **wrong}).status_code == 422
    foreign = lead.post("/budgets", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert lead.get("/web/budgets.json").json() == {"budgets": []}
