"""/v1/jobs and /v1/pools over HTTP: the words of the contract; their rules are tested below."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, Service, refused, vintage

from carbon.clock import to_rfc3339
from carbon.domain.tenancy import TEAM_SCOPES

JOB = {
    "name": "train",
    "executor": "local",
    "command": ["true"],
    "deadline": "6h",
    "length_s": 3_600,
    "power_w": 1_000,
}


@pytest.fixture
def clean_later(admin: TestClient) -> TestClient:
    """Two hours of coal, an hour of wind, and coal again."""
    hours = vintage(500.0, 500.0, 100.0, 500.0, 500.0, 500.0, start_ms=NOON_MS)
    assert admin.post("/v1/intensity/DE", json=hours).json()["quarantined"] == []
    return admin


def test_a_job_is_placed_in_the_cleanest_hour(clean_later: TestClient) -> None:
    answer = clean_later.post("/v1/jobs", json=JOB)
    assert answer.status_code == 201
    body = answer.json()
    assert {"id", "state", "reason", "placement"} <= body.keys()
    assert (body["state"], body["reason"]) == ("waiting", "clean_window")
    assert body["placement"] == {
        "start": to_rfc3339(NOON_MS + 2 * HOUR),
        "end": to_rfc3339(NOON_MS + 3 * HOUR),
        "zone": "DE",
        "expected_g": pytest.approx(100.0),
        "start_now_g": pytest.approx(500.0),
    }
    assert clean_later.get(f"/v1/jobs/{body['id']}").json() == body
    assert clean_later.get("/v1/jobs").json() == {"jobs": [body], "next": None}


def test_the_same_key_and_body_is_the_same_job(clean_later: TestClient) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = (clean_later.post("/v1/jobs", json=JOB, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = clean_later.post("/v1/jobs", json={**JOB, "priority": 1}, headers=key)
    refused(other, 409, "idempotency_key_reused")
    too_long = {"Idempotency-Key": "k" * 201}
    refused(clean_later.post("/v1/jobs", json=JOB, headers=too_long), 422, "invalid_parameter")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"deadline": "1h", "earliest": "2h"}, "deadline_before_earliest"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "deadline_past"),
        ({"deadline": "soon"}, "invalid_moment"),
        ({"deadline": "2026-03-03T00:00:00"}, "invalid_moment"),
        ({"deadline": "9999-12-31T23:59:59-12:00"}, "invalid_moment"),
        ({"length_s": 7 * 3_600}, "length_exceeds_window"),
        ({"length_s": 0}, "invalid_body"),
        ({"length_s": -1}, "invalid_body"),
        ({"length_s": True}, "invalid_body"),
        ({"power_w": -1}, "invalid_body"),
        ({"retries": -1}, "invalid_body"),
        ({"comand": ["true"]}, "invalid_body"),
        ({"command": []}, "invalid_body"),
        ({"command": None}, "command_missing"),
        ({"command": ["a\0b"]}, "invalid_text"),
        ({"class": "a\0b"}, "invalid_text"),
        ({"checkpoint": "a\0b"}, "invalid_text"),
        ({"env": {"A=B": "c"}}, "invalid_env"),
        ({"executor": "abacus"}, "unknown_executor"),
        ({"pool": "ocean"}, "unknown_pool"),
        ({"workload": "a/b/c"}, "invalid_workload"),
        ({"zones": ["DE", "FR"]}, "too_many_zones"),
        ({"zones": ["ATLANTIS"]}, "unknown_zone"),
        ({"name": ""}, "invalid_body"),
    ],
)
def test_a_job_that_cannot_be_meant_is_422(
    admin: TestClient, changed: dict[str, Any], code: str
) -> None:
    refused(admin.post("/v1/jobs", json={**JOB, **changed}), 422, code)
    assert admin.get("/v1/jobs").json()["jobs"] == []


def test_a_deadline_far_beyond_any_forecast_is_planned_all_the_same(admin: TestClient) -> None:
    answer = admin.post("/v1/jobs", json={**JOB, "deadline": "9999-01-01T00:00:00Z"})
    assert answer.status_code in (201, 422), answer.text


def test_a_batch_takes_the_good_and_tells_the_bad(clean_later: TestClient) -> None:
    answer = clean_later.post("/v1/jobs/batch", json={"jobs": [JOB, {**JOB, "deadline": "0s"}]})
    assert answer.status_code == 201
    assert [j["state"] for j in answer.json()["jobs"]] == ["waiting"]
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, "deadline_past")]
    refused(clean_later.post("/v1/jobs/batch", json={"jobs": []}), 422, "invalid_body")


def test_a_deadline_is_moved_and_the_job_placed_anew(clean_later: TestClient) -> None:
    job = clean_later.post("/v1/jobs", json=JOB).json()["id"]
    moved = clean_later.patch(f"/v1/jobs/{job}", json={"deadline": "2h"})
    assert moved.status_code == 200
    assert moved.json()["deadline"] == to_rfc3339(NOON_MS + 2 * HOUR)
    assert moved.json()["placement"]["start"] <= to_rfc3339(NOON_MS + HOUR)
    refused(
        clean_later.patch(f"/v1/jobs/{job}", json={"deadline": "1s"}), 422, "length_exceeds_window"
    )


def test_cancelled_is_for_good_and_twice_is_once(clean_later: TestClient) -> None:
    job = clean_later.post("/v1/jobs", json=JOB).json()["id"]
    for _ in range(2):
        answer = clean_later.delete(f"/v1/jobs/{job}")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    refused(clean_later.post(f"/v1/jobs/{job}/start"), 409, "job_state")
    refused(clean_later.patch(f"/v1/jobs/{job}", json={"deadline": "8h"}), 409, "job_state")


def test_asked_to_start_it_is_due_now(clean_later: TestClient) -> None:
    job = clean_later.post("/v1/jobs", json=JOB).json()["id"]
    answer = clean_later.post(f"/v1/jobs/{job}/start")
    assert (answer.status_code, answer.json()["reason"]) == (200, "asked_to_start")
    assert answer.json()["placement"]["start"] == to_rfc3339(NOON_MS)


def test_before_it_ran_a_job_has_no_logs_result_or_energy(clean_later: TestClient) -> None:
    job = clean_later.post("/v1/jobs", json=JOB).json()["id"]
    logs = clean_later.get(f"/v1/jobs/{job}/logs").json()
    assert (logs["stdout"], logs["stderr"]) == ("", "")
    result = clean_later.get(f"/v1/jobs/{job}/result").json()
    assert (result["state"], result["exit_code"], result["attempts"]) == ("waiting", None, [])


@pytest.mark.parametrize("call", ["", "/logs", "/result", "/saving"])
def test_an_unknown_job_is_404(admin: TestClient, call: str) -> None:
    refused(admin.get(f"/v1/jobs/job_0{call}"), 404, "unknown_job")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": "sleeping"}, "unknown_state"),
        ({"limit": "0"}, "invalid_parameter"),
        ({"limit": "501"}, "invalid_parameter"),
        ({"after": "x"}, "invalid_cursor"),
        ({"after": "99999999999999999999.job_1"}, "invalid_cursor"),
    ],
)
def test_a_page_that_cannot_be_meant_is_422(
    admin: TestClient, query: dict[str, str], code: str
) -> None:
    refused(admin.get("/v1/jobs", params=query), 422, code)


def test_pages_follow_each_other_and_states_are_chosen(clean_later: TestClient) -> None:
    jobs = [clean_later.post("/v1/jobs", json=JOB).json()["id"] for _ in range(3)]
    clean_later.delete(f"/v1/jobs/{jobs[0]}")
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = clean_later.get("/v1/jobs", params={"limit": "2", **after}).json()
        seen += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(seen) == sorted(jobs)
    waiting = clean_later.get("/v1/jobs", params={"state": "waiting,running"}).json()
    assert {job["id"] for job in waiting["jobs"]} == set(jobs[1:])


def test_local_jobs_are_the_own_team_s_alone(service: Service, team: TestClient) -> None:
    refused(team.post("/v1/jobs", json=JOB), 403, "executor_not_allowed")
    own = service.client("default", TEAM_SCOPES)
    assert own.post("/v1/jobs", json=JOB).status_code == 201
    refused(own.post("/v1/jobs", json={**JOB, "workload": "red/w"}), 422, "foreign_team")


def test_pools_are_made_and_listed(admin: TestClient) -> None:
    answer = admin.post("/v1/pools", json={"name": "night", "capacity": 3})
    assert answer.status_code == 201
    assert answer.json() == {
        "name": "night",
        "capacity": 3,
        "running": 0,
        "waiting": 0,
        "preference": {},
        "weights": {},
        "plan": None,
    }
    assert admin.post("/v1/jobs", json={**JOB, "pool": "night"}).status_code == 201
    (pool,) = admin.get("/v1/pools").json()["pools"]
    plan = pool.pop("plan")
    assert pool == {k: v for k, v in answer.json().items() if k != "plan"} | {"waiting": 1}
    assert (plan["jobs"], plan["method"], plan["gap"]) == (1, "one_by_one", None)


@pytest.mark.parametrize(
    "changed", [{"name": "a\0"}, {"weights": {"a\0": 1}}, {"name": "a\0\\u0000"}]
)
def test_a_pool_holds_no_text_that_postgresql_could_not(
    admin: TestClient, changed: dict[str, Any]
) -> None:
    asked = {"name": "night", "capacity": 3, **changed}
    refused(admin.post("/v1/pools", json=asked), 422, "invalid_text")
    assert admin.get("/v1/pools").json()["pools"] == []


def test_a_backslash_that_is_spelt_out_is_no_nul(admin: TestClient) -> None:
    assert admin.post("/v1/pools", json={"name": "a\\u0000", "capacity": 1}).status_code == 201


def test_a_pool_weighs_delay_cost_and_teams(admin: TestClient) -> None:
    asked = {
        "name": "night",
        "capacity": 3,
        "preference": {"saving_per_hour": 0.02, "g_per_money": 5.0, "money_per_kwh": [0.3] * 24},
        "weights": {"ml": 2.0},
    }
    told = admin.post("/v1/pools", json=asked).json()
    assert {k: told[k] for k in asked} == asked
    later = admin.post("/v1/pools", json={"name": "night", "capacity": 4}).json()
    assert {k: later[k] for k in asked} == {**asked, "capacity": 4}
    refused(admin.post("/v1/pools", json={"name": "new"}), 422, "capacity_missing")
    short = {"name": "night", "preference": {"g_per_money": 1.0, "money_per_kwh": [1.0]}}
    refused(admin.post("/v1/pools", json=short), 422, "bad_tariff")
    for bad in ({"ml": 0}, {"ml": -1}, {"ml": "2"}, ["ml"]):
        refused(
            admin.post("/v1/pools", json={"name": "night", "weights": bad}), 422, "invalid_body"
        )
    for bad in ({"saving_per_hour": -0.1}, {"other": 1}, 3):
        refused(
            admin.post("/v1/pools", json={"name": "night", "preference": bad}), 422, "invalid_body"
        )


def test_a_jobs_decisions_are_told_and_replayed(clean_later: TestClient) -> None:
    job = clean_later.post("/v1/jobs", json=JOB).json()
    told = clean_later.get(f"/v1/jobs/{job['id']}/decisions").json()
    (decision,) = told["decisions"]
    assert (decision["start"], decision["reason"]) == (job["placement"]["start"], job["reason"])
    assert decision["vintages"] != []
    assert decision["replays"] is None
    again = clean_later.get(f"/v1/jobs/{job['id']}/decisions?replay=true").json()
    assert again["decisions"][0]["replays"] is True
    refused(clean_later.get("/v1/jobs/job_none/decisions"), 404, "unknown_job")


def test_a_job_that_may_pause_names_its_parts(clean_later: TestClient) -> None:
    body = {**JOB, "interruptible": True, "max_pauses": 3, "min_segment_s": 600}
    job = clean_later.post("/v1/jobs", json=body).json()
    assert job["interruptible"] is True
    refused(clean_later.post("/v1/jobs", json={**JOB, "max_pauses": 3}), 422, "not_interruptible")
    for bad in ({"max_pauses": -1}, {"min_segment_s": -1}, {"checkpoint_s": "1m"}):
        refused(clean_later.post("/v1/jobs", json={**body, **bad}), 422, "invalid_body")


@pytest.mark.parametrize("capacity", [0, -1, True, "3", None, 1.5])
def test_a_pool_without_room_is_422(admin: TestClient, capacity: object) -> None:
    body = {"name": "night", "capacity": capacity}
    refused(admin.post("/v1/pools", json=body), 422, "invalid_body")


def test_pools_are_the_deployment_s(team: TestClient) -> None:
    refused(team.post("/v1/pools", json={"name": "n", "capacity": 1}), 403, "scope_missing")
    assert team.get("/v1/pools").status_code == 200


def test_the_scheduler_is_paused_with_a_reason_and_resumed(service: Service) -> None:
    admin = service.admin
    assert admin.get("/v1/scheduler").json()["paused"] is None
    told = admin.post("/v1/scheduler/pause", json={"reason": "audit day"})
    assert told.status_code == 200
    assert told.json()["paused"]["reason"] == "audit day"
    assert admin.get("/v1/scheduler").json() == told.json()
    assert admin.post("/v1/scheduler/resume").json()["paused"] is None
    refused(admin.post("/v1/scheduler/pause", json={}), 422, "invalid_body")
    team = service.client("blue")
    refused(team.post("/v1/scheduler/pause", json={"reason": "no"}), 403, "scope_missing")
    refused(team.post("/v1/scheduler/resume"), 403, "scope_missing")
    actions = [e["action"] for e in admin.get("/v1/audit").json()["entries"]]
    assert actions == ["scheduler.paused", "scheduler.resumed"]
