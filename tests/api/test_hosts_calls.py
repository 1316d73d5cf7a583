"""GET and POST /v1/hosts: who should report, and who does."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, T, an_hour, batch, refused

from carbon.clock import to_rfc3339

DAY = 24 * HOUR
WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(NOON_MS)}


def note(admin: TestClient, name: str, **members: Any) -> dict[str, Any]:
    answer = admin.post("/v1/hosts", json={"name": name, **members})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def listed(admin: TestClient, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = admin.get("/v1/hosts", params=query or WINDOW).json()
    return {**found, "by_name": {host["name"]: host for host in found["hosts"]}}


def test_a_registered_host_that_is_silent_lowers_completeness(admin: TestClient) -> None:
    """Six hours are expected of two hosts; one reported one hour."""
    for name in ("node1", "node2"):
        note(admin, name, commissioned=to_rfc3339(T - DAY))
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    found = listed(admin)
    assert found["completeness"] == pytest.approx(1 / 12)
    assert found["silent"] == 1
    node1, node2 = (found["by_name"][name] for name in ("node1", "node2"))
    assert (node1["state"], node1["completeness"]) == ("reporting", pytest.approx(1 / 6))
    assert (node2["state"], node2["completeness"], node2["last_seen"]) == ("silent", 0.0, None)
    quality = admin.get("/web/quality.json?last=today").json()
    assert (quality["completeness"] < 1, quality["silent_hosts"]) == (True, 1)


def test_of_a_host_that_nobody_registered_nothing_is_expected(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    found = listed(admin)
    assert (found["completeness"], found["silent"]) == (None, 0)
    assert found["by_name"]["node1"]["completeness"] is None


def test_a_retired_host_is_expected_no_longer(admin: TestClient) -> None:
    note(admin, "node1", commissioned=to_rfc3339(T - DAY))
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    told = note(admin, "node1", retired=to_rfc3339(T + HOUR))
    assert told["state"] == "retired"
    found = listed(admin)
    assert (found["completeness"], found["silent"]) == (1.0, 0)
    back = note(admin, "node1", commissioned=to_rfc3339(T + 2 * HOUR))
    assert back["state"] == "reporting"


def test_a_host_is_expected_from_its_first_day_in_service(admin: TestClient) -> None:
    told = note(admin, "node1", commissioned=to_rfc3339(NOON_MS + DAY))
    assert (told["state"], told["completeness"]) == ("planned", None)
    note(admin, "node2", commissioned=to_rfc3339(NOON_MS - HOUR))
    assert listed(admin)["completeness"] == 0.0


def test_said_again_it_is_noted_once(admin: TestClient) -> None:
    first = note(admin, "node1", zone="FR", pue=1.2)
    assert note(admin, "node1", zone="FR", pue=1.2) == first


def test_dates_that_cannot_be_meant_are_refused(admin: TestClient) -> None:
    body = {"name": "n", "commissioned": to_rfc3339(T), "retired": to_rfc3339(T - 1)}
    refused(admin.post("/v1/hosts", json=body), 422, "retired_before_commissioned")
    refused(admin.post("/v1/hosts", json={**body, "retired": "soon"}), 422, "invalid_time")
    refused(
        admin.get("/v1/hosts", params={"start": WINDOW["end"], "end": WINDOW["start"]}),
        422,
        "end_before_start",
    )
    assert listed(admin)["hosts"] == []


def test_a_host_in_a_cloud_region_takes_its_zone_and_published_pue(admin: TestClient) -> None:
    told = note(admin, "node1", region="AWS/eu-central-1")
    assert (told["region"], told["zone"], told["pue"]) == ("aws/eu-central-1", "DE", 1.24)
    admin.post("/v1/energy", json=batch(an_hour(), host="node1"))
    used = admin.get("/v1/workloads/w/sci?unit=device_hour").json()
    assert (used["zones"], "pue_unset" in used["flags"]) == (["DE"], False)


def test_what_is_said_of_a_host_outweighs_its_region(admin: TestClient) -> None:
    told = note(admin, "node1", region="aws/eu-south-1", pue=1.3, zone="FR")
    assert (told["zone"], told["pue"]) == ("FR", 1.3)


def test_a_region_without_a_published_pue_gets_no_mean_in_its_place(admin: TestClient) -> None:
    for region, code in (
        ("aws/atlantis-1", "unknown_region"),
        ("eu-central-1", "unknown_region"),
        ("aws/eu-south-1", "blank_coefficient"),
        ("gcp/europe-west3", "blank_coefficient"),
    ):
        refused(admin.post("/v1/hosts", json={"name": "node1", "region": region}), 422, code)
    assert admin.get("/v1/hosts").json()["hosts"] == []


def test_a_recorded_pue_fills_a_blank(admin: TestClient) -> None:
    factor = {
        "kind": "pue",
        "subject": "aws/eu-south-1",
        "name": "2025",
        "value": 1.2,
        "unit": "1",
        "low": 1.1,
        "high": 1.3,
        "source": "our contract",
        "vintage": "2025",
        "licence": "own",
        "tier": "supplier",
    }
    assert admin.post("/v1/factors", json=factor).status_code == 201
    assert note(admin, "node1", region="aws/eu-south-1")["pue"] == 1.2


def test_a_regions_figures_are_listed_and_read_by_their_ids(admin: TestClient) -> None:
    query = {"kind": "wue", "subject": "aws/eu-central-1"}
    [found] = admin.get("/v1/factors", params=query).json()["factors"]
    assert (found["value"], found["unit"], found["vintage"]) == (0.17, "L/kWh", "2025")
    assert admin.get(f"/v1/factors/{found['id']}").json() == found
