"""POST, GET /v1/workloads; GET, PATCH /v1/workloads/{name}; and the inventory of hosts."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, Service, T, an_hour, batch, refused, vintage

from carbon.clock import to_rfc3339
from carbon.domain.tenancy import Scope

ANSWER_KEYS = {"unit_meanings", "name", "persona", "units", "boundary", "is_named", "created"}


def test_a_workload_is_created_with_what_it_is(admin: TestClient) -> None:
    boundary = {"included": ["gpu"], "excluded": [{"component": "network", "reason": "shared"}]}
    body = {"name": "chat", "persona": "provider", "units": ["token"], "boundary": boundary}
    answer = admin.post("/v1/workloads", json=body)
    assert answer.status_code == 201
    assert answer.json().keys() == ANSWER_KEYS
    assert answer.json() == admin.get("/v1/workloads/chat").json()
    assert answer.json()["name"] == "default/chat"
    assert answer.json()["units"] == ["token", "run", "device_hour"]
    assert answer.json()["boundary"] == {"version": 1, "persona": "provider", **boundary}


def test_the_same_name_twice_is_409(admin: TestClient) -> None:
    admin.post("/v1/workloads", json={"name": "chat"})
    refused(admin.post("/v1/workloads", json={"name": "chat"}), 409, "workload_exists")


def test_what_a_write_created_may_still_be_named(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour()))
    assert admin.get("/v1/workloads/w").json()["is_named"] is False
    answer = admin.post("/v1/workloads", json={"name": "w", "units": ["token"]})
    assert (answer.status_code, answer.json()["is_named"]) == (201, True)
    assert len(admin.get("/v1/workloads").json()["workloads"]) == 1


def test_a_change_sets_what_is_given_and_versions_the_boundary(admin: TestClient) -> None:
    admin.post("/v1/workloads", json={"name": "chat", "units": ["token"]})
    changed = admin.patch("/v1/workloads/chat", json={"persona": "provider"})
    assert (changed.status_code, changed.json()["persona"]) == (200, "provider")
    assert changed.json()["units"] == ["token", "run", "device_hour"]
    for version in (1, 2):
        answer = admin.patch("/v1/workloads/chat", json={"boundary": {"included": ["gpu"]}})
        assert answer.json()["boundary"]["version"] == version
    admin.patch("/v1/workloads/default/chat", json={"units": ["request"]})
    units = admin.get("/v1/workloads/default/chat").json()["units"]
    assert units == ["token", "request", "run", "device_hour"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_body"),
        ({"name": ""}, "invalid_body"),
        ({"name": 5}, "invalid_body"),
        ({"name": "a", "nam": 5}, "invalid_body"),
        ({"name": "a", "units": "token"}, "invalid_body"),
        ({"name": "a", "boundary": {}}, "invalid_body"),
        ({"name": "a/b/c"}, "invalid_workload"),
        ({"name": "sci"}, "invalid_workload"),
        ({"name": "a", "persona": "both"}, "invalid_persona"),
    ],
)
def test_a_workload_that_cannot_be_meant_is_422(
    admin: TestClient, body: dict[str, Any], code: str
) -> None:
    refused(admin.post("/v1/workloads", json=body), 422, code)
    assert admin.get("/v1/workloads").json() == {"workloads": []}


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_an_unknown_workload_is_404_with_near_names(admin: TestClient, method: str) -> None:
    admin.post("/v1/workloads", json={"name": "chat"})
    answer = admin.request(method, "/v1/workloads/chta", json={})
    assert refused(answer, 404, "unknown_workload")["near"] == ["chat"]


def test_a_team_lists_its_own_and_an_admin_all(service: Service, team: TestClient) -> None:
    team.post("/v1/workloads", json={"name": "chat"})
    service.admin.post("/v1/workloads", json={"name": "red/secret"})
    names = [
        [w["name"] for w in c.get("/v1/workloads").json()["workloads"]]
        for c in (team, service.admin)
    ]
    assert names == [["blue/chat"], ["blue/chat", "red/secret"]]


def test_near_names_tell_nothing_of_other_teams(service: Service, team: TestClient) -> None:
    service.admin.post("/v1/workloads", json={"name": "red/chatbot"})
    problem = refused(team.get("/v1/workloads/chatbto/sci"), 404, "unknown_workload")
    assert problem["near"] == []


def test_a_host_is_noted_and_prices_what_it_ran(admin: TestClient) -> None:
    admin.post("/v1/intensity/FR", json=vintage(50.0))
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    before = admin.get("/v1/workloads/w/sci").json()
    body = {"name": "node1", "zone": "FR", "pue": 1.5, "owner": "ops", "site": "cellar"}
    answer = admin.post("/v1/hosts", json=body)
    assert answer.status_code == 201
    told = answer.json()
    assert {**told, **body, "valid_from": "1970-01-01T00:00:00Z", "devices": 1} == told
    after = admin.get("/v1/workloads/w/sci").json()
    assert before["zones"] == ["DE"]
    assert "pue_unset" in before["flags"]
    assert (after["zones"], after["energy_mj"]) == (["FR"], before["energy_mj"])
    assert after["operational_g"] == pytest.approx(75.0)
    assert admin.get("/v1/hosts").json()["hosts"] == [told]


def test_a_host_s_zone_holds_from_a_time_on(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    body = {"name": "node1", "zone": "FR", "valid_from": to_rfc3339(T + HOUR // 2)}
    assert admin.post("/v1/hosts", json=body).status_code == 201
    assert admin.get("/v1/workloads/w/sci").json()["zones"] == ["DE", "FR"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"pue": 0.5}, 422, "pue_below_one"),
        ({"pue": True}, 422, "invalid_body"),
        ({"zone": "ATLANTIS"}, 422, "unknown_zone"),
        ({"valid_from": "soon"}, 422, "invalid_time"),
        ({"colour": "blue"}, 422, "invalid_body"),
        ({"name": ""}, 422, "invalid_body"),
    ],
)
def test_a_host_that_cannot_be_meant_is_refused(
    admin: TestClient, changed: dict[str, Any], status: int, code: str
) -> None:
    refused(admin.post("/v1/hosts", json={"name": "node1", **changed}), status, code)
    assert admin.get("/v1/hosts").json()["hosts"] == []


def test_hosts_are_the_deployment_s(service: Service, team: TestClient) -> None:
    refused(team.get("/v1/hosts"), 403, "scope_missing")
    refused(team.post("/v1/hosts", json={"name": "n"}), 403, "scope_missing")
    keeper = service.client("blue", {Scope.HOSTS_WRITE})
    assert keeper.post("/v1/hosts", json={"name": "n"}).status_code == 201
