"""/v1/components and /v1/periods."""

from __future__ import annotations

import pytest
from service import HOUR, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339
from carbon.domain.tenancy import AGENT_SCOPES

WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
MODEL = {
    "workload": "w",
    "name": "hosted model",
    "kind": "external_api",
    "unit": "token",
    "g_per_unit": 0.01,
    "low": 0.005,
    "high": 0.05,
    "source": "https://example.org/card",
}


def test_a_component_is_counted_apart_and_a_period_is_signed_with_it(service: Service) -> None:
    admin = service.admin
    admin.post("/v1/intensity/DE", json=vintage(200.0))
    admin.post("/v1/energy", json=batch(an_hour()))
    admin.post("/v1/units", json={"units": [count(1_000)]})
    assert admin.post("/v1/components", json=MODEL).status_code == 201
    [held] = admin.get("/v1/components?workload=w").json()["components"]
    assert (held["workload"], held["g_per_unit"]) == ("default/w", 0.01)
    answer = admin.get("/v1/workloads/w/sci?unit=token").json()
    told = answer["measured_g"], answer["estimated_g"]
    assert told == pytest.approx((200, 10))

    signing = {**WINDOW, "signed_by": "Ana"}
    refused(admin.post("/v1/periods", json=signing), 409, "no_report")
    report = admin.post("/v1/reports", json={**WINDOW, "workload": "w"}).json()
    closed = admin.post("/v1/periods", json=signing)
    assert closed.status_code == 201, closed.text
    assert closed.json()["reports"][0]["id"] == report["id"]
    assert admin.get("/v1/periods").json()["periods"] == [closed.json()]
    again = admin.post("/v1/reports", json={**WINDOW, "workload": "w"})
    refused(again, 409, "period_closed")
    assert admin.get("/v1/audit/verify").json()["intact"]


def test_what_is_no_component_and_who_may_not_sign_is_refused(service: Service) -> None:
    admin, agent = service.admin, service.client("default", AGENT_SCOPES)
    refused(admin.post("/v1/components", json=MODEL), 404, "unknown_workload")
    refused(admin.post("/v1/components", json={**MODEL, "kind": "magic"}), 422, "invalid_body")
    refused(agent.post("/v1/periods", json={**WINDOW, "signed_by": "x"}), 403, "scope_missing")
