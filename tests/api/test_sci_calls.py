"""GET /v1/workloads/{name}/sci and POST /v1/sci/calculate."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from service import HOUR, MINUTE, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import FIRST_MS, LAST_MS, to_rfc3339

#: Of the contract, to the letter; the rest is the project's.
CONTRACT_KEYS = [
    *("workload", "start", "end", "unit", "count", "count_set_aside", "energy_mj", "measured_g"),
    *("estimated_g", "operational_g", "embodied_g", "total_g", "sci_g_per_unit", "low", "high"),
    *("coverage", "methods", "zones", "boundary", "factors", "input_hash"),
]


@pytest.fixture
def measured(admin: TestClient) -> TestClient:
    """1 kWh at 200 g/kWh, and a thousand tokens."""
    assert admin.post("/v1/intensity/DE", json=vintage(200.0)).status_code == 201
    assert admin.post("/v1/energy", json=batch(an_hour())).status_code == 202
    assert admin.post("/v1/units", json={"units": [count(1_000)]}).status_code == 202
    return admin


def test_an_answer_has_the_keys_of_the_contract(measured: TestClient) -> None:
    answer = measured.get("/v1/workloads/w/sci")
    assert answer.status_code == 200
    body = answer.json()
    assert set(CONTRACT_KEYS) <= body.keys()
    assert body["workload"] == "default/w"
    assert (body["unit"], body["count"], body["count_set_aside"]) == ("token", 1_000, 0)
    assert body["energy_mj"] == 3_600_000_000
    assert body["operational_g"] == body["measured_g"] == pytest.approx(200.0)
    assert body["total_g"] == pytest.approx(body["operational_g"] + body["embodied_g"])
    assert body["sci_g_per_unit"] == pytest.approx(body["total_g"] / 1_000)
    assert body["low"] < body["sci_g_per_unit"] < body["high"]
    assert body["methods"] == {"counter": 1.0}
    assert (body["zones"], body["coverage"]) == (["DE"], 1.0)
    assert body["input_hash"].startswith("sha256:")
    assert "reason" not in body


def test_both_spellings_of_a_name_are_one_workload(measured: TestClient) -> None:
    bare, full = (measured.get(f"/v1/workloads/{n}/sci").json() for n in ("w", "default/w"))
    assert bare == full


def test_a_window_and_a_run_are_parts_of_the_whole(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(run="r1"), an_hour(7, run="r2", device="g")))
    query = {"start": to_rfc3339(T), "end": to_rfc3339(T + 30 * MINUTE), "run": "r1"}
    body = admin.get("/v1/workloads/w/sci", params=query).json()
    assert (body["start"], body["end"]) == (query["start"], query["end"])
    assert body["energy_mj"] == 1_800_000_000
    whole = admin.get("/v1/workloads/w/sci", params={"run": "r2"}).json()
    assert (whole["energy_mj"], whole["count"]) == (7, 1)


@pytest.mark.parametrize("text", ["2026-03-02T06:00:00Z", "2026-03-02T07:00:00+01:00"])
def test_times_carry_an_offset_even_when_a_query_loses_its_plus(
    measured: TestClient, text: str
) -> None:
    answer = measured.get(f"/v1/workloads/w/sci?start={text}")
    assert answer.json()["start"] == "2026-03-02T06:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "2026-03-02", "2026-03-02T06:00:00", "1772452800000", ""),
        *("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-13-01T00:00:00Z"),
        *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
    ],
)
@pytest.mark.parametrize("name", ["start", "end"])
def test_what_is_no_moment_is_422(measured: TestClient, name: str, text: str) -> None:
    answer = measured.get("/v1/workloads/w/sci", params={name: text})
    assert name in refused(answer, 422, "invalid_time")["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/workloads/w/sci",
        "/v1/sci?group_by=workload",
        "/v1/hosts",
        "/v1/inventory",
        "/v1/quality",
        "/emissions/average-carbon-intensity?location=DE",
    ],
)
def test_a_window_over_all_moments_that_can_be_stated_is_answered(
    measured: TestClient, path: str
) -> None:
    first, last = to_rfc3339(FIRST_MS), to_rfc3339(LAST_MS)
    names = ("startTime", "endTime") if "average" in path else ("start", "end")
    for window in ((first, last), (first, to_rfc3339(T)), (to_rfc3339(T), last), (last, last)):
        query = {**parse_qs(urlsplit(path).query), **dict(zip(names, window, strict=True))}
        answer = measured.get(urlsplit(path).path, params=query)
        assert answer.status_code < 500, (window, answer.text)


def test_end_before_start_is_422(measured: TestClient) -> None:
    query = {"start": to_rfc3339(T + HOUR), "end": to_rfc3339(T)}
    answer = measured.get("/v1/workloads/w/sci", params=query)
    refused(answer, 422, "end_before_start")


def test_an_unknown_workload_is_404_with_near_names(measured: TestClient) -> None:
    measured.post("/v1/energy", json=batch(an_hour(5, workload="chatbot", device="g"), seq=2))
    problem = refused(measured.get("/v1/workloads/chatbto/sci"), 404, "unknown_workload")
    assert problem["near"] == ["chatbot"]
    assert "chatbot" in problem["detail"]


def test_an_unknown_run_is_404(measured: TestClient) -> None:
    refused(measured.get("/v1/workloads/w/sci", params={"run": "r9"}), 404, "unknown_run")


def test_several_units_must_be_told_apart(measured: TestClient) -> None:
    measured.post("/v1/units", json={"units": [count(5, "request")]})
    problem = refused(measured.get("/v1/workloads/w/sci"), 422, "unit_required")
    assert problem["units"] == ["token", "request"]
    one = measured.get("/v1/workloads/w/sci", params={"unit": "request"}).json()
    assert (one["unit"], one["count"]) == ("request", 5)


def test_an_unknown_unit_is_422_with_near_ones(measured: TestClient) -> None:
    answer = measured.get("/v1/workloads/w/sci", params={"unit": "tokens"})
    assert refused(answer, 422, "unknown_unit")["near"] == ["token"]


def test_a_name_that_cannot_be_one_is_422(admin: TestClient) -> None:
    refused(admin.get("/v1/workloads/%00/sci"), 422, "invalid_workload")
    refused(admin.get("/v1/workloads/a%0Ab/sci"), 422, "invalid_workload")


@pytest.mark.parametrize(("name", "value"), [("signal", "loud"), ("scope", "wide")])
def test_a_word_that_is_none_of_ours_is_422(measured: TestClient, name: str, value: str) -> None:
    answer = measured.get("/v1/workloads/w/sci", params={name: value})
    assert name in refused(answer, 422, "invalid_parameter")["parameter"]


def test_no_units_is_null_with_a_reason(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour()))
    body = admin.get("/v1/workloads/w/sci", params={"unit": "run"}).json()
    assert (body["sci_g_per_unit"], body["low"], body["high"]) == (None, None, None)
    assert body["reason"] == "no_units"
    assert body["total_g"] > 0


def test_a_workload_without_energy_is_null_with_a_reason(admin: TestClient) -> None:
    admin.post("/v1/workloads", json={"name": "new"})
    body = admin.get("/v1/workloads/new/sci").json()
    assert (body["sci_g_per_unit"], body["reason"]) == (None, "no_energy")


def test_a_window_of_centuries_in_another_scope_answers_as_its_recorded_part(
    measured: TestClient,
) -> None:
    """Each 5 minutes of it are looked at again, but only those in which there is anything."""
    measured.post("/v1/intensity/DE", json=vintage(150.0, scope="direct"))
    query = {"start": "1900-01-01T00:00:00Z", "end": "2200-01-01T00:00:00Z", "scope": "direct"}
    body = measured.get("/v1/workloads/w/sci", params=query).json()
    assert body["operational_g"] == pytest.approx(150.0)
    assert body["energy_mj"] == 3_600_000_000


CARD = {
    "name": "card",
    "energy_kwh": 0.7,
    "intensity_g_per_kwh": 400,
    "embodied": {"total_g": 164_000, "reserved_s": 3_600, "lifespan_s": 126_144_000, "share": 1},
}


def calculate(client: TestClient, *components: object, **others: Any) -> Any:
    return client.post("/v1/sci/calculate", json={"components": components, **others})


def test_stated_figures_are_scored_without_a_key_on_this_machine(service: Service) -> None:
    answer = calculate(service.stranger, CARD, functional_unit={"name": "token", "count": 1_000})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == [
        "components",
        "operational_g",
        "embodied_g",
        "total_g",
        "sci_g_per_unit",
        "not_stated",
    ]
    assert body["operational_g"] == pytest.approx(280.0)
    assert body["embodied_g"] == pytest.approx(164_000 / 35_040)
    assert body["sci_g_per_unit"] == pytest.approx(body["total_g"] / 1_000)
    assert body["components"][0].keys() == {
        *("name", "operational_g", "embodied_g", "total_g", "sci_g_per_unit")
    }
    assert body["not_stated"] == []


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_through_a_proxy_it_wants_a_key(service: Service, header: str) -> None:
    body = {"components": [CARD]}
    passed_on = {header: "203.0.113.9"}
    answer = service.stranger.post("/v1/sci/calculate", json=body, headers=passed_on)
    refused(answer, 401, "key_missing")
    assert service.admin.post("/v1/sci/calculate", json=body, headers=passed_on).status_code == 200


def test_from_another_machine_it_wants_a_key(service: Service) -> None:
    far = TestClient(service.app, client=("203.0.113.9", 5), raise_server_exceptions=False)
    refused(calculate(far, CARD), 401, "key_missing")


def test_what_is_wholly_absent_counts_nothing_and_is_listed(admin: TestClient) -> None:
    body = calculate(
        admin, {"name": "x", "operational_g": 5}, {"name": "y", "embodied_g": 2}
    ).json()
    assert (body["total_g"], body["sci_g_per_unit"]) == (7, None)
    assert body["not_stated"] == ["x.embodied", "y.operational", "functional_unit"]


def test_a_count_of_nothing_gives_null(admin: TestClient) -> None:
    unit = {"name": "token", "count": 0}
    assert calculate(admin, CARD, functional_unit=unit).json()["sci_g_per_unit"] is None


def test_reserved_time_is_capped_at_the_lifespan(admin: TestClient) -> None:
    long = {**CARD, "embodied": {**CARD["embodied"], "reserved_s": 9e9}}  # type: ignore[dict-item]
    assert calculate(admin, long).json()["embodied_g"] == 164_000


@pytest.mark.parametrize(
    ("component", "code"),
    [
        ({"energy_kwh": 1}, "missing_intensity"),
        ({"intensity_g_per_kwh": 1}, "missing_energy"),
        ({"operational_g": 1, "energy_kwh": 1, "intensity_g_per_kwh": 1}, "stated_twice"),
        ({"embodied_g": 1, "embodied": CARD["embodied"]}, "stated_twice"),
        ({"operational_g": -1}, "negative_value"),
        ({"energy_kwh": 1, "intensity_g_per_kwh": 1, "pue": 0.9}, "pue_below_one"),
        ({"energy_kwh": 1e300, "intensity_g_per_kwh": 1e300}, "out_of_range"),
        ({"embodied_g": True}, "invalid_body"),
        ({"embodied_g": "5"}, "invalid_body"),
        ({"embodid_g": 5}, "invalid_body"),
        ({"offset_g": 5}, "invalid_body"),
    ],
)
def test_what_cannot_be_meant_is_422(
    admin: TestClient, component: dict[str, Any], code: str
) -> None:
    refused(calculate(admin, {"name": "x", **component}), 422, code)


def test_no_components_and_a_name_used_twice_are_422(admin: TestClient) -> None:
    refused(calculate(admin), 422, "no_components")
    refused(calculate(admin, CARD, CARD), 422, "duplicate_component")
