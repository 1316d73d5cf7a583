"""Functional units: several to a workload, gross or effective, converted only where it is said."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339

WINDOW = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
PAGE = {
    "name": "page",
    "definition": "one A4 page of text",
    "converted": {"of": "token", "factor": 0.002, "source": "500 tokens a page, our own corpus"},
}


@pytest.fixture
def house(admin: TestClient) -> TestClient:
    """1 kWh at 200 g/kWh for 1000 tokens and 10 requests."""
    admin.post("/v1/intensity/DE", json=vintage(200.0))
    admin.post("/v1/energy", json=batch(an_hour()))
    admin.post("/v1/units", json={"units": [count(1_000), count(10, "request")]})
    return admin


def changed(admin: TestClient, **members: Any) -> dict[str, Any]:
    answer = admin.patch("/v1/workloads/w", json=members)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def asked(admin: TestClient, unit: str) -> dict[str, Any]:
    answer = admin.get("/v1/workloads/w/sci", params={**WINDOW, "unit": unit})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_name_alone_is_a_unit_as_ever(house: TestClient) -> None:
    told = changed(house, units=["task"])
    assert (told["units"][:3], told["unit_meanings"]) == (["token", "request", "task"], [])
    assert "unit_meaning" not in asked(house, "token")


def test_gross_and_effective_units_stand_side_by_side(house: TestClient) -> None:
    gross = {"name": "token", "basis": "gross", "definition": "generated, retries too"}
    changed(house, units=[gross, {"name": "useful_token", "basis": "effective"}])
    house.post("/v1/units", json={"units": [count(800, "useful_token")]})
    all_, useful = asked(house, "token"), asked(house, "useful_token")
    assert (all_["unit_meaning"]["basis"], useful["unit_meaning"]["basis"]) == (
        "gross",
        "effective",
    )
    assert useful["sci_g_per_unit"] == pytest.approx(all_["sci_g_per_unit"] / 0.8)
    assert useful["total_g"] == all_["total_g"]


def test_a_converted_unit_counts_by_its_factor_and_discloses_it(house: TestClient) -> None:
    told = changed(house, units=[PAGE])
    assert told["unit_meanings"][0]["converted_from"] == "token"
    token, page = asked(house, "token"), asked(house, "page")
    assert page["count"] == pytest.approx(2.0)
    assert page["sci_g_per_unit"] == pytest.approx(500 * token["sci_g_per_unit"])
    assert page["unit_meaning"]["factor"] == 0.002
    assert page["unit_meaning"]["source"] == "500 tokens a page, our own corpus"


def test_an_explanation_says_from_what_a_unit_follows(house: TestClient) -> None:
    changed(house, units=[PAGE])
    body = {**WINDOW, "workload": "w", "unit": "page"}
    report = house.post("/v1/reports", json=body).json()["id"]
    terms = house.get(f"/v1/reports/{report}/explain").json()["terms"]
    [counted] = [term for term in terms if term["symbol"] == "R"]
    assert "of token, x 0.002 by 500 tokens a page" in counted["how"]


def test_a_series_is_converted_too(house: TestClient) -> None:
    changed(house, units=[PAGE])
    query = {"group_by": "workload", "step": "1h", "unit": "page", **WINDOW}
    [group] = house.get("/v1/sci", params=query).json()["groups"]
    [point] = group["points"]
    assert (point["unit"], point["count"]) == ("page", pytest.approx(2.0))


def test_another_meaning_is_another_input(house: TestClient) -> None:
    changed(house, units=[PAGE])
    before = asked(house, "page")["input_hash"]
    changed(house, units=[PAGE])  # the same again records nothing
    assert asked(house, "page")["input_hash"] == before
    half = {**PAGE["converted"], "factor": 0.001}  # type: ignore[dict-item]
    changed(house, units=[{**PAGE, "converted": half}])
    assert asked(house, "page")["input_hash"] != before


def test_a_converted_unit_is_counted_by_nobody(house: TestClient) -> None:
    changed(house, units=[PAGE])
    sent = house.post("/v1/units", json={"units": [count(5), count(7, "page")]}).json()
    assert [(one["index"], one["code"]) for one in sent["rejected"]] == [(1, "unit_is_converted")]
    assert asked(house, "page")["count"] == pytest.approx(2.0)


UNMEANT: list[tuple[dict[str, Any], int, str]] = [
    ({**PAGE, "converted": {"of": "page", "factor": 1, "source": "s"}}, 422, "converts_itself"),
    ({**PAGE, "converted": {"of": "word", "factor": 1, "source": "s"}}, 422, "unknown_unit"),
    ({**PAGE, "converted": {"of": "token", "factor": 0, "source": "s"}}, 422, "bounds"),
    ({**PAGE, "converted": {"of": "token", "factor": 1, "source": " "}}, 422, "missing_source"),
    ({**PAGE, "converted": {"of": "token", "factor": 1}}, 422, "invalid_body"),
    ({**PAGE, "basis": "net"}, 422, "invalid_body"),
    ({**PAGE, "name": "request"}, 409, "unit_is_counted"),
    ({**PAGE, "name": "run"}, 422, "derived_unit"),
]


def test_a_unit_that_cannot_be_meant_is_refused(house: TestClient) -> None:
    for unit, status, code in UNMEANT:
        refused(house.patch("/v1/workloads/w", json={"units": [unit]}), status, code)
    assert house.get("/v1/workloads/w").json()["unit_meanings"] == []


def test_conversions_are_one_step_long(house: TestClient) -> None:
    changed(house, units=[PAGE])
    book = {"name": "book", "converted": {"of": "page", "factor": 0.004, "source": "s"}}
    refused(house.patch("/v1/workloads/w", json={"units": [book]}), 422, "chained_conversion")
    changed(house, units=["letter"])
    token = {"name": "word", "converted": {"of": "letter", "factor": 0.2, "source": "s"}}
    changed(house, units=[token])
    letter = {"name": "letter", "converted": {"of": "token", "factor": 4, "source": "s"}}
    refused(house.patch("/v1/workloads/w", json={"units": [letter]}), 422, "chained_conversion")


def test_a_providers_report_marks_a_unit_that_does_not_say_what_it_counts(
    house: TestClient,
) -> None:
    changed(house, persona="provider")
    body = {**WINDOW, "workload": "w", "unit": "token"}
    marks = house.post("/v1/reports", json=body).json()["statement"]["marks"]
    assert "unit_basis_not_stated" in marks
    changed(house, units=[{"name": "token", "basis": "effective"}])
    report = house.post("/v1/reports", json=body).json()
    assert "unit_basis_not_stated" not in report["statement"]["marks"]
    exported = f"/v1/reports/{report['id']}/export?format="
    assert "token, effective" in house.get(exported + "html").text
    assert "token, effective" in house.get(exported + "gsf").text


def test_an_excluded_share_is_a_part_of_one(house: TestClient) -> None:
    boundary = {"included": ["gpu"], "excluded": [{"component": "n", "reason": "r", "share": 5}]}
    refused(house.patch("/v1/workloads/w", json={"boundary": boundary}), 422, "invalid_body")
