"""Who may call what: keys, scopes, teams, and what is told to whom. Walks the whole API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx2 import Response
from service import HOUR, Service, T, an_hour, batch, count, refused, vintage

from carbon.auth.keys import revoke_key
from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.tenancy import TEAM_SCOPES, Scope
from carbon.services.rollup.roll_up_lag import lag_of

#: Key-less by contract: on loopback, and where a token takes the place of a key.
KEYLESS = {("POST", "/v1/sci/calculate"), ("POST", "/v1/hosts/join")}
#: Red's things, by the parameter of the path that names them.
FOREIGN = {
    "name": "secret",
    "team": "red",
    "zone": "DE",
    "job_id": "job_0",
    "report_id": "rep_0",
    "token_id": "aaaaaaaaaaaa",
    "kind": "embodied",
    "subject": "gpu",
    "correction": "1",
    "frame": "f",
    "recommendation_id": "rec_0",
    "person_id": "1",
    "experiment_id": "exp_0",
    "budget_id": "1",
}


def operations(service: Service) -> Iterator[tuple[str, str]]:
    """(method, path) of every call that the document of the API knows."""
    for path, methods in service.app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path


def v1(service: Service) -> list[tuple[str, str]]:
    return [(method, path) for method, path in operations(service) if path.startswith("/v1/")]


def concrete(path: str, **names: str) -> str:
    for name, value in {**FOREIGN, **names}.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, path
    return path


def test_the_document_knows_every_call_of_v1(service: Service) -> None:
    """So that the walks below leave none out."""
    routes = [r for r in service.app.routes if isinstance(r, APIRoute)]
    served = {(m, r.path) for r in routes for m in r.methods if r.path.startswith("/v1/")}
    assert served <= set(v1(service))
    assert len(v1(service)) >= 25


def test_every_call_wants_a_key_but_those_that_the_contract_names(service: Service) -> None:
    for method, path in v1(service):
        answer = service.stranger.request(method, concrete(path), json={})
        if (method, path) in KEYLESS:
            assert answer.status_code != 401
        else:
            if path in OTHERS_FORM:
                assert answer.status_code == 401
            else:
                refused(answer, 401, "key_missing")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_is_asked_for_before_anything_else_is_looked_at(service: Service) -> None:
    """No unknown zone, parameter or body tells a stranger anything."""
    for method, path in v1(service):
        if (method, path) in KEYLESS:
            continue
        headers = {"Content-Type": "text/plain", "Content-Encoding": "br"}
        answer = service.stranger.request(
            method,
            concrete(path, zone="ATLANTIS"),
            params={"signal": "loud", "limit": "-1", "hours": "x", "start": "noon"},
            content=b"\xff",
            headers=headers,
        )
        refused(answer, 401, "key_missing")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "key_missing"),
        ("Bearer", "key_missing"),
        ("Bearer ", "key_missing"),
        ("Basic YTpi", "key_missing"),
        ("Bearer nonsense", "key_malformed"),
        ("Bearer ck_aaaaaaaaaaaa_" + "A" * 49, "key_malformed"),
        ("Bearer ' OR 1=1 --", "key_malformed"),
    ],
)
def test_what_is_no_key_is_401(service: Service, header: str, code: str) -> None:
    answer = service.stranger.get("/v1/workloads", headers={"Authorization": header})
    refused(answer, 401, code)


def test_a_key_of_another_service_or_cut_short_is_401(service: Service) -> None:
    text, _ = service.key("blue")
    assert service.with_key(text).get("/v1/workloads").status_code == 200
    refused(service.with_key(text[:-1]).get("/v1/workloads"), 401, "key_malformed")
    other_letter = "a" if text[5] != "a" else "b"
    garbled = text[:5] + other_letter + text[6:]
    refused(service.with_key(garbled).get("/v1/workloads"), 401, "key_malformed")


def test_a_revoked_key_is_401_at_once(service: Service) -> None:
    text, key_id = service.key("blue")
    client = service.with_key(text)
    assert client.get("/v1/workloads").status_code == 200
    revoke_key(service.context, key_id)
    refused(client.get("/v1/workloads"), 401, "key_revoked")


#: Calls that any of the scopes to write energy opens.
ANY_ENERGY_SCOPE = {"/v1/energy", "/v1/metrics", "/v1/quality"}
#: Calls that answer as their protocols say, and not as ours.
OTHERS_FORM = {"/v1/metrics", "/api/v1/write", "/metrics", "/health"}

#: The one scope that each call needs, where it is one alone.
SCOPES = {
    ("POST", "/v1/units"): Scope.UNITS_WRITE,
    ("POST", "/v1/corrections"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/corrections/{correction}/undo"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/workloads"): Scope.WORKLOADS_WRITE,
    ("PATCH", "/v1/workloads/{name}"): Scope.WORKLOADS_WRITE,
    ("PATCH", "/v1/workloads/{team}/{name}"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/intensity/{zone}"): Scope.INTENSITY_WRITE,
    ("POST", "/v1/prices/{zone}"): Scope.INTENSITY_WRITE,
    ("GET", "/v1/hosts"): Scope.HOSTS_WRITE,
    ("POST", "/v1/hosts"): Scope.HOSTS_WRITE,
    ("GET", "/v1/hosts/tokens"): Scope.KEYS_ADMIN,
    ("POST", "/v1/hosts/tokens"): Scope.KEYS_ADMIN,
    ("DELETE", "/v1/hosts/tokens/{token_id}"): Scope.KEYS_ADMIN,
    ("POST", "/v1/jobs"): Scope.JOBS_WRITE,
    ("POST", "/v1/jobs/batch"): Scope.JOBS_WRITE,
    ("PATCH", "/v1/jobs/{job_id}"): Scope.JOBS_WRITE,
    ("DELETE", "/v1/jobs/{job_id}"): Scope.JOBS_WRITE,
    ("POST", "/v1/jobs/{job_id}/start"): Scope.JOBS_WRITE,
    ("POST", "/v1/pools"): Scope.JOBS_WRITE,
    ("POST", "/v1/shadow"): Scope.REPORTS_READ,
    ("POST", "/v1/reports"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/reports/{report_id}/restate"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/factors"): Scope.INTENSITY_WRITE,
    ("POST", "/v1/experiments"): Scope.WORKLOADS_WRITE,
    ("PATCH", "/v1/recommendations/{recommendation_id}"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/periods"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/components"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/budgets"): Scope.WORKLOADS_WRITE,
    ("DELETE", "/v1/budgets/{budget_id}"): Scope.WORKLOADS_WRITE,
    ("POST", "/v1/inventory/contracts"): Scope.INTENSITY_WRITE,
    ("POST", "/v1/jobs/{job_id}/events"): Scope.JOBS_WRITE,
    ("POST", "/v1/scheduler/pause"): Scope.JOBS_WRITE,
    ("POST", "/v1/scheduler/resume"): Scope.JOBS_WRITE,
    ("GET", "/v1/people"): Scope.PEOPLE_INVITE,
    ("POST", "/v1/people"): Scope.PEOPLE_INVITE,
    ("POST", "/v1/people/{person_id}/link"): Scope.PEOPLE_INVITE,
    ("DELETE", "/v1/people/{person_id}"): Scope.PEOPLE_INVITE,
    ("GET", "/v1/audit"): Scope.AUDIT_READ,
    ("GET", "/v1/audit/verify"): Scope.AUDIT_READ,
}


def test_every_call_wants_its_scope(service: Service) -> None:
    for method, path in v1(service):
        if (method, path) in KEYLESS or path in ANY_ENERGY_SCOPE:
            continue
        needed = SCOPES.get((method, path), Scope.REPORTS_READ)
        assert method == "GET" or (method, path) in SCOPES, f"{method} {path} is not in the table"
        lacking = service.client("blue", set(Scope) - {needed})
        refused(lacking.request(method, concrete(path), json={}), 403, "scope_missing")


@pytest.fixture
def red(service: Service) -> TestClient:
    """Team red, with a workload that has energy and counts, and a job."""
    admin = service.admin
    admin.post("/v1/energy", json=batch(an_hour(workload="red/secret", run="r1")))
    admin.post("/v1/units", json={"units": [count(5, workload="red/secret")]})
    return service.client("red")


def red_job(service: Service) -> str:
    job = {
        "name": "secret",
        "workload": "red/secret",
        "executor": "local",
        "command": ["true"],
        "deadline": "6h",
        "length_s": 60,
    }
    answer = service.admin.post("/v1/jobs", json=job)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


#: Bodies that would be good if the thing were one's own.
BODIES: dict[str, Any] = {
    "/v1/workloads/{team}/{name}": {"persona": "provider"},
    "/v1/jobs/{job_id}": {"deadline": "8h"},
    "/v1/jobs/{job_id}/events": {"state": "cancelled"},
}
#: The same of what stands behind the question mark.
QUERIES: dict[str, Any] = {
    "/v1/workloads/{team}/{name}/totals": {
        "start": to_rfc3339(T),
        "end": to_rfc3339(T + HOUR),
        "unit": "device_hour",
        "site": "a",
    },
}


def test_another_team_s_things_are_not_found_by_any_call(
    service: Service, red: TestClient, team: TestClient
) -> None:
    """Never 200, never 403: that they exist is not told. Each call is good for their owner."""
    assert red.get("/v1/workloads/secret/sci").status_code == 200
    named = [(m, p) for m, p in v1(service) if "{team}" in p or "{job_id}" in p]
    assert len(named) >= 8
    for method, path in named:
        address = concrete(path, job_id=red_job(service))
        given = {"json": BODIES.get(path), "params": QUERIES.get(path)}
        answer = team.request(method, address, **given)
        assert answer.status_code == 404, f"{method} {address}: {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"
        nowhere = concrete(path, job_id="job_0", team="green")
        absent = team.request(method, nowhere, **given)
        assert told(answer) == told(absent), f"{method} {path} tells what exists"
        good = service.admin.request(method, address, **given)
        is_good = good.status_code == 200 or good.json()["code"] == "executor_reports"
        assert is_good, f"{method} {address}: {good.text}"


def told(answer: Response) -> tuple[int, str, object]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("near")


def test_bare_names_are_those_of_the_key_s_team(service: Service, red: TestClient) -> None:
    blue = service.client("blue")
    for path in ("/v1/workloads/secret", "/v1/workloads/secret/sci"):
        assert red.get(path).status_code == 200
        refused(blue.get(path), 404, "unknown_workload")
    answer = blue.patch("/v1/workloads/secret", json={"persona": "provider"})
    refused(answer, 404, "unknown_workload")


def test_no_write_reaches_another_team(service: Service, red: TestClient) -> None:
    before = red.get("/v1/workloads/secret/sci").json()
    blue = service.client("blue")
    answer = blue.post("/v1/energy", json=batch(an_hour(workload="red/secret", device="g")))
    assert [r["code"] for r in answer.json()["rejected"]] == ["foreign_team"]
    answer = blue.post("/v1/units", json={"units": [count(9, workload="red/secret")]})
    assert [r["code"] for r in answer.json()["rejected"]] == ["foreign_team"]
    refused(blue.post("/v1/workloads", json={"name": "red/mine"}), 404, "unknown_workload")
    assert red.get("/v1/workloads/secret/sci").json() == before


def test_lists_show_the_own_team_alone(service: Service, red: TestClient) -> None:
    job = red_job(service)
    blue = service.client("blue")
    assert blue.get("/v1/workloads").json() == {"workloads": []}
    assert blue.get("/v1/jobs").json()["jobs"] == []
    assert [j["id"] for j in red.get("/v1/jobs").json()["jobs"]] == [job]


def test_the_names_of_two_teams_runs_do_not_meet(service: Service) -> None:
    for team in ("red", "blue"):
        client = service.client(team)
        sent = batch(an_hour(run="r1", device=f"gpu-of-{team}"), source=team)
        assert client.post("/v1/energy", json=sent).json()["accepted"] == 1
        assert client.get("/v1/workloads/w/sci", params={"run": "r1"}).json()["count"] == 1


ODD = ["/v1", "/v1/nothing", "/v1/workloads/a/b/c/d", "/v2/energy", "/v1/jobs/x/y/z"]


@pytest.mark.parametrize("path", ODD)
def test_a_path_that_is_none_is_a_problem_document(admin: TestClient, path: str) -> None:
    refused(admin.get(path), 404, "no_such_path")


def test_a_method_that_is_none_is_a_problem_document(service: Service) -> None:
    answers = [service.admin.request("PUT", concrete(path), json={}) for _, path in v1(service)]
    for answer in answers:
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"]


def test_no_call_ever_answers_html(service: Service) -> None:
    """Whatever it is asked for, good or bad, and whatever the client says it wants."""
    wants = {"Accept": "text/html"}
    for client in (service.stranger, service.admin):
        for method, path in operations(service):
            if path in OTHERS_FORM:
                continue
            for body in ({}, {"name": "x"}, []):
                answer = client.request(method, concrete(path), json=body, headers=wants)
                kind = answer.headers["content-type"]
                assert kind in ("application/json", "application/problem+json"), path
                assert answer.status_code != 500, f"{method} {path}: {answer.text}"


def test_an_error_of_ours_is_a_problem_document_that_tells_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("carbon.services.sci.workloads.list_workloads", broken)
    answer = service.admin.get("/v1/workloads")
    refused(answer, 500, "internal_error")
    assert "secret" not in answer.text


def test_operations_answer_without_a_key(service: Service) -> None:
    service.admin.post("/v1/energy", json=batch(an_hour()))
    service.admin.post("/v1/intensity/DE", json=vintage(100.0))
    assert service.stranger.get("/healthz").json()["status"] == "ok"
    assert service.stranger.get("/readyz").json() == {"status": "ready"}
    metrics = service.stranger.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "carbon_ingest_intervals_total 1.0" in metrics.text
    assert "carbon_roll_up_lag_seconds" not in metrics.text  # nobody rolls up here


def test_the_process_that_rolls_up_says_how_far_it_is_behind(service: Service) -> None:
    lag_of(service.context.engine, service.context.clock).began()
    assert "carbon_roll_up_lag_seconds " in service.stranger.get("/metrics").text
    assert service.stranger.get("/healthz").json()["roll_up_lag_s"] >= 0


def test_the_document_of_the_api_is_served(service: Service) -> None:
    document = service.stranger.get("/openapi.json").json()
    assert document["info"]["title"] == "carbon"
    assert "/v1/energy" in document["paths"]
    assert service.stranger.get("/docs").status_code == 200


def test_keys_are_kept_by_team(service: Service) -> None:
    """What two teams call alike are two workloads."""
    for team in ("red", "blue"):
        client = service.client(team)
        client.post("/v1/energy", json=batch(an_hour(device=team), source=team))
        names = [w["name"] for w in client.get("/v1/workloads").json()["workloads"]]
        assert names == [f"{team}/w"]


def test_a_team_scope_is_what_team_keys_have(service: Service) -> None:
    client = service.client("blue", TEAM_SCOPES)
    created = client.post("/v1/workloads", json={"name": "mine"}).json()["created"]
    assert from_rfc3339(created) == service.context.clock.now_ms()
