"""Great Britain's feed against a local double, on good days and bad ones."""

from __future__ import annotations

from itertools import pairwise

import httpx2
import pytest
from grid_double import Failure, GridDouble, curve

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal
from carbon.grid.feed import FeedAnswerInvalid, FeedRateLimited, FeedUnreachable
from carbon.grid.neso import Neso
from carbon.grid.validation import validate

HOUR_MS = 3_600_000
HALF_HOUR_MS = HOUR_MS // 2


@pytest.fixture
def feed(http: httpx2.Client, clock: FakeClock, double: GridDouble) -> Neso:
    return Neso(http, clock, base_url=double.url)


def fetch(feed: Neso, now_ms: int, back_h: int = 24, ahead_h: int = 48) -> list[IntensityPoint]:
    [vintage] = feed.fetch("GB", now_ms - back_h * HOUR_MS, now_ms + ahead_h * HOUR_MS)
    return list(vintage.points)


def test_a_vintage_says_what_it_is(feed: Neso, now_ms: int) -> None:
    [vintage] = feed.fetch("GB", now_ms - HOUR_MS, now_ms + HOUR_MS)
    assert (vintage.zone, vintage.source) == ("GB", "neso")
    assert (vintage.signal, vintage.scope) == (Signal.AVERAGE, EmissionScope.DIRECT)
    assert vintage.published_ms == now_ms
    assert vintage.licence == feed.licence.attribution
    assert "NESO" in vintage.licence


def test_a_day_back_and_two_ahead_without_a_gap_or_a_half_hour_twice(
    feed: Neso, now_ms: int
) -> None:
    points = fetch(feed, now_ms)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))
    assert points[0].start_ms <= now_ms - 24 * HOUR_MS < points[0].end_ms
    assert points[-1].end_ms >= now_ms + 47 * HOUR_MS
    assert validate(feed.fetch("GB", now_ms, now_ms + 48 * HOUR_MS)[0], now_ms).quarantined == ()


def test_the_past_is_measured_and_the_rest_forecast(feed: Neso, now_ms: int) -> None:
    for point in fetch(feed, now_ms):
        if point.end_ms <= now_ms:
            assert point.kind is PointKind.ACTUAL
            assert point.g_per_kwh == round(curve(point.start_ms))
        else:
            assert point.kind is PointKind.FORECAST
            assert point.g_per_kwh == round(curve(point.start_ms)) + 3


def test_a_passed_half_hour_without_a_measurement_stays_a_forecast(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    def forget(body: dict) -> dict:
        for row in body["data"]:
            row["intensity"]["actual"] = None
        return body

    double.alter = forget
    assert {point.kind for point in fetch(feed, now_ms)} == {PointKind.FORECAST}


def test_a_half_hour_with_neither_value_is_left_out(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    def forget_third(body: dict) -> dict:
        body["data"][3]["intensity"] = {"forecast": None, "actual": None, "index": "low"}
        return body

    whole = len(fetch(feed, now_ms))
    double.alter = forget_third
    assert len(fetch(feed, now_ms)) == whole - 2


def test_a_month_back_is_asked_for_in_spans_that_the_source_allows(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    points = fetch(feed, now_ms, back_h=30 * 24, ahead_h=0)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))
    assert points[0].start_ms <= now_ms - 30 * 24 * HOUR_MS
    assert sum("fw48h" not in path for path in double.requests) == 3


def test_the_past_alone_asks_for_no_forecast(feed: Neso, double: GridDouble, now_ms: int) -> None:
    feed.fetch("GB", now_ms - 4 * HOUR_MS, now_ms - 2 * HOUR_MS)
    assert len(double.requests) == 1


def test_29_points_instead_of_96_are_taken_and_flagged(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    double.alter = lambda body: {"data": body["data"][:29]}
    [vintage] = feed.fetch("GB", now_ms, now_ms + 48 * HOUR_MS)
    checked = validate(vintage, now_ms, horizon_ms=feed.horizon_ms)
    assert len(checked.vintage.points) == 28  # the first lies before the moment asked for
    assert "short_horizon" in checked.vintage.flags


def test_half_hours_sent_twice_are_handed_on_and_caught_by_validation(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    double.alter = lambda body: {"data": [row for row in body["data"] for _ in range(2)]}
    [vintage] = feed.fetch("GB", now_ms, now_ms + 48 * HOUR_MS)
    checked = validate(vintage, now_ms, horizon_ms=feed.horizon_ms)
    assert len(checked.quarantined) == len(checked.vintage.points) == len(vintage.points) / 2
    assert {bad.reason for bad in checked.quarantined} == {"duplicate"}


def test_a_forecast_of_zeros_is_never_green(feed: Neso, double: GridDouble, now_ms: int) -> None:
    def all_zero(body: dict) -> dict:
        for row in body["data"]:
            row["intensity"] = {"forecast": 0, "actual": None, "index": "very low"}
        return body

    double.alter = all_zero
    [vintage] = feed.fetch("GB", now_ms, now_ms + 48 * HOUR_MS)
    checked = validate(vintage, now_ms, horizon_ms=feed.horizon_ms)
    assert checked.vintage.points == ()
    assert {bad.reason for bad in checked.quarantined} == {"all_zero_forecast"}


@pytest.mark.parametrize(
    "failure",
    [Failure.HTML, Failure.EMPTY_OBJECT, Failure.NOT_FOUND, Failure.NAN],
)
def test_an_answer_of_another_shape_is_invalid(
    feed: Neso, double: GridDouble, now_ms: int, failure: Failure
) -> None:
    double.failure = failure
    with pytest.raises(FeedAnswerInvalid) as caught:
        fetch(feed, now_ms)
    assert caught.value.code == "feed_answer_invalid"
    assert caught.value.detail.startswith("neso: ")
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"from": "2026-04-25T18:00Z", "to": "2026-04-25T18:30Z", "intensity": {"forecast": "9"}}],
        [{"from": "2026-04-25T18:00Z", "to": "soon", "intensity": {"forecast": 9}}],
        [{"from": "2026-04-25T18:00", "to": "2026-04-25T18:30", "intensity": {"forecast": 9}}],
        [{"from": None, "to": None, "intensity": {}}],
        {"regionid": 3},
    ],
)
def test_rows_that_are_no_half_hours_are_invalid(
    feed: Neso, double: GridDouble, now_ms: int, rows: object
) -> None:
    double.alter = lambda body: {"data": rows}
    with pytest.raises(FeedAnswerInvalid):
        fetch(feed, now_ms)


@pytest.mark.parametrize("failure", [Failure.SERVER_ERROR, Failure.CUT_OFF])
def test_a_server_in_trouble_is_unreachable(
    feed: Neso, double: GridDouble, now_ms: int, failure: Failure
) -> None:
    double.failure = failure
    with pytest.raises(FeedUnreachable) as caught:
        fetch(feed, now_ms)
    assert caught.value.code == "feed_unreachable"


def test_a_server_that_never_answers_is_unreachable(
    impatient: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    double.failure = Failure.HANG
    with pytest.raises(FeedUnreachable):
        fetch(Neso(impatient, clock, base_url=double.url), now_ms)


def test_no_server_at_all_is_unreachable(
    http: httpx2.Client, clock: FakeClock, now_ms: int
) -> None:
    with pytest.raises(FeedUnreachable):
        fetch(Neso(http, clock, base_url="http://127.0.0.1:1"), now_ms)


@pytest.mark.parametrize(
    ("failure", "retry_after_s"),
    [
        (Failure.RATE_LIMITED, 120),
        (Failure.RATE_LIMITED_UNTIL, 120),
        (Failure.RATE_LIMITED_BARE, 300),
    ],
)
def test_a_source_that_asks_to_slow_down_says_for_how_long(
    feed: Neso, double: GridDouble, now_ms: int, failure: Failure, retry_after_s: int
) -> None:
    double.failure = failure
    with pytest.raises(FeedRateLimited) as caught:
        fetch(feed, now_ms)
    assert caught.value.code == "feed_rate_limited"
    assert caught.value.retry_after_s == retry_after_s


def test_a_region_is_estimated_where_it_is_past_and_foretold_ahead(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    assert "GB-REGION-13" in feed.zones()
    [vintage] = feed.fetch("GB-REGION-13", now_ms - 24 * HOUR_MS, now_ms + 48 * HOUR_MS)
    assert (vintage.zone, vintage.flags) == ("GB-REGION-13", ("regional_estimate",))
    assert all(request.endswith("/regionid/13") for request in double.requests)
    for point in vintage.points:
        is_past = point.end_ms <= now_ms
        assert point.kind is (PointKind.ESTIMATED if is_past else PointKind.FORECAST)
    assert all(a.end_ms == b.start_ms for a, b in pairwise(vintage.points))
    assert validate(vintage, now_ms).quarantined == ()


def test_a_region_that_answers_as_the_whole_does_is_no_answer(
    feed: Neso, double: GridDouble, now_ms: int
) -> None:
    double.alter = lambda body: {"data": [body["data"]]}
    with pytest.raises(FeedAnswerInvalid):
        feed.fetch("GB-REGION-1", now_ms - HOUR_MS, now_ms + HOUR_MS)
