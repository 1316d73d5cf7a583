"""The page of a workload: what it holds without use, what is embodied, quality beside carbon."""

from __future__ import annotations

import re
from typing import Any

import pytest
from arms import BLOCKS, comparison, send_arms, windows
from fastapi.testclient import TestClient
from ledger import interval
from service import HOUR, T, an_hour, batch

RANGE = "start=2026-03-02&end=2026-03-02"


def seen(admin: TestClient, name: str = "w") -> tuple[dict[str, Any], dict[str, float]]:
    """The page's JSON, and the numbers of the page by their path."""
    query = f"workload=default/{name}&{RANGE}"
    answer = admin.get(f"/web/workload.json?{query}").json()
    page = admin.get(f"/workloads/default/{name}?{RANGE}").text
    found = re.findall(r'<data [^>]*value="([^"]+)" data-path="([^"]+)"', page)
    return answer, {path: float(value) for value, path in found}


def test_time_held_without_energy_is_its_idle_share(admin: TestClient) -> None:
    """Two hours held, one of them used."""
    held = {"device": "gpu-0", "workload": "w", "start_ms": T, "end_ms": T + 2 * HOUR}
    held["share_ppm"] = 1_000_000
    idle = interval(T + HOUR, T + 2 * HOUR, 250_000_000, workload=None, subject="idle")
    admin.post("/v1/energy", json=batch(an_hour(), idle, reservations=[held]))
    answer, shown = seen(admin)
    assert answer["held_h"] == pytest.approx(2.0)
    assert answer["idle_share"] == pytest.approx(0.5)
    assert shown["idle_share"] == answer["idle_share"]


def test_what_nobody_reserved_is_held_as_long_as_it_is_used(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour()))
    answer, shown = seen(admin)
    assert (answer["held_h"], answer["idle_share"]) == (pytest.approx(1.0), 0.0)
    told = admin.get("/v1/workloads/w/sci?unit=device_hour").json()
    assert answer["embodied_share"] == pytest.approx(told["embodied_g"] / told["total_g"])
    assert shown["embodied_share"] == answer["embodied_share"]


def test_a_workload_that_drew_nothing_has_no_shares(admin: TestClient) -> None:
    admin.post("/v1/workloads", json={"name": "quiet"})
    answer, shown = seen(admin, "quiet")
    assert (answer["idle_share"], answer["embodied_share"]) == (None, None)
    assert not {"idle_share", "embodied_share"} & shown.keys()
    assert answer["quality"] == []


def test_quality_stands_beside_carbon_as_its_experiment_found_it(admin: TestClient) -> None:
    send_arms(admin)

    def measured(arm: int) -> list[dict[str, Any]]:
        of_arm = (0.91, 0.90)[arm]
        return [{**w, "quality": of_arm + n / 1000} for n, w in enumerate(windows(arm))]

    told = admin.post(
        "/v1/experiments", json=comparison(measured, quality_metric="accuracy", title="int8")
    ).json()
    assert len(told["baseline"]["blocks"]) == BLOCKS, told
    answer, shown = seen(admin)
    [line] = answer["quality"]
    of_experiment = told["deltas"]["quality"]
    assert line["experiment"] == told["id"]
    assert (line["before"], line["after"]) == (
        of_experiment["baseline"],
        of_experiment["treatment"],
    )
    assert line["sci_change"] == told["deltas"]["sci"]["relative"]
    for name in ("before", "after", "difference", "sci_change"):
        assert shown[f"quality.0.{name}"] == line[name]
