"""The United States without a key: EIA's half-year files, read from a double with their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import httpx2
import pytest
from grid_double import Failure, GridDouble
from grid_double.eia_files_shape import AUTHORITIES, PATH, generated, header, mistyped, row

from carbon.clock import FakeClock, from_rfc3339
from carbon.domain.intensity import PointKind
from carbon.grid.eia_balance import BalanceUnreadable, fuel_named, read_balance, together
from carbon.grid.eia_files import EiaFiles
from carbon.grid.eia_zones import STATES, ZONES, authority_of
from carbon.grid.feed import FeedAnswerInvalid, FeedRateLimited, FeedUnreachable
from carbon.grid.source_factors import IPCC_AR5, IPCC_SRREN, Fuel
from carbon.grid.validation import validate

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
Lines = Callable[..., Iterator[str]]


@pytest.fixture
def feed(http: httpx2.Client, clock: FakeClock, double: GridDouble) -> EiaFiles:
    return EiaFiles(http, clock, double.url + PATH)


def lines(*rows: Sequence[str]) -> Iterator[str]:
    yield ",".join(mistyped(header()))
    for cells in rows:
        yield ",".join(f'"{cell}"' for cell in cells)


def changed(cells: list[str], column: str, value: str) -> list[str]:
    return [value if name == column else cell for name, cell in zip(header(), cells, strict=True)]


def test_an_authority_s_hours_up_to_yesterday(feed: EiaFiles, now_ms: int) -> None:
    [vintage] = feed.fetch("US-CAL-CISO", now_ms - 3 * DAY_MS, now_ms + DAY_MS)
    assert (vintage.source, vintage.zone) == ("eia_files", "US-CAL-CISO")
    assert vintage.flags == (IPCC_AR5.flag, "production_mix")
    assert vintage.licence == EiaFiles.licence.attribution
    assert validate(vintage, now_ms, horizon_ms=0).quarantined == ()
    assert all(a.end_ms == b.start_ms for a, b in pairwise(vintage.points))
    assert {point.kind for point in vintage.points} == {PointKind.ACTUAL}
    assert vintage.points[-1].end_ms == now_ms // DAY_MS * DAY_MS
    assert "stale" in validate(vintage, now_ms, horizon_ms=0).vintage.flags


def test_the_mix_is_that_of_the_adjusted_columns_whatever_their_spelling(
    feed: EiaFiles, now_ms: int
) -> None:
    [vintage] = feed.fetch("US-TEX-ERCO", now_ms - 2 * DAY_MS, now_ms)
    for point in vintage.points:
        told: dict[Fuel, float] = {}
        for name in mistyped(header()):
            if name.startswith("Net Generation (MW) from ") and "(" not in name[20:]:
                column = name.removeprefix("Net Generation (MW) from ")
                mw = generated("ERCO", column, point.end_ms) or 0.0
                fuel = fuel_named(column.lower().strip())
                told[fuel] = told.get(fuel, 0.0) + mw
        rated = {f: mw for f, mw in told.items() if f in IPCC_AR5.g_per_kwh and mw > 0}
        grams = sum(mw * IPCC_AR5.g_per_kwh[f] for f, mw in rated.items())
        assert point.g_per_kwh == pytest.approx(grams / sum(rated.values()))


def test_the_country_is_all_authorities_together(feed: EiaFiles, now_ms: int) -> None:
    [country] = feed.fetch("US", now_ms - 2 * DAY_MS, now_ms)
    parts = [
        feed.fetch(zone, now_ms - 2 * DAY_MS, now_ms)[0].points
        for zone in ("US-CAL-CISO", "US-TEX-ERCO", "US-MIDA-PJM")
    ]
    assert "lower_48" in country.flags
    for point, *told in zip(country.points, *parts, strict=True):
        values = [one.g_per_kwh for one in told]
        assert min(values) <= point.g_per_kwh <= max(values)


def test_a_state_takes_its_authority_s_hours_as_an_estimate(feed: EiaFiles, now_ms: int) -> None:
    [state] = feed.fetch("US-VA", now_ms - DAY_MS, now_ms)
    [authority] = feed.fetch("US-MIDA-PJM", now_ms - DAY_MS, now_ms)
    assert "authority_pjm" in state.flags
    assert {point.kind for point in state.points} == {PointKind.ESTIMATED}
    assert [p.g_per_kwh for p in state.points] == [p.g_per_kwh for p in authority.points]


def test_every_state_s_authority_is_a_zone_itself() -> None:
    codes = {authority_of(zone) for zone in ZONES if zone not in STATES}
    assert set(STATES.values()) <= codes
    assert all(len(state) == len("US-VA") for state in STATES)


def test_one_file_serves_every_zone_until_it_is_due(
    feed: EiaFiles, double: GridDouble, clock: FakeClock, now_ms: int
) -> None:
    for zone in ("US", "US-CAL-CISO", "US-TX", "US-MIDA-PJM"):
        feed.fetch(zone, now_ms - DAY_MS, now_ms)
    assert len(double.requests) == 1
    clock.advance(feed.period_ms / 1000)
    feed.fetch("US", now_ms - DAY_MS, now_ms)
    assert len(double.requests) == 2


def test_a_file_that_did_not_change_is_not_sent_again(
    feed: EiaFiles, double: GridDouble, clock: FakeClock, now_ms: int
) -> None:
    double.etags = True
    [first] = feed.fetch("US-CAL-CISO", now_ms - DAY_MS, now_ms)
    clock.advance(feed.period_ms / 1000)
    [second] = feed.fetch("US-CAL-CISO", now_ms - DAY_MS, now_ms)
    assert double.statuses == [200, 304]
    assert first.points == second.points


def test_the_turn_of_a_half_year_reads_both_files(http: httpx2.Client) -> None:
    now_ms = from_rfc3339("2026-07-03T18:10:00Z")
    with GridDouble(now_ms) as double:
        feed = EiaFiles(http, FakeClock(now_ms), double.url + PATH)
        [vintage] = feed.fetch("US-TEX-ERCO", now_ms - 4 * DAY_MS, now_ms)
    assert [path.rpartition("_2026_")[2] for path in double.requests] == [
        "Jan_Jun.csv",
        "Jul_Dec.csv",
    ]
    assert vintage.points[0].start_ms < from_rfc3339("2026-07-01T00:00:00Z")
    assert vintage.points[-1].end_ms == from_rfc3339("2026-07-03T00:00:00Z")
    starts = [point.start_ms for point in vintage.points]
    assert starts == sorted(set(starts))


def test_a_new_half_year_s_file_that_is_not_there_yet_costs_nothing(
    http: httpx2.Client,
) -> None:
    now_ms = from_rfc3339("2026-07-01T18:10:00Z")
    with GridDouble(now_ms - DAY_MS) as double:
        feed = EiaFiles(http, FakeClock(now_ms), double.url + PATH)
        [vintage] = feed.fetch("US-TEX-ERCO", now_ms - 3 * DAY_MS, now_ms)
    assert double.statuses == [200, 404]
    assert vintage.points


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure.SERVER_ERROR, FeedUnreachable),
        (Failure.HTML, FeedAnswerInvalid),
        (Failure.EMPTY_OBJECT, FeedAnswerInvalid),
        (Failure.NOT_FOUND, FeedAnswerInvalid),
        (Failure.RATE_LIMITED, FeedRateLimited),
        (Failure.CUT_OFF, FeedUnreachable),
    ],
)
def test_each_failure_is_a_feed_error(
    feed: EiaFiles,
    double: GridDouble,
    now_ms: int,
    failure: Failure,
    error: type[Exception],
) -> None:
    double.failure = failure
    with pytest.raises(error):
        feed.fetch("US", now_ms - DAY_MS, now_ms)
    double.failure = None
    if failure is not Failure.NOT_FOUND:  # which is believed until the file is due
        assert feed.fetch("US", now_ms - DAY_MS, now_ms)


def test_a_file_that_hangs_is_left(
    impatient: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    double.failure = Failure.HANG
    with pytest.raises(FeedUnreachable):
        EiaFiles(impatient, clock, double.url + PATH).fetch("US", now_ms - DAY_MS, now_ms)


def test_a_file_without_an_end_is_no_answer(
    feed: EiaFiles, now_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.grid.answer.MOST_CHARACTERS", 10_000)
    with pytest.raises(FeedUnreachable, match="does not end"):
        feed.fetch("US", now_ms - DAY_MS, now_ms)


def test_another_set_of_factors_is_named_in_the_flags(
    http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    feed = EiaFiles(http, clock, double.url + PATH, lambda: IPCC_SRREN)
    [vintage] = feed.fetch("US-TEX-ERCO", now_ms - DAY_MS, now_ms)
    assert IPCC_SRREN.flag in vintage.flags


def test_an_empty_cell_is_nothing_told_and_no_number_is_passed_over(now_ms: int) -> None:
    end_ms = now_ms // HOUR_MS * HOUR_MS
    gas = "Net Generation (MW) from Natural Gas"
    empty = changed(changed(row("CISO", end_ms), gas, ""), f"{gas} (Adjusted)", "")
    odd = changed(row("ERCO", end_ms), f"{gas} (Adjusted)", "n/a")
    found = read_balance(lines(empty, odd), 0, AUTHORITIES)
    assert Fuel.GAS not in found["CISO"].hours
    assert Fuel.COAL not in found["CISO"].hours
    # Where the adjusted cell is none, the reported one speaks.
    assert list(found["ERCO"].hours[Fuel.GAS].mw) == [9000.0]


def test_an_hour_that_eia_filled_itself_is_an_estimate(now_ms: int) -> None:
    end_ms = now_ms // HOUR_MS * HOUR_MS
    name = "Net Generation (MW) from Nuclear (Imputed)"
    filled = changed(row("CISO", end_ms), name, "2000")
    found = read_balance(lines(filled, row("CISO", end_ms - HOUR_MS)), 0, AUTHORITIES)
    assert found["CISO"].imputed == {end_ms}


def test_rows_that_break_off_or_have_no_time_are_passed_over(now_ms: int) -> None:
    end_ms = now_ms // HOUR_MS * HOUR_MS
    timeless = changed(row("CISO", end_ms), "UTC Time at End of Hour", "soon")
    found = read_balance(lines(timeless, ["CISO", "x"], row("PJM", end_ms)), 0, AUTHORITIES)
    assert set(found) == {"PJM"}


def test_older_hours_and_other_authorities_are_not_kept(now_ms: int) -> None:
    end_ms = now_ms // HOUR_MS * HOUR_MS
    rows = [row("CISO", end_ms), row("CISO", end_ms - DAY_MS), row("AVRN", end_ms)]
    found = read_balance(lines(*rows), end_ms - HOUR_MS, AUTHORITIES)
    assert set(found) == {"CISO"}
    assert list(found["CISO"].hours[Fuel.NUCLEAR].end_ms) == [end_ms]


@pytest.mark.parametrize(
    "text", ["", "<html>", "Balancing Authority,UTC Time at End of Hour", "a,b,c"]
)
def test_a_file_with_other_columns_is_unreadable(text: str) -> None:
    with pytest.raises(BalanceUnreadable):
        read_balance(iter([text]), 0, AUTHORITIES)


def test_the_columns_before_2024_are_read_too() -> None:
    old = (
        "Balancing Authority,UTC Time at End of Hour,Net Generation (MW) from Solar,"
        "Net Generation (MW) from Hydropower and Pumped Storage,"
        "Net Generation (MW) from Solar (Adjusted)"
    )
    found = read_balance(iter([old, 'CISO,01/01/2023 8:00:00 AM,"1,200",900,']), 0, AUTHORITIES)
    assert list(found["CISO"].hours[Fuel.SOLAR].mw) == [1200.0]
    assert list(found["CISO"].hours[Fuel.HYDRO].mw) == [900.0]
    [end_ms] = found["CISO"].hours[Fuel.SOLAR].end_ms
    assert end_ms == from_rfc3339("2023-01-01T08:00:00Z")


def test_the_country_has_no_hour_in_which_a_large_authority_is_silent(now_ms: int) -> None:
    end_ms = now_ms // HOUR_MS * HOUR_MS
    rows = [row(name, end_ms - hour * HOUR_MS) for name in AUTHORITIES for hour in range(5)]
    del rows[0]  # the newest hour of CISO
    whole = together(read_balance(lines(*rows), 0, AUTHORITIES))
    assert set(whole.hours[Fuel.GAS].end_ms) == {end_ms - hour * HOUR_MS for hour in range(1, 5)}
    assert set(whole.hours[Fuel.GAS].mw) == {27_000.0}
