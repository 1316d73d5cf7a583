"""Budgets are set, seen and ended on their screen."""

from __future__ import annotations

from pathlib import Path

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page, at_path

from carbon.services.context import Context

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
