"""Pages of reports: restated from a form that first shows what would change, and two compared."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, Service, T, an_hour, batch, count

from carbon.clock import to_rfc3339

FORM = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def report(admin: TestClient) -> dict[str, Any]:
    """Of one hour; an hour of another device comes in after it was issued."""
    admin.post("/v1/energy", json=batch(an_hour()))
    admin.post("/v1/units", json={"units": [count(1000, start_ms=T, end_ms=T + HOUR)]})
    issued = issue(admin, "first")
    admin.post("/v1/energy", json=batch(an_hour(device="gpu-1"), seq=2))
    return issued


def issue(admin: TestClient, title: str) -> dict[str, Any]:
    window = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
    body = {**window, "workload": "w", "unit": "token", "title": title}
    told: dict[str, Any] = admin.post("/v1/reports", json=body).json()
    return told


def post(client: TestClient, report: dict[str, Any], **form: str) -> Any:
    path = f"/reports/{report['id']}/restate"
    return client.post(path, data=form, headers=FORM, follow_redirects=False)


def test_it_shows_what_would_change_before_anything_is_issued(
    admin: TestClient, report: dict[str, Any]
) -> None:
    tried = post(admin, report)
    assert tried.status_code == 200
    told = admin.post(f"/v1/reports/{report['id']}/restate", json={}).json()
    assert told["dry_run"]
    assert told["changed"]
    assert "Issue the restatement" in tried.text
    assert "readings" in tried.text
    assert len(admin.get("/v1/reports").json()["reports"]) == 1


def test_with_a_reason_it_is_issued_beside_the_old_one(
    admin: TestClient, report: dict[str, Any]
) -> None:
    done = post(admin, report, sure="1", reason="late readings")
    assert done.status_code == 303
    page = admin.get(done.headers["location"]).text
    assert "late readings" in page
    old = admin.get(f"/reports/{report['id']}").text
    assert "A later report restates this one" in old
    assert "restate-title" not in old  # the later one is restated, not this
    again = post(admin, report, sure="1", reason="once more")
    assert again.status_code == 409
    assert "already_restated" in again.text


def test_without_a_reason_or_without_a_change_nothing_is_issued(
    admin: TestClient, report: dict[str, Any]
) -> None:
    refused = post(admin, report, sure="1", reason="  ")
    assert refused.status_code == 422
    assert "missing_reason" in refused.text
    fresh = issue(admin, "second")
    assert "nothing to restate" in post(admin, fresh).text
    assert post(admin, fresh, sure="1", reason="why not").status_code == 409


def test_two_reports_stand_beside_each_other_as_the_api_tells_them(
    admin: TestClient, report: dict[str, Any]
) -> None:
    later = issue(admin, "second")
    query = f"a={report['id']}&b={later['id']}"
    told = admin.get(f"/web/report_comparison.json?{query}").json()
    [line] = told["lines"]
    stated = [one["statement"]["lines"][0]["answer"] for one in (report, later)]
    assert [line["a"], line["b"]] == stated
    expected = stated[1]["total_g"] / stated[0]["total_g"] - 1
    assert line["total_change"] == pytest.approx(expected)
    page = admin.get(f"/reports/compare?{query}").text
    shown = f'value="{line["total_change"]}" data-path="lines.0.total_change"'
    assert shown in page
    csv = admin.get(f"/web/report_comparison.csv?{query}").text.splitlines()
    assert csv[0].startswith("workload,unit,a_sci_g_per_unit,")
    assert csv[1].startswith("default/w,token,")
    assert f'value="{report["id"]}"' in admin.get(f"/reports/{later['id']}").text


def test_a_report_of_another_team_is_neither_compared_nor_restated(
    admin: TestClient, team: TestClient, report: dict[str, Any]
) -> None:
    query = f"a={report['id']}&b={report['id']}"
    assert team.get(f"/reports/compare?{query}").status_code == 404
    assert team.get(f"/web/report_comparison.json?{query}").status_code == 404
    assert post(team, report).status_code == 404
    assert admin.get(f"/reports/compare?a={report['id']}&b=rep_0").status_code == 404


def test_who_may_only_read_is_offered_no_restatement(
    service: Service, report: dict[str, Any]
) -> None:
    from carbon.domain.tenancy import Scope

    reader = service.client("default", [Scope.REPORTS_READ])
    assert "restate-title" not in reader.get(f"/reports/{report['id']}").text
    assert post(reader, report, sure="1", reason="x").status_code == 403
