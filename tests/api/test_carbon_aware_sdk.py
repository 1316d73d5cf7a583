"""The Carbon Aware SDK's paths: its names, its arrays, its 204 and its problem documents."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from service import HOUR, NOON_MS, Service

from carbon.api.compat.carbon_aware_sdk import _time_span
from carbon.clock import from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.services.grid.intensity import store_vintage

EMISSION = ["location", "time", "rating", "duration"]
FORECAST = [
    "generatedAt",
    "requestedAt",
    "location",
    "dataStartAt",
    "dataEndAt",
    "windowSize",
    "optimalDataPoints",
    "forecastData",
]
DATA_POINT = ["location", "timestamp", "duration", "value"]
PROBLEM = {"type", "title", "status", "detail", "errors", "traceId"}
AHEAD = [300.0, 200.0, 100.0, 100.0, 250.0, 400.0]

Ask = Callable[..., Any]


def publish(
    service: Service,
    zone: str,
    start_ms: int,
    values: list[float],
    source: str = "energy_charts",
    kind: PointKind = PointKind.FORECAST,
) -> None:
    points = tuple(
        IntensityPoint(start_ms + i * HOUR, start_ms + (i + 1) * HOUR, value, kind)
        for i, value in enumerate(values)
    )
    average, life = Signal.AVERAGE, EmissionScope.LIFECYCLE
    store_vintage(service.context, Vintage(zone, source, average, life, NOON_MS, points))


@pytest.fixture
def sdk(service: Service) -> TestClient:
    """Without a key, on loopback, as its own clients come."""
    publish(service, "DE", NOON_MS - 3 * HOUR, [90.0, 80.0, 70.0], kind=PointKind.ACTUAL)
    publish(service, "FR", NOON_MS - 3 * HOUR, [60.0, 50.0, 55.0], kind=PointKind.ACTUAL)
    publish(service, "DE", NOON_MS, AHEAD)
    return service.stranger


def stamp(hours: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp((NOON_MS + hours * HOUR) / 1000, UTC).isoformat()


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == PROBLEM
    assert body["status"] == status
    return body


# Emissions


def test_emissions_of_a_place_are_an_array_of_its_names(sdk: TestClient) -> None:
    query = {"location": "DE", "time": stamp(-3), "toTime": stamp(0)}
    rows = sdk.get("/emissions/bylocation", params=query).json()
    assert [list(row) for row in rows] == [EMISSION] * 3
    assert rows[0] == {
        "location": "DE",
        "time": stamp(-3),
        "rating": 90.0,
        "duration": "01:00:00",
    }


def test_without_a_time_the_point_that_holds_now(sdk: TestClient) -> None:
    [row] = sdk.get("/emissions/bylocation", params={"location": "DE"}).json()
    assert row["rating"] == AHEAD[0]


def test_several_places_by_the_parameter_repeated_and_the_best_of_them(sdk: TestClient) -> None:
    query = {"location": ["DE", "FR"], "time": stamp(-3), "toTime": stamp(0)}
    rows = sdk.get("/emissions/bylocations", params=query).json()
    assert {row["location"] for row in rows} == {"DE", "FR"}
    best = sdk.get("/emissions/bylocations/best", params=query).json()
    assert [(row["location"], row["rating"]) for row in best] == [("FR", 50.0)]


def test_a_cloud_region_is_a_place_and_keeps_its_name(sdk: TestClient) -> None:
    query = {"location": "germanywestcentral", "time": stamp(-1), "toTime": stamp(0)}
    [row] = sdk.get("/emissions/bylocation", params=query).json()
    assert (row["location"], row["rating"]) == ("germanywestcentral", 70.0)


def test_what_lies_ahead_is_no_emission_and_nothing_is_204(sdk: TestClient) -> None:
    query = {"location": "DE", "time": stamp(2), "toTime": stamp(4)}
    answer = sdk.get("/emissions/bylocation", params=query)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "path", ["/emissions/bylocation", "/emissions/bylocations", "/emissions/bylocations/best"]
)
def test_a_place_must_be_named_and_known(sdk: TestClient, path: str) -> None:
    assert problem(sdk.get(path), 400)["errors"].keys() == {"location"}
    problem(sdk.get(path, params={"location": "NOWHERE-AT-ALL"}), 400)


@pytest.mark.parametrize(
    "time",
    ["2026-03-02T11:00:00.5092741+00:00", "2026-03-02T11:00:00Z", "2026-03-02T11:00:00"],
)
def test_times_are_read_as_its_clients_write_them(sdk: TestClient, time: str) -> None:
    [row] = sdk.get("/emissions/bylocation", params={"location": "DE", "time": time}).json()
    assert row["rating"] == 70.0


def test_a_plus_that_a_query_lost_is_found_again(sdk: TestClient) -> None:
    answer = sdk.get("/emissions/bylocation?location=DE&time=2026-03-02T11:00:00+00:00")
    assert answer.json()[0]["rating"] == 70.0


def test_no_time_at_all_is_told(sdk: TestClient) -> None:
    query = {"location": "DE", "time": "yesterday"}
    assert "time" in problem(sdk.get("/emissions/bylocation", params=query), 400)["errors"]


# Forecasts


def current(sdk: TestClient, **query: Any) -> Any:
    return sdk.get("/emissions/forecasts/current", params={"location": "DE", **query})


def test_a_forecast_has_its_names_and_all_ties_are_optimal(sdk: TestClient) -> None:
    [told] = current(sdk).json()
    assert list(told) == FORECAST
    assert [list(point) for point in told["forecastData"]] == [DATA_POINT] * len(AHEAD)
    assert [point["value"] for point in told["forecastData"]] == AHEAD
    assert told["windowSize"] == 60
    assert [p["timestamp"] for p in told["optimalDataPoints"]] == [stamp(2), stamp(3)]
    assert (told["dataStartAt"], told["dataEndAt"]) == (stamp(0), stamp(6))


def test_a_window_is_averaged_from_each_timestamp_and_fits_into_the_data(
    sdk: TestClient,
) -> None:
    [told] = current(sdk, windowSize=120).json()
    means = [(a + b) / 2 for a, b in pairwise(AHEAD)]
    assert [point["value"] for point in told["forecastData"]] == means
    assert {point["duration"] for point in told["forecastData"]} == {120}
    assert [p["value"] for p in told["optimalDataPoints"]] == [100.0]


def test_windows_need_not_be_whole_points(sdk: TestClient) -> None:
    [told] = current(sdk, windowSize=90).json()
    assert told["forecastData"][0]["value"] == pytest.approx((300 + 0.5 * 200) / 1.5)


def test_data_can_be_cut_at_both_ends(sdk: TestClient) -> None:
    [told] = current(sdk, dataStartAt=stamp(0.5), dataEndAt=stamp(3), windowSize=30).json()
    assert [p["timestamp"] for p in told["forecastData"]] == [stamp(0.5), stamp(1), stamp(2)]


@pytest.mark.parametrize(
    "query",
    [
        {"dataStartAt": stamp(-2)},
        {"dataEndAt": stamp(7)},
        {"dataStartAt": stamp(3), "dataEndAt": stamp(2)},
        {"windowSize": 0},
        {"windowSize": "long"},
        {"windowSize": 600},
    ],
)
def test_what_lies_outside_of_the_forecast_is_400(sdk: TestClient, query: dict) -> None:
    problem(current(sdk, **query), 400)


def test_a_place_without_a_forecast_is_501_as_without_a_source(sdk: TestClient) -> None:
    problem(sdk.get("/emissions/forecasts/current", params={"location": "WORLD"}), 501)


def test_typical_hours_are_a_forecast_made_when_it_is_asked_for(sdk: TestClient) -> None:
    [told] = sdk.get("/emissions/forecasts/current", params={"location": "BR"}).json()
    assert told["generatedAt"] == told["requestedAt"]
    assert len(told["optimalDataPoints"]) >= 1


def test_a_batch_tells_what_was_foretold_then(sdk: TestClient, service: Service) -> None:
    service.context.clock.advance(1800)  # type: ignore[attr-defined]
    publish(service, "DE", NOON_MS, [1.0] * 6)
    then = {"requestedAt": stamp(0), "location": "DE", "windowSize": 60}
    now = {"requestedAt": stamp(0.5), "location": "DE"}
    first, second = sdk.post("/emissions/forecasts/batch", json=[then, now]).json()
    assert [p["value"] for p in first["forecastData"]] == AHEAD
    assert {p["value"] for p in second["forecastData"]} == {1.0}
    assert first["requestedAt"] == stamp(0)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'[{"location": "DE"}]', b'[{"requestedAt": "2026-03-02T12:00:00Z"}]'],
)
def test_a_batch_of_something_else_is_400(sdk: TestClient, body: bytes) -> None:
    answer = sdk.post(
        "/emissions/forecasts/batch", content=body, headers={"Content-Type": "application/json"}
    )
    problem(answer, 400)


# Averages


def test_an_average_is_weighted_by_time(sdk: TestClient) -> None:
    query = {"location": "DE", "startTime": stamp(-2.5), "endTime": stamp(0)}
    told = sdk.get("/emissions/average-carbon-intensity", params=query).json()
    assert list(told) == ["location", "startTime", "endTime", "carbonIntensity"]
    assert told["carbonIntensity"] == pytest.approx((90 / 2 + 80 + 70) / 2.5)


def test_a_batch_of_averages_is_of_one_place(sdk: TestClient) -> None:
    path = "/emissions/average-carbon-intensity/batch"
    asked = [
        {"location": "DE", "startTime": stamp(hour), "endTime": stamp(hour + 1)}
        for hour in (-3, -2)
    ]
    told = sdk.post(path, json=asked).json()
    assert [one["carbonIntensity"] for one in told] == [90.0, 80.0]
    asked[1]["location"] = "FR"
    problem(sdk.post(path, json=asked), 400)


@pytest.mark.parametrize("missing", ["location", "startTime", "endTime"])
def test_an_average_wants_all_three(sdk: TestClient, missing: str) -> None:
    query = {"location": "DE", "startTime": stamp(-2), "endTime": stamp(0)}
    del query[missing]
    told = problem(sdk.get("/emissions/average-carbon-intensity", params=query), 400)
    assert missing in told["errors"]


def test_an_average_at_the_calendars_end_is_no_time(sdk: TestClient) -> None:
    """An hour in the year 10000 of UTC was an error of ours."""
    query = {
        "location": "DE",
        "startTime": "9999-12-31T23:00:00Z",
        "endTime": "9999-12-31T23:59:59-12:00",
    }
    told = problem(sdk.get("/emissions/average-carbon-intensity", params=query), 400)
    assert "9999" in told["detail"]


# Places, health, access


def test_places_have_capital_names(sdk: TestClient) -> None:
    told = sdk.get("/locations").json()
    assert list(told["eastus"]) == ["Latitude", "Longitude", "Name"]
    assert told["eastus"]["Name"] == "eastus"
    assert {"DE", "eu-west-1", "europe-west4"} <= told.keys()


def test_health_is_a_word(sdk: TestClient) -> None:
    answer = sdk.get("/health")
    assert (answer.status_code, answer.text) == (200, "Healthy")


@pytest.mark.parametrize("path", ["/emissions/bylocation?location=DE", "/locations"])
def test_behind_a_proxy_a_key_is_wanted(sdk: TestClient, service: Service, path: str) -> None:
    through = {"X-Forwarded-For": "203.0.113.7"}
    assert sdk.get(path, headers=through).status_code == 401
    assert service.client("blue").get(path, headers=through).status_code == 200


def test_what_a_licence_forbids_to_pass_on_is_not_told(sdk: TestClient, service: Service) -> None:
    publish(service, "DE", NOON_MS, [5.0] * 6, "electricity_maps")
    [row] = sdk.get("/emissions/bylocation", params={"location": "DE"}).json()
    [told] = current(sdk).json()
    assert row["rating"] == AHEAD[0]
    assert [point["value"] for point in told["forecastData"]] == AHEAD


@given(st.integers(1, 10 * 86_400))
def test_a_duration_is_written_as_dotnet_does(seconds: int) -> None:
    text = _time_span(seconds * 1000)
    days, dot, clock = text.rpartition(".")
    assert bool(dot) == (seconds >= 86_400)
    hours, minutes, rest = (int(part) for part in clock.split(":"))
    assert int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + rest == seconds


def test_stamps_are_utc_moments(sdk: TestClient) -> None:
    [told] = current(sdk).json()
    assert from_rfc3339(told["generatedAt"]) == NOON_MS
    assert told["generatedAt"].endswith("+00:00")
