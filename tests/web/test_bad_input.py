"""What is asked wrongly, or by the wrong one, or too late, is told on a page with a way on."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page

from carbon.auth.sessions import SESSION_COOKIE
from carbon.services.context import Context

RESNET = str(generated_day.RESNET)
RANGED = ["/breakdown", "/workloads", "/quality", "/avoided", f"/workloads/{RESNET}"]


def hrefs(page: Page) -> set[str]:
    return {known["href"] or "" for tag, known in page.tags if tag == "a" and "href" in known}


def told(client: TestClient, path: str, status: int, code: str) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, path
    assert answer.headers["content-type"].startswith("text/html")
    assert code in answer.text
    page = Page(answer.text)
    assert {"/", "/breakdown"} <= hrefs(page), "the screens stay at hand"
    return page


def test_an_unknown_workload_is_a_404_that_names_what_is_near(admin: TestClient) -> None:
    page = told(admin, "/workloads/vision/train-resnte", 404, "unknown_workload")
    [near] = [link for link in hrefs(page) if link.endswith("train-resnet")]
    assert admin.get(near).status_code == 200


@pytest.mark.parametrize("path", RANGED)
def test_a_future_range_is_told_and_leads_back_to_the_screen(admin: TestClient, path: str) -> None:
    page = told(admin, f"{path}?start=2027-01-01&end=2027-01-31", 422, "range_in_future")
    assert path in hrefs(page)


@pytest.mark.parametrize("path", RANGED)
def test_ten_years_are_shown_and_a_day_more_is_told(admin: TestClient, path: str) -> None:
    assert admin.get(f"{path}?start=2016-11-24&end=2026-11-24").status_code == 200
    told(admin, f"{path}?start=2016-11-01&end=2026-11-24", 422, "range_too_long")


@pytest.mark.parametrize(
    "path",
    [
        f"/workloads/{RESNET}?last=today",
        f"/compare?a={RESNET}&b={RESNET}",
        "/jobs/j1",
        "/reports/rep_0000000000000000",
        "/experiments/exp_0000000000000000",
    ],
)
def test_a_team_s_deep_link_is_not_there_for_another_team(day: Context, path: str) -> None:
    search = browser(day, generated_day.team_key(day, "search"))
    vision = browser(day, generated_day.team_key(day, "vision"))
    answer = search.get(path)
    assert answer.status_code == 404
    # To another team it looks as what nobody has.
    if "0000" not in path:
        assert vision.get(path).status_code == 200
        assert "resnet-50 sweep" not in answer.text


def test_an_expired_session_signs_in_and_returns_to_the_same_view(day: Context) -> None:
    client = browser(day, generated_day.admin_key(day))
    client.cookies.set(SESSION_COOKIE, "gone", domain="127.0.0.1", path="/")
    view = "/breakdown?by=zone&last=30d"
    led = client.get(view)
    assert led.status_code == 303
    [target] = parse_qs(urlsplit(led.headers["location"]).query)["next"]
    assert target == view
    back = client.post("/sign-in", data={"key": generated_day.admin_key(day), "next": target})
    assert back.headers["location"] == view


@pytest.mark.parametrize(
    ("referer", "target"),
    [
        ("http://127.0.0.1:8000/budgets?all=1", "/budgets?all=1"),
        ("http://evil.example/budgets", "/"),
        (None, "/"),
    ],
)
def test_a_form_sent_after_the_session_ended_returns_to_the_page_it_stood_on(
    day: Context, referer: str | None, target: str
) -> None:
    """Not to the form's own address, which cannot be looked at."""
    headers = {} if referer is None else {"Referer": referer}
    led = browser(day).post("/budgets/3/end", headers=headers)
    assert led.status_code == 303
    assert parse_qs(urlsplit(led.headers["location"]).query)["next"] == [target]


@pytest.mark.parametrize("path", ["/", "/breakdown?last=today", f"/workloads/{RESNET}?last=today"])
def test_without_scripts_every_chart_has_its_table(admin: TestClient, path: str) -> None:
    page = Page(admin.get(path).text)
    charts = [known for tag, known in page.tags if tag == "div" and known.get("role") == "img"]
    twins = [known for tag, known in page.tags if tag == "details" and known.get("class") == "twin"]
    assert charts
    assert len(twins) >= len(charts)
    assert sum(tag == "noscript" for tag, _ in page.tags) >= len(charts)


@pytest.mark.parametrize(
    ("form", "code"),
    [({"amount": "much"}, "invalid_amount"), ({"measure": "tons"}, "invalid_choice")],
)
def test_a_form_that_makes_no_sense_is_told_with_the_screens_at_hand(
    admin: TestClient, form: dict[str, str], code: str
) -> None:
    sent: dict[str, Any] = {"of": "", "measure": "total_g", "amount": "2", "period": "month"}
    answer = admin.post("/budgets", data=sent | form)
    assert answer.status_code == 422
    assert code in answer.text
    assert "/budgets" in hrefs(Page(answer.text))


@pytest.mark.parametrize("path", ["/breakdown", "/avoided", "/quality", "/workloads", "/fleet"])
def test_of_nothing_measured_no_screen_says_nought_or_modelled(
    newcomer: TestClient, path: str
) -> None:
    """Missing is missing: neither 0 g, nor a bar that is modelled from end to end."""
    page = Page(newcomer.get(path).text)
    assert not [n for n in page.numbers if n.unit.endswith(("CO₂e", "kWh", "W"))]
    assert not [known for _, known in page.tags if known.get("class") == "bar-hatch"]
    assert "All energy of workloads is measured" not in page.text
