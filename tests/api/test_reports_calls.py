"""/v1/reports, /v1/factors, /v1/audit and GET /v1/sci over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339

WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
H100 = "embodied/gpu/h100@nvidia-pcf-2025"
REVISED: dict[str, Any] = {
    "supersedes": H100,
    "value": 273.0,
    "low": 150.0,
    "high": 575.0,
    "source": "a study",
    "vintage": "2026",
    "licence": "CC-BY-4.0",
    "tier": "parametric",
    "life_cycle_stages": ["materials", "manufacture"],
}
L40S = {
    **{k: v for k, v in REVISED.items() if k != "supersedes"},
    **{"kind": "embodied", "subject": "gpu", "name": "NVIDIA L40S", "unit": "kgCO2e"},
}


@pytest.fixture
def measured(admin: TestClient) -> TestClient:
    """1 kWh at 200 g/kWh on an H100, for a thousand tokens."""
    admin.post("/v1/intensity/DE", json=vintage(200.0))
    devices = [{"device": "gpu-0", "kind": "gpu", "model": "NVIDIA H100 80GB HBM3"}]
    assert admin.post("/v1/energy", json=batch(an_hour(), devices=devices)).status_code == 202
    admin.post("/v1/units", json={"units": [count(1_000)]})
    return admin


def issued(client: TestClient, **change: Any) -> dict[str, Any]:
    answer = client.post("/v1/reports", json={**WINDOW, "workload": "w", **change})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_report_says_what_the_sci_call_says(measured: TestClient) -> None:
    report = issued(measured)
    alone = measured.get("/v1/workloads/w/sci", params=WINDOW).json()
    assert report["statement"]["lines"][0]["answer"] == alone
    read = measured.get(f"/v1/reports/{report['id']}")
    assert read.json() == report
    listed = measured.get("/v1/reports").json()
    assert [one["id"] for one in listed["reports"]] == [report["id"]]


def test_a_report_is_explained_and_restated_over_http(measured: TestClient) -> None:
    report = issued(measured)
    path = f"/v1/reports/{report['id']}"
    walked = measured.get(f"{path}/explain").json()
    assert sum(row["energy_mj"] for row in walked["rows"]) == 3_600_000_000
    assert walked["readings"]
    assert measured.post(f"{path}/restate").json()["changed"] is False
    assert measured.post("/v1/factors", json=REVISED).status_code == 201
    tried = measured.post(f"{path}/restate", json={}).json()
    assert (tried["dry_run"], tried["changed"], tried["lines"][0]["causes"]) == (
        True,
        True,
        ["factors"],
    )
    done = measured.post(f"{path}/restate", json={"commit": True, "reason": "a study"})
    assert done.status_code == 201
    assert measured.get(path).json()["superseded_by"] == done.json()["restated"]["id"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"workload": "unheard"}, 404, "unknown_workload"),
        ({"workload": None}, 422, "no_workload"),
        ({"end": WINDOW["start"]}, 422, "end_before_start"),
        ({"start": "2026-03-02"}, 422, "invalid_time"),
        ({"materiality": 7}, 422, "invalid_body"),
        ({"colour": "green"}, 422, "invalid_body"),
        ({"unit": "parsec"}, 422, "unknown_unit"),
    ],
)
def test_what_cannot_be_issued_is_refused(
    measured: TestClient, change: dict[str, Any], status: int, code: str
) -> None:
    answer = measured.post("/v1/reports", json={**WINDOW, "workload": "w", **change})
    refused(answer, status, code)


def test_no_other_team_finds_a_report(measured: TestClient, team: TestClient) -> None:
    path = f"/v1/reports/{issued(measured)['id']}"
    for method, address in (("GET", path), ("GET", f"{path}/explain"), ("POST", f"{path}/restate")):
        refused(team.request(method, address), 404, "unknown_report")
    assert team.get("/v1/reports").json()["reports"] == []


def test_a_team_issues_reports_of_its_own(measured: TestClient, team: TestClient) -> None:
    team.post("/v1/energy", json=batch(an_hour(device="laptop"), source="t"))
    report = issued(team)
    assert report["team"] == "blue"
    assert measured.get(f"/v1/reports/{report['id']}").status_code == 200


def test_a_factor_is_tried_recorded_and_listed(measured: TestClient) -> None:
    report = issued(measured)
    tried = measured.post("/v1/factors", json={**REVISED, "value": 574.0, "dry_run": True})
    assert (tried.status_code, tried.json()["recorded"]) == (200, False)
    made = measured.post("/v1/factors", json=REVISED)
    assert made.status_code == 201
    factor = made.json()["factor"]
    (affected,) = made.json()["affected"]
    assert affected["report"] == report["id"]
    assert affected["change"] == pytest.approx(
        4.680365296 * (273 / 164 - 1) / 204.680365296, rel=1e-6
    )
    assert affected["notice"] is False
    assert measured.get(f"/v1/factors/{factor['id']}").json() == factor
    assert measured.get(f"/v1/factors/{H100}").json()["superseded_by"] == [factor["id"]]
    assert measured.get("/v1/factors/lifespan/default").json()["value"] == 4.0
    before = measured.get("/v1/factors", params={"as_of": "2026-01-01T00:00:00Z"}).json()
    assert factor["id"] not in {one["id"] for one in before["factors"]}


def test_a_factor_of_a_new_product_is_found_by_its_model(measured: TestClient) -> None:
    devices = [{"device": "gpu-l", "kind": "gpu", "model": "NVIDIA L40S 48GB"}]
    interval = an_hour(5, device="gpu-l", workload="v")
    measured.post("/v1/energy", json=batch(interval, seq=2, devices=devices))
    generic = measured.get("/v1/workloads/v/sci").json()
    assert "generic_factor" in generic["factors"][0]["flags"]
    made = measured.post("/v1/factors", json=L40S).json()["factor"]
    assert measured.get("/v1/workloads/v/sci").json()["factors"][0]["id"] == made["id"]
    refused(
        measured.post("/v1/factors", json={**L40S, "id": "embodied/gpu/other"}),
        409,
        "overlapping_factors",
    )


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"value": 0, "low": 0}, 422, "not_positive"),
        ({"low": 300}, 422, "bounds"),
        ({"value": None}, 422, "invalid_body"),
        ({"unit": "year"}, 422, "wrong_unit"),
        ({"unit": "tonnes"}, 422, "invalid_body"),
        ({"life_cycle_stages": []}, 422, "missing_stages"),
        ({"life_cycle_stages": ["manufacture", "use"]}, 422, "use_phase_in_embodied"),
        ({"id": "a", "supersedes": "a"}, 404, "unknown_factor"),
        ({"id": H100, "supersedes": H100}, 422, "supersedes_itself"),
        ({"id": H100}, 422, "supersedes_itself"),
        ({"id": "no id at all"}, 422, "invalid_id"),
        ({"id": "embodied/gpu/h100@boavizta"}, 409, "factor_exists"),
        ({"kind": "pue", "unit": "1", "value": 1.5, "low": 1, "high": 2}, 422, "another_thing"),
        ({"supersedes": None}, 422, "missing_field"),
        (
            {"valid_from": "2026-02-01T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"},
            422,
            "end_before_start",
        ),
    ],
)
def test_what_cannot_be_a_factor_is_refused(
    admin: TestClient, change: dict[str, Any], status: int, code: str
) -> None:
    refused(admin.post("/v1/factors", json={**REVISED, **change}), status, code)


def test_a_factor_holds_for_its_validity_and_the_old_one_around_it(measured: TestClient) -> None:
    half = to_rfc3339(T + HOUR // 2)
    made = measured.post("/v1/factors", json={**REVISED, "value": 328.0, "valid_from": half})
    assert made.status_code == 201, made.text
    answer = measured.get("/v1/workloads/w/sci", params=WINDOW).json()
    assert {f["id"] for f in answer["factors"]} >= {H100, made.json()["factor"]["id"]}
    assert answer["embodied_g"] == pytest.approx(4.680365296 * 1.5, rel=1e-6)


def test_the_audit_log_is_read_and_proven(measured: TestClient, team: TestClient) -> None:
    report = issued(measured)
    (entry,) = measured.get("/v1/audit").json()["entries"]
    assert (entry["action"], entry["subject"]) == ("report.issued", report["id"])
    assert entry["hash"] == report["audit_hash"]
    proof = measured.get("/v1/audit/verify", params={"head": entry["hash"]}).json()
    assert (proof["intact"], proof["head"]) == (True, entry["hash"])
    refused(team.get("/v1/audit"), 403, "scope_missing")


def test_a_series_is_asked_for_over_http(service: Service, measured: TestClient) -> None:
    query = {"group_by": "team,workload", "step": "15m", **WINDOW}
    answer = measured.get("/v1/sci", params=query)
    assert answer.status_code == 200
    (group,) = answer.json()["groups"]
    assert group["group"] == {"team": "default", "workload": "default/w", "kind": "workload"}
    assert [point["count"] for point in group["points"]] == [250] * 4
    refused(measured.get("/v1/sci?group_by=colour"), 422, "unknown_group")
    refused(measured.get("/v1/sci?step=soon"), 422, "invalid_duration")
    assert service.client("blue").get("/v1/sci").json()["groups"] == []
