"""A misspelt query parameter is told, and the page of calls asks nothing of other servers."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient
from service import Service, refused


def test_a_misspelt_parameter_is_refused_with_the_known_ones(admin: TestClient) -> None:
    answer = admin.get("/v1/workloads/demo/sci?strat=2026-01-01T00:00:00Z")
    problem = refused(answer, 422, "unknown_parameter")
    assert "start" in problem["detail"]


def test_a_stranger_learns_nothing_of_parameters(service: Service) -> None:
    refused(service.stranger.get("/v1/workloads?nonsense=1"), 401, "key_missing")


def test_metrics_ask_a_key_from_afar(service: Service) -> None:
    far = TestClient(service.app, client=("203.0.113.9", 5))
    refused(far.get("/metrics"), 401, "key_missing")
    assert service.stranger.get("/metrics").status_code == 200


def test_the_page_of_calls_lists_every_call_and_loads_nothing_from_outside(
    service: Service,
) -> None:
    page = service.stranger.get("/docs").text
    assert not re.findall(r"(?:src|href)=\"https?://", page)
    for path in service.app.openapi()["paths"]:
        assert path in page
