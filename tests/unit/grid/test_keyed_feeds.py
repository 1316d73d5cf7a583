"""Feeds that take a key, against local doubles in their recorded shapes; and RTE's, without one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
from grid_double import Failure, GridDouble, curve
from grid_double.eia_shape import KEY as EIA_KEY
from grid_double.eia_shape import MW, megawatts
from grid_double.electricity_maps_shape import KEY as EM_KEY
from grid_double.entsoe_shape import TOKEN
from grid_double.watttime_shape import PASSWORD, USER

from carbon.clock import FakeClock, to_rfc3339
from carbon.domain.intensity import EmissionScope, PointKind, Signal, Vintage
from carbon.grid.eia import Eia
from carbon.grid.electricity_maps import ElectricityMaps
from carbon.grid.entsoe import Entsoe
from carbon.grid.feed import (
    Feed,
    FeedAnswerInvalid,
    FeedError,
    FeedKeyRefused,
    FeedRateLimited,
    FeedUnreachable,
)
from carbon.grid.rte import Rte
from carbon.grid.site_meter import SiteMeter
from carbon.grid.source_factors import IPCC_AR5, IPCC_SRREN, Fuel
from carbon.grid.validation import validate
from carbon.grid.watttime import TOKEN_MS, WattTime

HOUR_MS = 3_600_000
Make = Callable[[httpx2.Client], tuple[Feed, str]]


@pytest.fixture
def makers(clock: FakeClock, double: GridDouble) -> dict[str, Make]:
    url = double.url
    regions = {"US-CAL-CISO": "CAISO_NORTH"}
    return {
        "electricity_maps": lambda http: (
            ElectricityMaps(http, clock, EM_KEY, ["DE"], url),
            "DE",
        ),
        "watttime": lambda http: (
            WattTime(http, clock, USER, PASSWORD, regions, url),
            "US-CAL-CISO",
        ),
        "entsoe": lambda http: (Entsoe(http, clock, TOKEN, f"{url}/api"), "DE"),
        "eia": lambda http: (Eia(http, clock, EIA_KEY, url), "US-CAL-CISO"),
        "rte": lambda http: (Rte(http, clock, url), "FR"),
    }


FEEDS = ["electricity_maps", "watttime", "entsoe", "eia", "rte"]


def fetch(feed: Feed, zone: str, now_ms: int) -> list[Vintage]:
    return feed.fetch(zone, now_ms - 24 * HOUR_MS, now_ms + 48 * HOUR_MS)


@pytest.mark.parametrize("name", FEEDS)
def test_vintages_say_what_they_are_and_their_points_are_sound(
    name: str, makers: dict[str, Make], http: httpx2.Client, now_ms: int
) -> None:
    feed, zone = makers[name](http)
    assert zone in feed.zones()
    vintages = fetch(feed, zone, now_ms)
    assert vintages
    for vintage in vintages:
        assert (vintage.zone, vintage.source) == (zone, name)
        assert (vintage.signal, vintage.scope) == (feed.signal, feed.scope)
        assert vintage.licence == feed.licence.attribution
        assert validate(vintage, now_ms).quarantined == ()
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(vintage.points))
        for point in vintage.points:
            assert (point.kind is PointKind.FORECAST) or point.end_ms <= now_ms


@pytest.mark.parametrize("name", FEEDS)
@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure.SERVER_ERROR, FeedUnreachable),
        (Failure.HTML, FeedAnswerInvalid),
        (Failure.EMPTY_OBJECT, FeedAnswerInvalid),
        (Failure.NOT_FOUND, FeedAnswerInvalid),
        (Failure.RATE_LIMITED, FeedRateLimited),
        (Failure.CUT_OFF, FeedUnreachable),
        (Failure.NAN, FeedAnswerInvalid),
    ],
)
def test_each_failure_is_a_feed_error(
    name: str,
    failure: Failure,
    error: type[FeedError],
    makers: dict[str, Make],
    http: httpx2.Client,
    double: GridDouble,
    now_ms: int,
) -> None:
    feed, zone = makers[name](http)
    double.failure = failure
    with pytest.raises(error):
        fetch(feed, zone, now_ms)


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_that_hangs_is_left(
    name: str, makers: dict[str, Make], impatient: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    feed, zone = makers[name](impatient)
    double.failure = Failure.HANG
    with pytest.raises(FeedUnreachable):
        fetch(feed, zone, now_ms)


def refused(feed: Feed, zone: str, now_ms: int) -> str:
    with pytest.raises(FeedKeyRefused) as told:
        fetch(feed, zone, now_ms)
    assert told.value.retry_after_s >= 3600
    return f"{told.value.detail} {told.value.__cause__!r}"


def test_a_wrong_key_is_told_and_never_quoted(
    http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    for feed, zone in [
        (ElectricityMaps(http, clock, "wrong-key-1", ["DE"], double.url), "DE"),
        (Entsoe(http, clock, "wrong-key-2", f"{double.url}/api"), "DE"),
        (Eia(http, clock, "wrong-key-3", double.url), "US-CAL-CISO"),
        (WattTime(http, clock, USER, "wrong-key-4", {"X": "CAISO_NORTH"}, double.url), "X"),
    ]:
        assert "wrong-key" not in refused(feed, zone, now_ms)


@pytest.mark.parametrize("name", ["electricity_maps", "entsoe", "eia"])
def test_a_key_is_not_carried_along_a_redirect(
    name: str, makers: dict[str, Make], clock: FakeClock, now_ms: int
) -> None:
    asked: list[str] = []

    def elsewhere(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return httpx2.Response(302, headers={"Location": "http://elsewhere.example/"})

    transport = httpx2.MockTransport(elsewhere)
    with httpx2.Client(transport=transport, follow_redirects=True) as http:
        feed, zone = makers[name](http)
        with pytest.raises(FeedAnswerInvalid):
            fetch(feed, zone, now_ms)
    assert "elsewhere.example" not in asked


# Electricity Maps


def test_electricity_maps_past_is_measured_or_estimated_as_it_says(
    makers: dict[str, Make], http: httpx2.Client, now_ms: int
) -> None:
    feed, zone = makers["electricity_maps"](http)
    past, ahead = fetch(feed, zone, now_ms)
    assert {p.kind for p in past.points} == {PointKind.ACTUAL, PointKind.ESTIMATED}
    assert {p.kind for p in ahead.points} == {PointKind.FORECAST}
    assert past.points[0].g_per_kwh == round(curve(past.points[0].start_ms))
    assert past.published_ms <= now_ms
    assert past.scope is EmissionScope.LIFECYCLE


def test_a_plan_without_the_forecast_still_gives_the_past(
    clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    def free_plan(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/forecast"):
            return httpx2.Response(401, json={"status": "error", "message": "no access"})
        status, body = double.answer(str(request.url), request.headers)
        return httpx2.Response(status, json=body)

    with httpx2.Client(transport=httpx2.MockTransport(free_plan)) as http:
        [past] = fetch(ElectricityMaps(http, clock, EM_KEY, ["DE"], double.url), "DE", now_ms)
    assert past.points


def test_another_factor_set_than_asked_for_is_refused(
    makers: dict[str, Make], http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    def direct(body: dict) -> dict:
        for value in body.get("history", []):
            value["emissionFactorType"] = "direct"
        return body

    double.alter = direct
    feed, zone = makers["electricity_maps"](http)
    with pytest.raises(FeedAnswerInvalid, match="lifecycle"):
        fetch(feed, zone, now_ms)


# WattTime


def test_pounds_per_mwh_become_grams_per_kwh(
    makers: dict[str, Make], http: httpx2.Client, now_ms: int
) -> None:
    feed, zone = makers["watttime"](http)
    past, ahead = fetch(feed, zone, now_ms)
    for point in (past.points[0], past.points[-1], ahead.points[0]):
        assert point.g_per_kwh == pytest.approx(curve(point.start_ms))
        assert point.end_ms - point.start_ms == 300_000
    assert (past.signal, past.scope) == (Signal.MARGINAL, EmissionScope.DIRECT)


def test_an_unknown_unit_is_refused(
    makers: dict[str, Make], http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    def kilograms(body: dict) -> dict:
        if "meta" in body:
            body["meta"]["units"] = "kg_co2_per_mwh"
        return body

    double.alter = kilograms
    feed, zone = makers["watttime"](http)
    with pytest.raises(FeedAnswerInvalid, match="kg_co2"):
        fetch(feed, zone, now_ms)


def test_one_login_serves_until_the_token_ends(
    makers: dict[str, Make],
    http: httpx2.Client,
    double: GridDouble,
    clock: FakeClock,
    now_ms: int,
) -> None:
    feed, zone = makers["watttime"](http)
    fetch(feed, zone, now_ms)
    fetch(feed, zone, now_ms)
    assert double.tokens.given == 1
    clock.advance(TOKEN_MS / 1000)
    fetch(feed, zone, now_ms)
    assert double.tokens.given == 2


def test_a_token_that_ends_between_two_questions_is_replaced_once(
    makers: dict[str, Make], http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    feed, zone = makers["watttime"](http)
    fetch(feed, zone, now_ms)
    double.tokens.end()
    assert len(fetch(feed, zone, now_ms)) == 2
    assert double.tokens.given == 2


# EIA


def test_eia_text_values_become_the_mix_of_whole_hours(
    makers: dict[str, Make], http: httpx2.Client, now_ms: int
) -> None:
    feed, zone = makers["eia"](http)
    [vintage] = fetch(feed, zone, now_ms)
    assert "factors_ipcc_ar5_2014" in vintage.flags
    point = vintage.points[0]
    assert point.end_ms - point.start_ms == HOUR_MS
    fuels = {"NG": Fuel.GAS, "NUC": Fuel.NUCLEAR, "WAT": Fuel.HYDRO, "WND": Fuel.WIND}
    mw = {fuel: MW[code] for code, fuel in fuels.items()}
    mw[Fuel.SOLAR] = max(0.0, megawatts(point.start_ms, "SUN"))
    grams = sum(power * IPCC_AR5.g_per_kwh[fuel] for fuel, power in mw.items())
    assert point.g_per_kwh == pytest.approx(grams / sum(mw.values()))


def test_an_hour_without_one_of_its_fuels_has_no_figure(
    makers: dict[str, Make], http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    feed, zone = makers["eia"](http)
    whole = fetch(feed, zone, now_ms)[0].points

    def forget_gas(body: dict) -> dict:
        rows = body["response"]["data"]
        last = max(row["period"] for row in rows)
        kept = [r for r in rows if (r["period"], r["fueltype"]) != (last, "NG")]
        body["response"]["data"] = kept
        return body

    double.alter = forget_gas
    assert fetch(feed, zone, now_ms)[0].points == whole[:-1]


def test_eia_reads_page_after_page(
    makers: dict[str, Make],
    http: httpx2.Client,
    double: GridDouble,
    now_ms: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed, zone = makers["eia"](http)
    whole = fetch(feed, zone, now_ms)[0].points
    monkeypatch.setattr("carbon.grid.eia.PAGE_ROWS", 50)
    double.requests.clear()
    assert fetch(feed, zone, now_ms)[0].points == whole
    assert len(double.requests) > 2


# ENTSO-E


def test_entsoe_mixes_quarter_hours_and_hours_and_leaves_pumping_out(
    makers: dict[str, Make], http: httpx2.Client, now_ms: int
) -> None:
    feed, zone = makers["entsoe"](http)
    vintage, _ahead = fetch(feed, zone, now_ms)
    assert {p.end_ms - p.start_ms for p in vintage.points} == {HOUR_MS // 4}
    grams = 3000 * 12 + 2000 * 490 + 1000 * 820 + 500 * 48
    assert vintage.points[5].g_per_kwh == pytest.approx(grams / 6500)


def test_the_set_of_factors_can_be_chosen_and_is_named(
    http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    feed = Entsoe(http, clock, TOKEN, f"{double.url}/api", lambda: IPCC_SRREN)
    vintage, _ahead = fetch(feed, "DE", now_ms)
    assert "factors_ipcc_srren_2011" in vintage.flags
    grams = 3000 * 16 + 2000 * 469 + 1000 * 1001 + 500 * 46
    assert vintage.points[5].g_per_kwh == pytest.approx(grams / 6500)


def test_no_data_yet_is_said_so(
    http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    feed = Entsoe(http, clock, TOKEN, f"{double.url}/api")
    with pytest.raises(FeedAnswerInvalid, match="no time of DE"):
        feed.fetch("DE", now_ms - HOUR_MS // 4, now_ms)


# RTE


def test_rte_pages_until_the_start_is_reached(
    makers: dict[str, Make], http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    feed, zone = makers["rte"](http)
    [vintage] = feed.fetch(zone, now_ms - 72 * HOUR_MS, now_ms)
    assert len(double.requests) == 3
    assert all(a.end_ms == b.start_ms for a, b in pairwise(vintage.points))
    assert vintage.points[0].start_ms <= now_ms - 71 * HOUR_MS
    assert vintage.points[9].g_per_kwh == round(curve(vintage.points[9].start_ms))
    assert vintage.scope is EmissionScope.DIRECT


# A site's own


def site(clock: FakeClock, address: str, http: httpx2.Client) -> SiteMeter:
    return SiteMeter(http, clock, address, "DE")


def test_a_site_s_file_of_json_is_read(
    tmp_path: Path, clock: FakeClock, http: httpx2.Client, now_ms: int
) -> None:
    path = tmp_path / "plant.json"
    points = [
        {"start_ms": now_ms + h * HOUR_MS, "end_ms": now_ms + (h + 1) * HOUR_MS, "g_per_kwh": 40.0}
        for h in range(-2, 2)
    ]
    path.write_text(str({"points": points}).replace("'", '"'))
    [vintage] = site(clock, str(path), http).fetch("DE", now_ms - 24 * HOUR_MS, now_ms + HOUR_MS)
    kinds = [p.kind for p in vintage.points]
    assert kinds == [PointKind.ACTUAL, PointKind.ACTUAL, PointKind.FORECAST]


def test_a_site_s_file_of_csv_is_read(
    tmp_path: Path, clock: FakeClock, http: httpx2.Client, now_ms: int
) -> None:
    path = tmp_path / "plant.csv"
    row = f"{to_rfc3339(now_ms - HOUR_MS)},{to_rfc3339(now_ms)},12.5\n"
    path.write_text("start,end,g_per_kwh\n" + row)
    [vintage] = site(clock, str(path), http).fetch("DE", now_ms - 24 * HOUR_MS, now_ms)
    assert [p.g_per_kwh for p in vintage.points] == [12.5]


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"points": []}', '{"points": [{}]}', "a,b\n1,2\n", "start,end,g_per_kwh\nx,"],
)
def test_a_site_s_file_of_something_else_is_told(
    tmp_path: Path, text: str, clock: FakeClock, http: httpx2.Client, now_ms: int
) -> None:
    path = tmp_path / "plant"
    path.write_text(text)
    with pytest.raises(FeedAnswerInvalid):
        site(clock, str(path), http).fetch("DE", now_ms - HOUR_MS, now_ms)


def test_a_site_s_file_that_is_gone_is_told(
    tmp_path: Path, clock: FakeClock, http: httpx2.Client, now_ms: int
) -> None:
    with pytest.raises(FeedUnreachable):
        site(clock, str(tmp_path / "gone"), http).fetch("DE", now_ms - HOUR_MS, now_ms)
