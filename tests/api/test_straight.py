"""Calls in front of FastAPI: the same answers, errors and methods as behind it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from service import Service, refused

from carbon.api.routes import sci

FORECAST = "/v1/intensity/DE/forecast"
PATH = "/v1/sci/calculate"
BODY = {"components": [{"name": "c", "operational_g": 2, "embodied_g": 1}]}


def test_a_straight_call_answers_as_any_other(admin: TestClient) -> None:
    answer = admin.post(PATH, json=BODY)
    assert (answer.status_code, answer.json()["total_g"]) == (200, 3.0)
    assert answer.headers["content-type"] == "application/json"


def test_its_errors_are_problem_documents(admin: TestClient) -> None:
    refused(admin.post(PATH, json={"components": []}), 422, "no_components")
    refused(admin.post(PATH, content=b"{"), 400, "malformed_json")
    refused(admin.post(f"{PATH}?unit=token", json=BODY), 422, "unknown_parameter")
    refused(admin.post("/v1/energy", json={}), 422, "invalid_body")


def test_other_methods_of_its_path_are_refused(admin: TestClient) -> None:
    refused(admin.get(PATH), 405, "method_not_allowed")


def test_what_nobody_foresaw_is_told_without_its_insides(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_request: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(sci, "calculated", fails)
    answer = service.admin.post(PATH, json=BODY)
    refused(answer, 500, "internal_error")
    assert "secret" not in answer.text


def test_a_forecast_asked_straight_is_the_one_behind(admin: TestClient) -> None:
    straight = admin.get(FORECAST, params={"hours": "24", "signal": "average"})
    # A question that is not plain goes the long way: here by a repeated parameter.
    behind = admin.get(f"{FORECAST}?hours=24&hours=24")
    assert straight.status_code == behind.status_code == 200
    assert straight.json() == behind.json()
    assert straight.headers["content-type"] == behind.headers["content-type"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("hours=0", 422, "invalid_parameter"),
        ("hours=169", 422, "invalid_parameter"),
        ("hours=99999999", 422, "invalid_parameter"),
        ("hours=x", 422, "invalid_parameter"),
        ("signal=loud", 422, "invalid_parameter"),
        ("scope=", 422, "invalid_parameter"),
        ("colour=red", 422, "unknown_parameter"),
    ],
)
def test_a_forecast_that_is_badly_asked_is_refused_as_ever(
    admin: TestClient, query: str, status: int, code: str
) -> None:
    refused(admin.get(f"{FORECAST}?{query}"), status, code)


def test_a_forecast_is_told_to_nobody_without_a_key_nor_of_no_zone(
    service: Service, admin: TestClient
) -> None:
    refused(service.stranger.get(FORECAST), 401, "key_missing")
    wrong = {"Authorization": "Bearer ck_wrong"}
    refused(service.stranger.get(FORECAST, headers=wrong), 401, "key_malformed")
    refused(admin.get("/v1/intensity/NOWHERE/forecast"), 404, "unknown_zone")
    refused(admin.get("/v1/intensity//forecast"), 404, "no_such_path")
    refused(admin.delete(FORECAST), 405, "method_not_allowed")
