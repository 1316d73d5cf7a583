"""Every screen shows the numbers of its JSON, to whom it should, for the time it is asked for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from rendered import Page, at_path

from carbon.services.context import Context
from carbon.storage.engine import writing
from carbon.storage.jobs import attempt
from carbon.web.screens import SCREENS

RESNET = f"{generated_day.RESNET}"
#: Page → its JSON.
SHOWN = {
    "/breakdown?last=today": "/web/breakdown.json?last=today",
    "/breakdown?by=team": "/web/breakdown.json?by=team",
    "/breakdown?by=zone&last=30d": "/web/breakdown.json?by=zone&last=30d",
    "/breakdown?by=device&last=365d": "/web/breakdown.json?by=device&last=365d",
    "/workloads": "/web/workloads.json",
    f"/workloads/{RESNET}?last=today": f"/web/workload.json?workload={RESNET}&last=today",
    f"/workloads/{RESNET}?last=90d": f"/web/workload.json?workload={RESNET}&last=90d",
    f"/compare?a={RESNET}&b={generated_day.SERVE}": (
        f"/web/compare.json?a={RESNET}&b={generated_day.SERVE}"
    ),
    "/avoided": "/web/avoided.json",
    "/shadow": "/web/shadow.json",
    "/budgets": "/web/budgets.json",
    "/quality": "/web/quality.json",
    "/plan?length=2h&deadline=12h&power_w=700": (
        "/web/plan.json?length=2h&deadline=12h&power_w=700"
    ),
    "/jobs": "/web/jobs_list.json",
    "/fleet": "/web/fleet.json",
    "/feeds": "/web/feeds.json",
    "/scheduler": "/web/scheduler.json",
    "/hosts": "/web/hosts.json",
    "/names": "/web/names.json",
    "/keys": "/web/keys.json",
    "/people": "/web/people.json",
    "/reports": "/web/reports.json",
    "/experiments": "/web/experiments.json",
    "/recommendations": "/web/recommendations.json",
}

#: How a screen shows that it has nothing to show.
EMPTY_STATES = {"empty", "empty-table", "empty-chart"}
#: A newcomer has a key already, and a zone of which typical hours are known.
NEVER_EMPTY = {"keys", "plan"}


def shown(client: TestClient, path: str) -> Page:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.mark.parametrize("path", SHOWN)
def test_every_number_on_a_screen_is_the_one_in_its_json(admin: TestClient, path: str) -> None:
    page, answer = shown(admin, path), admin.get(SHOWN[path]).json()
    for number in page.numbers:
        assert number.value == at_path(answer, number.path), number


@pytest.mark.parametrize("path", SHOWN)
def test_a_screen_links_to_its_data_and_the_links_work(admin: TestClient, path: str) -> None:
    links = {
        attributes["href"]
        for tag, attributes in shown(admin, path).tags
        if tag == "a" and attributes.get("class") == "data-link"
    }
    tables = [link for link in links if link and ".csv" in link]
    assert tables
    for link in tables:
        answer = admin.get(link)
        assert answer.status_code == 200
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len({len(row) for row in rows}) == 1
    assert SHOWN[path].partition("?")[0] in {str(link).partition("?")[0] for link in links}


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.key)
def test_a_screen_without_any_data_says_so(newcomer: TestClient, screen: Any) -> None:
    page = shown(newcomer, screen.path)
    classes = {a.get("class") or "" for _, a in page.tags}
    told = {name for names in classes for name in names.split()} & EMPTY_STATES
    assert told or screen.key in NEVER_EMPTY


def test_the_breakdown_sums_to_the_day_of_the_first_page(admin: TestClient) -> None:
    today = admin.get("/web/overview.json").json()["today"]
    for by in ("team", "workload", "zone", "device"):
        answer = admin.get(f"/web/breakdown.json?by={by}&last=today").json()
        assert answer["energy_kwh"] == pytest.approx(today["energy_kwh"]["value"], rel=1e-12)
        assert answer["operational_g"] == pytest.approx(today["operational_g"]["value"], rel=1e-9)
        assert sum(line["energy_kwh"] for line in answer["lines"]) == pytest.approx(
            answer["energy_kwh"]
        )
        assert sum(line["share"] for line in answer["lines"]) == pytest.approx(1)


def test_steps_of_a_line_sum_to_its_total(admin: TestClient) -> None:
    for last in ("today", "7d", "365d"):
        for line in admin.get(f"/web/breakdown.json?last={last}").json()["lines"]:
            drawn = sum(value or 0 for value in line["total_g_by_step"])
            assert drawn == pytest.approx(line["total_g"]["value"], rel=1e-6)


def test_a_workload_reads_as_the_api_tells_it(admin: TestClient) -> None:
    view = admin.get(f"/web/workload.json?workload={RESNET}&last=today").json()
    [first, *_] = view["answers"]
    assert first["workload"] == RESNET
    drawn = sum(point["energy_mj"] for point in view["points"])
    assert drawn == first["energy_mj"]


def test_a_team_sees_its_own_alone(day: Context) -> None:
    team = browser(day, generated_day.team_key(day, "search"))
    lines = team.get("/web/breakdown.json?last=today").json()["lines"]
    assert [line["name"] for line in lines] == [str(generated_day.SERVE)]
    assert "vision/" not in shown(team, "/workloads").text
    assert team.get(f"/workloads/{RESNET}").status_code == 404
    assert team.get("/hosts").status_code == 403
    assert team.get("/keys").status_code == 403
    offered = {a["href"] for tag, a in shown(team, "/breakdown").tags if tag == "a"}
    assert "/keys" not in offered
    assert "/hosts" not in offered


def test_a_team_reads_of_no_other_team_s_jobs_on_the_scheduler_s_screen(tmp_path: Path) -> None:
    context = generated_day.empty_context(tmp_path)
    generated_day.fill_last_minutes(context)
    told = {"number": 1, "epoch": 1, "state": "lost", "handed_over_ms": generated_day.NOW_MS}
    rows = [
        {**told, "id": f"{job}-1", "job_id": job, "detail": "no such host"} for job in ("j1", "j5")
    ]
    with writing(context.engine) as connection:
        connection.execute(attempt.insert(), rows)
    admin = browser(context, generated_day.admin_key(context))
    search = browser(context, generated_day.team_key(context, "search"))
    assert len(admin.get("/web/scheduler.json").json()["trouble"]) == 2
    seen = search.get("/web/scheduler.json").json()
    assert [line["job"] for line in seen["trouble"]] == ["rebuild index"]
    assert seen["states"] == {"failed": 1}
    assert (seen["begun"], seen["begun_late"]) == (0, 0)
    assert "resnet" not in shown(search, "/scheduler").text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("last=eternity", "unknown_range"),
        ("start=2026-11-24&end=2026-11-20", "end_before_start"),
        ("start=2027-01-01&end=2027-01-02", "range_in_future"),
        ("start=2027-01-01", "range_in_future"),
        ("start=2001-01-01&end=2026-11-24", "range_too_long"),
        ("start=yesterday", "invalid_date"),
    ],
)
def test_a_time_range_that_cannot_be_meant_is_told(
    admin: TestClient, query: str, code: str
) -> None:
    page = admin.get(f"/breakdown?{query}")
    assert page.status_code == 422
    assert code in page.text
    answer = admin.get(f"/web/breakdown.json?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == code


def test_the_end_of_a_range_is_included(admin: TestClient) -> None:
    one = admin.get("/web/breakdown.json?start=2026-11-24&end=2026-11-24").json()
    today = admin.get("/web/breakdown.json?last=today").json()
    assert (one["start"], one["end"]) == (today["start"], today["end"])
    assert one["energy_kwh"] == today["energy_kwh"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("length=2h&deadline=1h", "deadline_too_soon"),
        ("length=soon", "invalid_duration"),
        ("deadline=90d", "deadline_too_far"),
        ("power_w=0", "power_not_positive"),
        ("zone=ATLANTIS", "unknown_zone"),
    ],
)
def test_a_job_that_cannot_be_planned_is_told(admin: TestClient, query: str, code: str) -> None:
    answer = admin.get(f"/web/plan.json?{query}")
    assert answer.json()["code"] == code
    assert code in admin.get(f"/plan?{query}").text


def test_a_planned_window_is_the_cleanest_and_before_the_deadline(admin: TestClient) -> None:
    plan = admin.get("/web/plan.json?length=2h&deadline=20h&power_w=500").json()
    assert plan["start"] < plan["end"] <= plan["deadline"]
    expected, at_once = plan["expected_g"], plan["start_now_g"]
    assert expected["value"] <= at_once["value"]
    assert expected["value"] == pytest.approx(plan["mean_g_per_kwh"] * 1.0)
    for point in plan["points"]:
        assert point["low"] < point["g_per_kwh"] < point["high"]
    [width] = {round(p["high"] / p["g_per_kwh"] - 1, 9) for p in plan["points"][1:]}
    assert width == 0.35  # a forecast's, of `domain.uncertainty`
    assert expected["high"] == pytest.approx(1.35 * expected["value"])


def test_a_stranger_signs_in_and_comes_back_to_the_view(day: Context) -> None:
    stranger = browser(day)
    answer = stranger.get("/breakdown?by=team&last=30d")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fbreakdown%3Fby%3Dteam%26last%3D30d"
    assert stranger.get("/web/breakdown.json").status_code == 401


def test_a_report_is_issued_from_the_page_and_shown(tmp_path: Any) -> None:
    context = generated_day.empty_context(tmp_path)
    generated_day.fill_last_minutes(context)
    admin = browser(context, generated_day.admin_key(context))
    form = {"workload": RESNET, "start": "2026-11-24", "end": "2026-11-24", "title": "A day"}
    answer = admin.post("/reports", data=form)
    assert answer.status_code == 303, answer.text
    page = shown(admin, answer.headers["location"])
    assert "A day" in page.text
    [report] = admin.get("/web/reports.json").json()["reports"]
    assert report["title"] == "A day"
    foreign = admin.post("/reports", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_a_table_for_a_spreadsheet_starts_no_formula() -> None:
    from carbon.web.screens import screen_csv

    made = screen_csv("x", ("name",), [("=1+1",), ("@sum",), ("plain",), (None,)])
    assert bytes(made.body).decode().splitlines() == ["name", "'=1+1", "'@sum", "plain", '""']


def signed_in_alone(folder: Path) -> TestClient:
    """On a ledger of its own: what a test changes there no other sees."""
    context = generated_day.empty_context(folder)
    generated_day.fill_last_minutes(context)
    return browser(context, generated_day.admin_key(context))


def test_a_workload_is_renamed_on_the_page_after_it_said_what_moves(tmp_path: Path) -> None:
    admin = signed_in_alone(tmp_path)
    form = {"workload": RESNET, "into": "renamed", "reason": "what it is"}
    origin = {"origin": str(admin.base_url)}
    tried = admin.post("/names/correct", data=form, headers=origin)
    assert (tried.status_code, "This would move" in tried.text) == (200, True)
    assert admin.get("/web/names.json").json()["corrections"] == []
    sure = {**form, "sure": "1"}
    done = admin.post("/names/correct", data=sure, headers=origin, follow_redirects=False)
    assert done.status_code == 303
    (made,) = admin.get("/web/names.json").json()["corrections"]
    assert made["kind"] == "rename"
    undo = f"/names/{made['correction']}/undo"
    back = admin.post(undo, data={"reason": "no"}, headers=origin, follow_redirects=False)
    assert back.status_code == 303
    assert admin.get("/web/names.json").json()["corrections"][1]["is_undone"]
    foreign = admin.post("/names/correct", data=sure, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_each_kind_of_correction_has_a_form_that_shows_what_moves(tmp_path: Path) -> None:
    admin = signed_in_alone(tmp_path)
    origin = {"origin": str(admin.base_url)}
    subject = f"name:{RESNET}"
    claim = {"kind": "claim", "subject": subject, "workload": "vision/hers", "reason": "hers"}
    claim |= {"start": "2026-11-01T00:00", "end": ""}
    units = {
        "kind": "units",
        "workload": f"{generated_day.SERVE}",
        "unit": "request",
        "count": "7",
        "reason": "twice",
    }
    units |= {"start": "2026-11-24T00:00", "end": "2026-11-24T12:00"}
    host = {"kind": "host", "host": "workstation", "pue": "1.4", "reason": "measured"}
    told = {}
    for form in (claim, units, host):
        tried = admin.post("/names/correct", data=form, headers=origin)
        assert (tried.status_code, "This would move" in tried.text) == (200, True), tried.text
        assert f'value="{form["reason"]}"' in tried.text
        sure = {**form, "sure": "1"}
        done = admin.post("/names/correct", data=sure, headers=origin, follow_redirects=False)
        assert done.status_code == 303, done.text
        told[form["kind"]] = admin.get("/web/names.json").json()["corrections"][0]["body"]
    assert told["claim"]["start"] == "2026-11-01T00:00:00+01:00"
    assert (told["units"]["count"], told["host"]["pue"]) == (7, 1.4)
    for wrong in ({**units, "count": "many"}, {**claim, "start": "soon"}, {"kind": "claim"}):
        assert admin.post("/names/correct", data=wrong, headers=origin).status_code == 422
