"""Prices of energy: brought by post, CSV or ENTSO-E, told beside the intensity."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from service import NOON_MS, refused

sys.path.insert(0, str(Path(__file__).parents[1]))

from grid_double import GridDouble
from grid_double.entsoe_shape import TOKEN

from carbon.clock import FakeClock, to_rfc3339
from carbon.errors import InvalidInput
from carbon.grid.entsoe import Entsoe
from carbon.grid.feed import FeedAnswerInvalid, PriceFeed
from carbon.imports.price_csv import read_price_csv
from carbon.services.background.price_polling import PricePolling
from carbon.services.context import Context
from carbon.services.jobs.energy_prices import with_known_prices
from carbon.services.jobs.plan_inputs import PoolTerms
from carbon.storage.engine import reading

HOUR = 3_600_000
PATH = "/v1/prices/DE"


def publication(*per_kwh: float, **others: Any) -> dict[str, Any]:
    points = [
        {"start_ms": NOON_MS + i * HOUR, "end_ms": NOON_MS + (i + 1) * HOUR, "per_kwh": value}
        for i, value in enumerate(per_kwh)
    ]
    told = {"source": "market", "currency": "EUR", "published_at": to_rfc3339(NOON_MS)}
    return told | {"points": points} | others


def told(admin: TestClient, hours: int = 4) -> list[tuple[float, str]]:
    window = {"start": to_rfc3339(NOON_MS), "end": to_rfc3339(NOON_MS + hours * HOUR)}
    points = admin.get(PATH, params=window).json()["points"]
    return [(point["per_kwh"], point["source"]) for point in points]


def test_prices_posted_are_told_with_source_and_licence(admin: TestClient) -> None:
    answer = admin.post(PATH, json=publication(0.1, -0.02, licence="CC BY 4.0, the market"))
    assert (answer.status_code, answer.json()["accepted"]) == (201, 2)
    body = admin.get(PATH).json()
    assert body["zone"] == "DE"
    assert [p["per_kwh"] for p in body["points"]] == [0.1, -0.02]
    assert body["points"][0]["currency"] == "EUR"
    assert body["licences"] == {"market": "CC BY 4.0, the market"}


def test_the_last_publication_holds_and_none_is_overwritten(
    admin: TestClient, context: Context
) -> None:
    admin.post(PATH, json=publication(0.1, 0.2))
    assert isinstance(context.clock, FakeClock)
    later = publication(0.3, source="late", published_at=to_rfc3339(NOON_MS + 1))
    admin.post(PATH, json=later)
    assert told(admin) == [(0.3, "late"), (0.2, "market")]
    admin.post(PATH, json=publication(0.9, 0.9))  # said before: of its moment the first stays
    assert told(admin) == [(0.3, "late"), (0.2, "market")]


def test_what_cannot_be_meant_is_refused_and_the_rest_kept(admin: TestClient) -> None:
    body = publication(0.1, 250.0)
    start = body["points"][0]["start_ms"]
    body["points"] += [
        {"start_ms": start, "end_ms": start + HOUR, "per_kwh": 0.2},
        {"start_ms": start, "end_ms": start, "per_kwh": 0.2},
        {"start_ms": start, "end_ms": start + 26 * HOUR, "per_kwh": 0.2},
    ]
    answer = admin.post(PATH, json=body).json()
    assert answer["accepted"] == 1
    reasons = [refusal["reason"] for refusal in answer["refused"]]
    assert reasons == ["implausible", "duplicate", "empty_span", "point_too_long"]


def test_bad_questions_and_bodies_are_refused(admin: TestClient, team: TestClient) -> None:
    refused(admin.post(PATH, json=publication(0.1, currency="euro")), 422, "bad_currency")
    ahead = publication(0.1, published_at=to_rfc3339(NOON_MS + HOUR))
    refused(admin.post(PATH, json=ahead), 422, "from_the_future")
    refused(admin.post(PATH, content=b'{"points": [NaN]}'), 400, "malformed_json")
    refused(admin.post(PATH, json={"points": []}), 422, "invalid_body")
    refused(admin.get("/v1/prices/NOWHERE"), 404, "unknown_zone")
    at = to_rfc3339(NOON_MS)
    refused(admin.get(PATH, params={"start": at, "end": at}), 422, "end_before_start")
    refused(admin.get(PATH, params={"end": "2099-01-01T00:00:00Z"}), 422, "window_too_long")
    refused(team.post(PATH, json=publication(0.1)), 403, "scope_missing")


def test_a_pool_that_names_no_prices_takes_the_zone_s(admin: TestClient, context: Context) -> None:
    terms = PoolTerms(g_per_money=100.0)

    def known() -> PoolTerms:
        with reading(context.engine) as connection:
            return with_known_prices(connection, terms, "DE", "UTC", NOON_MS)

    assert known() == terms  # nothing known: money weighs nothing
    admin.post(PATH, json=publication(0.1, 0.3))
    by_hour = known().money_per_kwh
    assert len(by_hour) == 24
    assert (by_hour[12], by_hour[13]) == (0.1, 0.3)
    assert by_hour[5] == pytest.approx(0.2)
    stated = PoolTerms(g_per_money=1.0, money_per_kwh=(0.5,) * 24)
    with reading(context.engine) as connection:
        assert with_known_prices(connection, stated, "DE", "UTC", NOON_MS) is stated
    told = {"name": "night", "capacity": 1, "preference": {"g_per_money": 5.0}}
    assert admin.post("/v1/pools", json=told).status_code == 201


def test_entsoe_s_day_ahead_prices_come_once_an_hour(context: Context) -> None:
    with GridDouble(NOON_MS) as double, httpx2.Client(timeout=5, trust_env=False) as http:
        feed = Entsoe(http, context.clock, TOKEN, f"{double.url}/api")
        assert isinstance(feed, PriceFeed)
        polling = PricePolling(context, [feed], lambda source, zone, ttl_ms: True)
        assert polling.poll(["DE", "US-TEX-ERCO"]) > 0
        assert len(double.requests) == 1
        assert "10Y1001A1001A82H" in double.requests[0]  # the area that Germany's price is made for
        assert polling.poll(["DE"]) == 0
        assert len(double.requests) == 1
        context.clock.advance(3600)  # type: ignore[attr-defined]
        assert polling.poll(["DE"]) >= 0
        assert len(double.requests) == 2
    lo = NOON_MS - 24 * HOUR
    points = feed_points(context, lo)
    assert points[0] == (0.1, "EUR", "entsoe")
    assert points[1] == (-0.02, "EUR", "entsoe")


def feed_points(context: Context, start_ms: int) -> list[tuple[float, str, str]]:
    from carbon.services.jobs.energy_prices import prices_of

    held = prices_of(context, "DE", start_ms, start_ms + 2 * HOUR)
    return [(p.point.per_kwh, p.point.currency, p.source) for p in held]


def test_a_market_that_is_away_or_says_another_thing_stops_nothing(context: Context) -> None:
    with GridDouble(NOON_MS) as double, httpx2.Client(timeout=5, trust_env=False) as http:
        wrong = Entsoe(http, context.clock, "wrong", f"{double.url}/api")
        assert PricePolling(context, [wrong], lambda *_: True).poll(["DE"]) == 0
        double.answer = lambda *_: (200, "<GL_MarketDocument/>")  # type: ignore[method-assign]
        feed = Entsoe(http, context.clock, TOKEN, f"{double.url}/api")
        with pytest.raises(FeedAnswerInvalid, match="prices of DE"):
            feed.fetch_prices("DE", NOON_MS, NOON_MS + HOUR)


def test_another_process_that_asks_leaves_nothing_to_ask(context: Context) -> None:
    with GridDouble(NOON_MS) as double, httpx2.Client(timeout=5, trust_env=False) as http:
        feed = Entsoe(http, context.clock, TOKEN, f"{double.url}/api")
        assert PricePolling(context, [feed], lambda *_: False).poll(["DE"]) == 0
        assert double.requests == []


def test_a_csv_in_mwh_is_read_per_kwh(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("time,DE\n2026-01-01T00:00Z,100\n2026-01-01T01:00Z,-5\n2026-01-01T02:00Z,x\n")
    table, currency = read_price_csv(path, "DE", "EUR/MWh")
    assert currency == "EUR"
    assert [p.g_per_kwh for p in table.points] == [0.1, -0.005]
    assert [cell.reason for cell in table.bad] == ["not_a_number"]
    for unit in ("MWh", "EUR", "EUR/GJ", "euro/MWh"):
        with pytest.raises(InvalidInput) as told:
            read_price_csv(path, "DE", unit)
        assert told.value.code == "bad_currency"
