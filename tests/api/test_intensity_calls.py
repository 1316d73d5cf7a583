"""GET, POST /v1/intensity/{zone} and its forecast."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, Service, T, refused, vintage
from sqlalchemy import select

from carbon.clock import FakeClock, to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.services.grid.intensity import store_vintage
from carbon.storage.engine import reading
from carbon.storage.intensity import intensity_point

POINT_KEYS = ["start", "end", "g_per_kwh", "kind", "source", "signal", "scope", "vintage", "flags"]


def window(start_ms: int, end_ms: int) -> dict[str, str]:
    return {"start": to_rfc3339(start_ms), "end": to_rfc3339(end_ms)}


def figures(admin: TestClient, start_ms: int, end_ms: int, **query: str) -> list[float]:
    query |= window(start_ms, end_ms)
    return [p["g_per_kwh"] for p in admin.get("/v1/intensity/DE", params=query).json()["points"]]


def test_a_publication_is_shown_with_source_vintage_and_flags(admin: TestClient) -> None:
    answer = admin.post("/v1/intensity/de", json=vintage(100.0, 300.0))
    assert answer.status_code == 201
    assert answer.json() == {"zone": "DE", "accepted": 2, "quarantined": []}
    body = admin.get("/v1/intensity/DE", params=window(T, T + 2 * HOUR)).json()
    assert list(body) == ["zone", "start", "end", "points", "sources"]
    assert list(body["points"][0]) == POINT_KEYS
    assert body["points"][0] == {
        "start": to_rfc3339(T),
        "end": to_rfc3339(T + HOUR),
        "g_per_kwh": 100.0,
        "kind": "actual",
        "source": "meter",
        "signal": "average",
        "scope": "lifecycle",
        "vintage": to_rfc3339(NOON_MS),
        "flags": [],
    }
    assert figures(admin, T, T + 2 * HOUR) == [100.0, 300.0]


def test_without_a_window_it_is_the_last_day(admin: TestClient) -> None:
    body = admin.get("/v1/intensity/DE").json()
    assert (body["start"], body["end"]) == (to_rfc3339(NOON_MS - 24 * HOUR), to_rfc3339(NOON_MS))


def test_around_what_is_stored_the_yearly_figure_holds_and_says_so(admin: TestClient) -> None:
    admin.post("/v1/intensity/DE", json=vintage(100.0))
    points = admin.get("/v1/intensity/DE", params=window(T - HOUR, T + 2 * HOUR)).json()["points"]
    assert [p["kind"] for p in points] == ["yearly", "actual", "yearly"]
    assert points[0]["source"].startswith("bundled-")
    assert (points[0]["vintage"], points[0]["flags"]) == (None, ["yearly_figure"])


def test_a_later_publication_holds_and_the_earlier_is_kept(service: Service) -> None:
    admin = service.admin
    admin.post("/v1/intensity/DE", json=vintage(100.0))
    later = {**vintage(130.0), "published_at": to_rfc3339(NOON_MS - HOUR)}
    admin.post("/v1/intensity/DE", json=later)
    assert figures(admin, T, T + HOUR) == [100.0]  # older news, come late
    newest = {**vintage(170.0), "published_at": to_rfc3339(NOON_MS + 1_000)}
    assert admin.post("/v1/intensity/DE", json=newest).status_code == 201
    assert figures(admin, T, T + HOUR) == [170.0]
    assert stored(service) == [100.0, 130.0, 170.0]


def stored(service: Service) -> list[float]:
    with reading(service.context.engine) as connection:
        return sorted(connection.scalars(select(intensity_point.c.g_per_kwh)))


def test_the_same_publication_again_is_the_same_vintage(service: Service) -> None:
    for _ in range(2):
        assert service.admin.post("/v1/intensity/DE", json=vintage(100.0)).status_code == 201
    assert stored(service) == [100.0]


def test_other_figures_of_the_same_moment_are_another_vintage(service: Service) -> None:
    for g_per_kwh in (100.0, 120.0):
        service.admin.post("/v1/intensity/DE", json=vintage(g_per_kwh))
    assert stored(service) == [100.0, 120.0]
    assert figures(service.admin, T, T + HOUR) == [120.0]


def test_zeros_and_negatives_go_to_quarantine_and_are_never_green(admin: TestClient) -> None:
    answer = admin.post("/v1/intensity/DE", json=vintage(100.0, 0.0, -5.0, 9_999.0, 110.0))
    assert answer.status_code == 201
    assert answer.json()["accepted"] == 2
    assert answer.json()["quarantined"] == [
        {"start": to_rfc3339(T + n * HOUR), "end": to_rfc3339(T + (n + 1) * HOUR), "reason": why}
        for n, why in ((1, "zero"), (2, "negative"), (3, "too_high"))
    ]
    body = admin.get("/v1/intensity/DE", params=window(T, T + 5 * HOUR)).json()
    assert [p["kind"] for p in body["points"]] == ["actual", "yearly", "actual"]
    assert "quarantine" in body["points"][0]["flags"]


def test_a_forecast_is_told_from_what_was_seen(admin: TestClient) -> None:
    admin.post("/v1/intensity/DE", json=vintage(100.0, 90.0, start_ms=NOON_MS - HOUR))
    body = admin.get("/v1/intensity/DE/forecast", params={"hours": 1}).json()
    assert [(p["kind"], p["g_per_kwh"]) for p in body["points"]] == [("forecast", 90.0)]


def test_where_nothing_is_foretold_the_typical_hours_of_the_zone_are(admin: TestClient) -> None:
    body = admin.get("/v1/intensity/FR/forecast").json()
    assert (body["start"], body["end"]) == (to_rfc3339(NOON_MS), to_rfc3339(NOON_MS + 24 * HOUR))
    assert {(p["kind"], *p["flags"]) for p in body["points"]} == {
        ("typical", "typical_shape", "zone_unmeasured")
    }
    [source] = body["sources"]
    assert (source["source"], source["licence"]) == ("typical", "CC BY 4.0")
    assert "Our World in Data" in source["attribution"]


def test_of_the_world_there_are_no_typical_hours_but_a_yearly_figure(admin: TestClient) -> None:
    body = admin.get("/v1/intensity/WORLD/forecast").json()
    assert [p["kind"] for p in body["points"]] == ["yearly"]


def test_energy_is_never_priced_with_a_typical_hour(admin: TestClient) -> None:
    body = admin.get("/v1/intensity/FR", params=window(T - 5 * HOUR, T)).json()
    assert [(p["kind"], p["flags"]) for p in body["points"]] == [("yearly", ["yearly_figure"])]


def test_scopes_and_signals_are_asked_apart(admin: TestClient) -> None:
    admin.post("/v1/intensity/DE", json=vintage(100.0))
    admin.post("/v1/intensity/DE", json=vintage(70.0, scope="direct"))
    admin.post("/v1/intensity/DE", json=vintage(600.0, signal="marginal"))
    assert figures(admin, T, T + HOUR) == [100.0]
    assert figures(admin, T, T + HOUR, scope="direct") == [70.0]
    assert figures(admin, T, T + HOUR, signal="marginal") == [600.0]
    assert figures(admin, T - HOUR, T, signal="marginal") == []


def test_a_zone_unknown_to_all_is_404_with_near_ones(admin: TestClient) -> None:
    for path in ("/v1/intensity/Germny", "/v1/intensity/Germny/forecast"):
        problem = refused(admin.get(path), 404, "unknown_zone")
        assert problem["near"][0] == "DE"


def test_a_zone_of_one_s_own_is_known_once_something_is_stored(admin: TestClient) -> None:
    refused(admin.get("/v1/intensity/CELLAR"), 404, "unknown_zone")
    admin.post("/v1/intensity/CELLAR", json=vintage(40.0))
    points = admin.get("/v1/intensity/CELLAR", params=window(T, T + HOUR)).json()["points"]
    assert [p["g_per_kwh"] for p in points] == [40.0]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"start": to_rfc3339(T), "end": to_rfc3339(T)}, "end_before_start"),
        ({"start": to_rfc3339(T + 1), "end": to_rfc3339(T)}, "end_before_start"),
        ({"start": "2020-01-01T00:00:00Z"}, "window_too_long"),
        ({"end": "1970-01-01T00:00:00Z", "start": to_rfc3339(T)}, "end_before_start"),
        ({"start": "noon"}, "invalid_time"),
        ({"end": "9999-12-31T23:59:59-12:00"}, "invalid_time"),
        ({"signal": "loud"}, "invalid_parameter"),
        ({"scope": "wide"}, "invalid_parameter"),
    ],
)
def test_a_window_that_cannot_be_meant_is_422(
    admin: TestClient, query: dict[str, str], code: str
) -> None:
    refused(admin.get("/v1/intensity/DE", params=query), 422, code)


@pytest.mark.parametrize("hours", ["0", "169", "-1", "many", "1.5"])
def test_a_forecast_looks_one_hour_to_a_week_ahead(admin: TestClient, hours: str) -> None:
    answer = admin.get("/v1/intensity/DE/forecast", params={"hours": hours})
    refused(answer, 422, "invalid_parameter")


POINT = {"start_ms": T, "end_ms": T + HOUR, "g_per_kwh": 100.0}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"source": ""}, "invalid_body"),
        ({"signal": "loud"}, "invalid_body"),
        ({"scope": "wide"}, "invalid_body"),
        ({"published_at": "noon"}, "invalid_time"),
        ({"published_at": to_rfc3339(NOON_MS + HOUR)}, "from_the_future"),
        ({"points": [{**POINT, "g_per_kwh": True}]}, "invalid_body"),
        ({"points": [{**POINT, "g_per_kwh": "100"}]}, "invalid_body"),
        ({"points": [{**POINT, "start_ms": T + 0.5}]}, "invalid_body"),
        ({"points": [{**POINT, "start_ms": 1 << 53, "end_ms": 1 << 53}]}, "invalid_body"),
        ({"points": [{**POINT, "end_ms": T + 26 * HOUR}]}, "point_too_long"),
        ({"points": None}, "invalid_body"),
    ],
)
def test_a_publication_that_cannot_be_meant_is_422(
    service: Service, changed: dict[str, Any], code: str
) -> None:
    answer = service.admin.post("/v1/intensity/DE", json={**vintage(100.0), **changed})
    refused(answer, 422, code)
    assert stored(service) == []


def test_bringing_intensity_wants_its_scope(team: TestClient) -> None:
    refused(team.post("/v1/intensity/DE", json=vintage(1.0)), 403, "scope_missing")
    assert team.get("/v1/intensity/DE").status_code == 200


def test_what_was_refused_is_listed_latest_first_and_in_pages(admin: TestClient) -> None:
    admin.post("/v1/intensity/DE", json=vintage(0.0, 300.0, -5.0))
    admin.post("/v1/intensity/FR", json=vintage(0.0))
    path = "/v1/intensity/de/quarantine"
    body = admin.get(path, params={"limit": 1}).json()
    assert body["zone"] == "DE"
    [latest] = body["points"]
    assert (latest["source"], latest["g_per_kwh"], latest["reason"]) == ("meter", -5.0, "negative")
    rest = admin.get(path, params={"after": body["next"]}).json()
    assert [point["reason"] for point in rest["points"]] == ["zero"]
    assert rest["next"] is None
    refused(admin.get(path, params={"limit": 0}), 422, "invalid_parameter")
    refused(admin.get(path, params={"after": "x"}), 422, "invalid_parameter")
    refused(admin.get("/v1/intensity/XX-NO/quarantine"), 404, "unknown_zone")


def test_as_of_a_moment_later_revisions_are_not_seen(service: Service, clock: FakeClock) -> None:
    admin = service.admin
    admin.post("/v1/intensity/DE", json=vintage(100.0))
    before = to_rfc3339(clock.now_ms())
    clock.advance(3600)
    revised = {**vintage(170.0), "published_at": to_rfc3339(NOON_MS + HOUR)}
    admin.post("/v1/intensity/DE", json=revised)
    assert figures(admin, T, T + HOUR) == [170.0]
    assert figures(admin, T, T + HOUR, as_of=before) == [100.0]
    assert figures(admin, T, T + HOUR, as_of=to_rfc3339(NOON_MS + HOUR)) == [170.0]


def test_each_source_names_its_licence_and_whether_it_may_be_passed_on(
    admin: TestClient,
) -> None:
    own = {**vintage(100.0), "licence": "Our plant, meter 7"}
    admin.post("/v1/intensity/DE", json=own)
    rented = vintage(90.0, start_ms=T + HOUR)
    admin.post("/v1/intensity/DE", json={**rented, "source": "electricity_maps"})
    sources = admin.get("/v1/intensity/DE", params=window(T, T + 3 * HOUR)).json()["sources"]
    assert [s["source"] for s in sources][:2] == ["meter", "electricity_maps"]
    meter, maps, yearly = sources
    assert (meter["attribution"], meter["may_redistribute"]) == ("Our plant, meter 7", True)
    assert maps["may_redistribute"] is False
    assert yearly["licence"] == "CC BY 4.0"
    assert "Our World in Data" in yearly["attribution"]


def test_to_others_goes_what_may_be_passed_on(service: Service, admin: TestClient) -> None:
    points = tuple(
        IntensityPoint(NOON_MS - hour * HOUR, NOON_MS - (hour - 1) * HOUR, 123.0)
        for hour in range(3, 0, -1)
    )
    life = EmissionScope.LIFECYCLE
    made = Vintage("DE", "electricity_maps", Signal.AVERAGE, life, NOON_MS, points)
    store_vintage(service.context, made)
    span = {"start": to_rfc3339(NOON_MS - 3 * HOUR), "end": to_rfc3339(NOON_MS)}
    for as_of in ({}, {"as_of": to_rfc3339(NOON_MS + HOUR)}):
        own = admin.get("/v1/intensity/DE", params=span | as_of).json()
        others = admin.get("/v1/intensity/DE", params=span | as_of | {"to_others": "true"}).json()
        assert {point["source"] for point in own["points"]} == {"electricity_maps"}
        assert "electricity_maps" not in {point["source"] for point in others["points"]}
        assert all(source["may_redistribute"] for source in others["sources"])
