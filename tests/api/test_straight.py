"""Calls in front of FastAPI: the same answers, errors and methods as behind it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from service import Service, refused

from carbon.api.routes import sci

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
