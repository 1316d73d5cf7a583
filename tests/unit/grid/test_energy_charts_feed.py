"""Europe's feed against a local double, on good days and bad ones."""

from __future__ import annotations

from itertools import pairwise

import httpx2
import pytest
from grid_double import Failure, GridDouble, curve

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, PointKind, Signal, Vintage
from carbon.grid.energy_charts import ZONES, EnergyCharts
from carbon.grid.feed import FeedAnswerInvalid, FeedError, FeedRateLimited, FeedUnreachable
from carbon.grid.validation import validate

HOUR_MS = 3_600_000
STEP_MS = 900_000


@pytest.fixture
def feed(http: httpx2.Client, clock: FakeClock, double: GridDouble) -> EnergyCharts:
    return EnergyCharts(http, clock, base_url=double.url)


def fetch(feed: EnergyCharts, now_ms: int, back_h: int = 24, ahead_h: int = 48) -> Vintage:
    [vintage] = feed.fetch("DE", now_ms - back_h * HOUR_MS, now_ms + ahead_h * HOUR_MS)
    return vintage


def test_a_vintage_says_what_it_is(feed: EnergyCharts, now_ms: int) -> None:
    vintage = fetch(feed, now_ms)
    assert (vintage.zone, vintage.source) == ("DE", "energy_charts")
    assert (vintage.signal, vintage.scope) == (Signal.AVERAGE, EmissionScope.LIFECYCLE)
    assert vintage.published_ms == now_ms
    assert vintage.licence == feed.licence.attribution
    assert "Energy-Charts.info" in vintage.licence
    assert vintage.flags == ()


def test_days_back_and_the_day_ahead_come_without_a_gap_or_a_step_twice(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    points = fetch(feed, now_ms, back_h=72).points
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))
    assert points[0].start_ms <= now_ms - 72 * HOUR_MS < points[0].end_ms
    assert points[-1].end_ms > now_ms + 24 * HOUR_MS
    assert len(double.requests) == 2


def test_the_past_is_measured_and_the_rest_forecast(feed: EnergyCharts, now_ms: int) -> None:
    for point in fetch(feed, now_ms).points:
        measured = point.end_ms <= now_ms
        assert point.kind is (PointKind.ACTUAL if measured else PointKind.FORECAST)
        assert point.g_per_kwh == curve(point.start_ms) + (0 if measured else 3)


def test_the_past_alone_is_one_question_by_its_times(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    feed.fetch("FR", now_ms - 9 * HOUR_MS, now_ms - 3 * HOUR_MS)
    [path] = double.requests
    assert "country=fr" in path
    assert "start=" in path


def test_nulls_in_both_columns_are_a_gap_and_not_a_number(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    def forget(body: dict) -> dict:
        body["co2eq"][8] = body["co2eq_forecast"][8] = None
        return body

    double.alter = forget
    points = fetch(feed, now_ms, back_h=0).points
    whole = fetch(feed, now_ms).points
    assert all(point.g_per_kwh is not None for point in whole)
    assert sum(a.end_ms != b.start_ms for a, b in pairwise(whole)) == 2
    assert all(point.end_ms - point.start_ms == STEP_MS for point in (*points, *whole))


def test_an_hour_missing_from_the_middle_is_not_stretched_over(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    def drop_hour(body: dict) -> dict:
        arrays = ("unix_seconds", "co2eq", "co2eq_forecast")
        return body | {name: body[name][:76] + body[name][80:] for name in arrays}

    double.alter = drop_hour
    points = fetch(feed, now_ms, back_h=0).points
    gaps = [b.start_ms - a.end_ms for a, b in pairwise(points) if a.end_ms != b.start_ms]
    assert gaps == [HOUR_MS]


def test_a_country_that_publishes_by_the_hour_gets_points_of_an_hour(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    def hourly(body: dict) -> dict:
        arrays = ("unix_seconds", "co2eq", "co2eq_forecast")
        return body | {name: body[name][::4] for name in arrays}

    double.alter = hourly
    points = fetch(feed, now_ms, back_h=0).points
    assert {point.end_ms - point.start_ms for point in points} == {HOUR_MS}
    assert points[0].start_ms <= now_ms < points[0].end_ms


def test_a_substitute_may_not_credit_a_saving_and_is_flagged(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    double.alter = lambda body: body | {"substitute": True}
    vintage = fetch(feed, now_ms)
    assert vintage.flags == ("substitute",)
    assert {point.kind for point in vintage.points} == {PointKind.TYPICAL}


def test_an_answer_without_a_forecast_column_is_the_past_alone(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    double.alter = lambda body: {key: body[key] for key in ("unix_seconds", "co2eq")}
    assert {point.kind for point in fetch(feed, now_ms).points} == {PointKind.ACTUAL}


def test_times_sent_twice_are_caught_by_validation(
    feed: EnergyCharts, double: GridDouble, now_ms: int
) -> None:
    def twice(body: dict) -> dict:
        arrays = ("unix_seconds", "co2eq", "co2eq_forecast")
        return body | {name: [v for v in body[name] for _ in range(2)] for name in arrays}

    double.alter = twice
    vintage = fetch(feed, now_ms, back_h=0)
    checked = validate(vintage, now_ms)
    assert len(checked.vintage.points) == len(vintage.points) / 2
    assert {bad.reason for bad in checked.quarantined} == {"duplicate"}


def test_zeros_are_never_green(feed: EnergyCharts, double: GridDouble, now_ms: int) -> None:
    double.alter = lambda body: body | {"co2eq_forecast": [0.0] * len(body["co2eq"])}
    checked = validate(fetch(feed, now_ms, back_h=0), now_ms)
    assert all(point.g_per_kwh > 0 for point in checked.vintage.points)
    assert {bad.reason for bad in checked.quarantined} == {"all_zero_forecast"}


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure.SERVER_ERROR, FeedUnreachable),
        (Failure.CUT_OFF, FeedUnreachable),
        (Failure.HTML, FeedAnswerInvalid),
        (Failure.EMPTY_OBJECT, FeedAnswerInvalid),
        (Failure.NOT_FOUND, FeedAnswerInvalid),
        (Failure.NAN, FeedAnswerInvalid),
        (Failure.RATE_LIMITED, FeedRateLimited),
    ],
)
def test_every_failure_is_a_feed_error_on_one_line(
    feed: EnergyCharts,
    double: GridDouble,
    now_ms: int,
    failure: Failure,
    error: type[FeedError],
) -> None:
    double.failure = failure
    with pytest.raises(error) as caught:
        fetch(feed, now_ms)
    assert caught.value.status == 503
    assert "\n" not in caught.value.detail


def test_a_server_that_never_answers_is_unreachable(
    impatient: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    double.failure = Failure.HANG
    with pytest.raises(FeedUnreachable):
        fetch(EnergyCharts(impatient, clock, base_url=double.url), now_ms)


@pytest.mark.parametrize(
    "change",
    [
        {"co2eq": [None], "co2eq_forecast": [None], "unix_seconds": [1_777_140_000]},
        {"co2eq": [], "co2eq_forecast": [], "unix_seconds": []},
        {"co2eq": [1.0]},
        {"co2eq_forecast": [1.0]},
        {"co2eq": "none"},
        {"unix_seconds": ["1777140000"], "co2eq": [1.0], "co2eq_forecast": [None]},
        {"unix_seconds": [1_777_140_000], "co2eq": ["300"], "co2eq_forecast": [None]},
    ],
)
def test_arrays_that_say_nothing_or_do_not_match_are_invalid(
    feed: EnergyCharts, double: GridDouble, now_ms: int, change: dict
) -> None:
    double.alter = lambda body: body | change
    with pytest.raises(FeedAnswerInvalid):
        fetch(feed, now_ms)


def test_its_zones_are_countries_and_not_great_britain() -> None:
    assert "DE" in ZONES
    assert "GB" not in ZONES
    assert all(len(zone) == 2 and zone.isupper() for zone in ZONES)
