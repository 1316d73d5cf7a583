"""People are invited and removed on their screen; the link is shown once."""

from __future__ import annotations

import re
from pathlib import Path

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page

from carbon.services.context import Context

FORM = {"name": "Grace", "role": "lead", "team": "vision"}


@pytest.fixture
def own(tmp_path: Path) -> Context:
    return generated_day.empty_context(tmp_path)


@pytest.fixture
def host(own: Context) -> TestClient:
    return browser(own, generated_day.admin_key(own))


def test_an_invited_lead_signs_in_and_sees_what_a_lead_sees(own: Context, host: TestClient) -> None:
    shown = host.post("/people", data=FORM)
    assert shown.status_code == 200
    [link] = re.findall(r"http://127\.0\.0\.1:8000(/sign-in\?token=[\w-]+)", shown.text)
    assert link not in host.get("/people").text  # told once
    grace = browser(own)
    assert grace.get(link).status_code == 303
    page = Page(grace.get("/budgets").text)
    offered = {attributes.get("href") for tag, attributes in page.tags if tag == "a"}
    assert "/keys" not in offered
    assert "/people" not in offered
    assert "Set a budget" in page.text
    assert grace.get("/people").status_code == 403


def test_a_removed_person_is_led_to_sign_in(own: Context, host: TestClient) -> None:
    host.post("/people", data=FORM)
    [grace] = host.get("/web/people.json").json()["people"]
    assert host.post(f"/people/{grace['id']}/remove").status_code == 303
    assert "ended" in Page(host.get("/people").text).text
    assert host.post(f"/people/{grace['id']}/link").status_code == 404


def test_a_form_that_makes_no_sense_is_told_so(host: TestClient) -> None:
    for wrong in ({"name": " "}, {"role": "king"}, {"role": "auditor"}):
        assert host.post("/people", data={**FORM, **wrong}).status_code == 422
    foreign = host.post("/people", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert host.get("/web/people.json").json() == {"people": []}
