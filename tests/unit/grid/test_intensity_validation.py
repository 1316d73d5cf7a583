"""What is believed of a vintage: nothing is lost, and a bad point never counts as green."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    Signal,
    Vintage,
    is_plausible,
)
from carbon.grid.validation import Checked, Reason, validate

HOUR_MS = 3_600_000
NOW_MS = 1_777_140_000_000 // HOUR_MS * HOUR_MS


def vintage(points: list[IntensityPoint], *flags: str) -> Vintage:
    return Vintage(
        "DE",
        "a-feed",
        Signal.AVERAGE,
        EmissionScope.LIFECYCLE,
        NOW_MS,
        tuple(points),
        "CC BY 4.0",
        flags,
    )


def hours(*values: float, first: int = 0, kind: PointKind = PointKind.FORECAST) -> list:
    """One point per hour, from `first` hours after now."""
    starts = (NOW_MS + (first + i) * HOUR_MS for i in range(len(values)))
    return [
        IntensityPoint(start, start + HOUR_MS, value, kind)
        for start, value in zip(starts, values, strict=True)
    ]


def reasons(checked: Checked) -> list[Reason]:
    return [bad.reason for bad in checked.quarantined]


ANY_VALUE = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, -1.0, 2000.0, 2000.1, math.nan, math.inf]),
    st.floats(1.0, 1500.0),
)
ANY_POINT = st.builds(
    lambda start, length, value, kind: IntensityPoint(
        NOW_MS + start * 900_000, NOW_MS + (start + length) * 900_000, value, kind
    ),
    st.integers(-40, 40),
    st.integers(-1, 8),
    ANY_VALUE,
    st.sampled_from(PointKind),
)
ANY_VINTAGE = st.lists(ANY_POINT, max_size=40).map(vintage)


@settings(max_examples=50)
@given(ANY_VINTAGE)
def test_only_plausible_points_pass_and_none_overlap(sent: Vintage) -> None:
    good = validate(sent, NOW_MS).vintage.points
    assert all(is_plausible(point.g_per_kwh) for point in good)
    assert all(point.start_ms < point.end_ms for point in good)
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(good))


@settings(max_examples=50)
@given(ANY_VINTAGE)
def test_every_point_comes_out_once_unchanged(sent: Vintage) -> None:
    checked = validate(sent, NOW_MS)
    out = [*checked.vintage.points, *(bad.point for bad in checked.quarantined)]
    assert sorted(map(id, out)) == sorted(map(id, sent.points))


@settings(max_examples=50)
@given(ANY_VINTAGE)
def test_what_has_passed_once_passes_again_whole(sent: Vintage) -> None:
    once = validate(sent, NOW_MS).vintage
    again = validate(once, NOW_MS)
    assert [b.reason for b in again.quarantined if b.reason is not Reason.UNIT_JUMP] == []


@settings(max_examples=50)
@given(ANY_VINTAGE)
def test_who_published_it_and_when_is_untouched(sent: Vintage) -> None:
    checked = validate(sent, NOW_MS).vintage
    assert replace(checked, points=(), flags=()) == replace(sent, points=(), flags=())


@given(st.lists(st.floats(100.0, 400.0), min_size=1, max_size=60))
def test_a_good_vintage_passes_whole_and_unflagged(values: list[float]) -> None:
    checked = validate(vintage(hours(*values)), NOW_MS, horizon_ms=HOUR_MS)
    assert checked.quarantined == ()
    assert [p.g_per_kwh for p in checked.vintage.points] == values
    assert checked.vintage.flags == ()


@settings(max_examples=50)
@given(ANY_VINTAGE, st.randoms())
def test_which_times_are_covered_does_not_depend_on_the_order_sent(
    sent: Vintage, random: Random
) -> None:
    shuffled = list(sent.points)
    random.shuffle(shuffled)
    one, other = validate(sent, NOW_MS), validate(replace(sent, points=tuple(shuffled)), NOW_MS)

    def times(checked: Checked) -> set[int]:
        jumped = {b.point.start_ms for b in checked.quarantined if b.reason is Reason.UNIT_JUMP}
        return {p.start_ms for p in checked.vintage.points} | jumped

    assert times(one) == times(other)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.0, Reason.ZERO),
        (-3.0, Reason.NEGATIVE),
        (2000.5, Reason.TOO_HIGH),
        (117_000.0, Reason.TOO_HIGH),
        (math.nan, Reason.NOT_A_NUMBER),
        (math.inf, Reason.NOT_A_NUMBER),
    ],
)
def test_an_impossible_value_is_named_and_its_neighbours_stay(value: float, reason: Reason) -> None:
    checked = validate(vintage(hours(300.0, value, 310.0)), NOW_MS)
    assert reasons(checked) == [reason]
    assert [p.g_per_kwh for p in checked.vintage.points] == [300.0, 310.0]
    assert checked.vintage.flags == ("gaps", "quarantine")


def test_ten_hours_of_zero_forecast_are_named_as_such() -> None:
    measured = hours(250.0, 260.0, first=-2, kind=PointKind.ACTUAL)
    checked = validate(vintage(measured + hours(*[0.0] * 10)), NOW_MS)
    assert reasons(checked) == [Reason.ALL_ZERO_FORECAST] * 10
    assert [p.g_per_kwh for p in checked.vintage.points] == [250.0, 260.0]


def test_of_the_same_hour_twice_the_one_sent_last_counts() -> None:
    checked = validate(vintage(hours(300.0) + hours(310.0)), NOW_MS)
    assert [p.g_per_kwh for p in checked.vintage.points] == [310.0]
    assert reasons(checked) == [Reason.DUPLICATE]


def test_of_the_same_hour_measured_and_forecast_the_measured_counts() -> None:
    measured = hours(300.0, first=-1, kind=PointKind.ACTUAL)
    checked = validate(vintage(measured + hours(310.0, first=-1)), NOW_MS)
    assert [p.kind for p in checked.vintage.points] == [PointKind.ACTUAL]


def test_half_hours_inside_hours_do_not_count_twice() -> None:
    hour = hours(300.0)
    halves = [
        IntensityPoint(NOW_MS, NOW_MS + HOUR_MS // 2, 290.0, PointKind.FORECAST),
        IntensityPoint(NOW_MS + HOUR_MS // 2, NOW_MS + HOUR_MS, 310.0, PointKind.FORECAST),
    ]
    checked = validate(vintage(hour + halves), NOW_MS)
    assert checked.vintage.points == tuple(halves)
    assert reasons(checked) == [Reason.OVERLAP]


def test_a_measurement_of_tomorrow_is_a_wrong_clock() -> None:
    checked = validate(vintage(hours(300.0, first=24, kind=PointKind.ACTUAL)), NOW_MS)
    assert reasons(checked) == [Reason.FROM_THE_FUTURE]


def test_a_value_in_another_unit_shows_against_its_neighbours() -> None:
    checked = validate(vintage(hours(300.0, 310.0, 0.305, 290.0, 280.0, 270.0)), NOW_MS)
    assert reasons(checked) == [Reason.UNIT_JUMP]
    assert checked.quarantined[0].point.g_per_kwh == 0.305


def test_the_swing_of_a_windy_zone_is_no_change_of_unit() -> None:
    windy = hours(*[150.0] * 8, 12.0, 505.0)
    assert validate(vintage(windy), NOW_MS).quarantined == ()


def test_a_forecast_of_29_half_hours_is_short_of_48_hours() -> None:
    half_hours = [
        IntensityPoint(NOW_MS + i * 1_800_000, NOW_MS + (i + 1) * 1_800_000, 200.0)
        for i in range(29)
    ]
    forecast = [replace(point, kind=PointKind.FORECAST) for point in half_hours]
    checked = validate(vintage(forecast), NOW_MS, horizon_ms=48 * HOUR_MS)
    assert checked.quarantined == ()
    assert checked.vintage.flags == ("short_horizon",)


def test_a_source_that_stopped_hours_ago_is_stale() -> None:
    old = hours(200.0, 210.0, first=-6, kind=PointKind.ACTUAL)
    assert "stale" in validate(vintage(old), NOW_MS, horizon_ms=0).vintage.flags
    fresh = hours(200.0, 210.0, first=-3, kind=PointKind.ACTUAL)
    assert "stale" not in validate(vintage(fresh), NOW_MS, horizon_ms=0).vintage.flags


def test_history_may_be_old() -> None:
    old = hours(200.0, 210.0, first=-600, kind=PointKind.ACTUAL)
    assert validate(vintage(old), NOW_MS).vintage.flags == ()


def test_an_empty_vintage_is_stale_and_not_an_error() -> None:
    checked = validate(vintage([]), NOW_MS, horizon_ms=0)
    assert checked.quarantined == ()
    assert "stale" in checked.vintage.flags


def test_flags_that_the_feed_set_stay() -> None:
    assert validate(vintage(hours(300.0), "substitute"), NOW_MS).vintage.flags == ("substitute",)


@pytest.mark.parametrize(
    ("factor", "shifted"), [(0.5, True), (0.9, False), (1.2, False), (1.6, True)]
)
def test_a_forecast_at_another_level_than_the_day_before_is_told_and_kept(
    factor: float, shifted: bool
) -> None:
    day = [200.0 + 40 * math.sin(h / 24 * 2 * math.pi) for h in range(24)]
    past = hours(*day, first=-24, kind=PointKind.ACTUAL)
    checked = validate(vintage([*past, *hours(*[v * factor for v in day])]), NOW_MS, horizon_ms=0)
    assert ("level_shift" in checked.vintage.flags) is shifted
    assert checked.quarantined == ()


def test_quarter_and_half_hours_beside_each_other_are_no_gap() -> None:
    half, quarter = HOUR_MS // 2, HOUR_MS // 4
    mixed, at = [], NOW_MS - 6 * HOUR_MS
    for length in [half] * 4 + [quarter] * 8 + [half] * 4:
        mixed.append(IntensityPoint(at, at + length, 100.0, PointKind.ACTUAL))
        at += length
    checked = validate(vintage(mixed), NOW_MS, horizon_ms=0)
    assert checked.quarantined == ()
    assert "gaps" not in checked.vintage.flags
    assert len(checked.vintage.points) == 16


def test_a_publication_all_in_another_unit_is_refused_whole() -> None:
    """Kilograms: each hour looks like its neighbours, and all look green."""
    grams = [400.0 + 10 * hour for hour in range(24)]
    assert validate(vintage(hours(*grams)), NOW_MS).quarantined == ()
    checked = validate(vintage(hours(*(g / 1000 for g in grams))), NOW_MS)
    assert checked.vintage.points == ()
    assert set(reasons(checked)) == {Reason.UNIT_JUMP}


def test_a_marginal_figure_may_be_next_to_nothing() -> None:
    marginal = replace(vintage(hours(*[0.5] * 24)), signal=Signal.MARGINAL)
    assert validate(marginal, NOW_MS).quarantined == ()


def test_a_zone_without_a_year_is_believed() -> None:
    nowhere = replace(vintage(hours(*[0.5] * 24)), zone="OUR-ISLAND-PLANT")
    assert validate(nowhere, NOW_MS).quarantined == ()
