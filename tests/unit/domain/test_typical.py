"""Typical hours: a day a month from sun, demand and mix, about the yearly figure."""

from __future__ import annotations

import calendar
from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, is_plausible
from carbon.domain.typical import has_typical, typical_points
from carbon.domain.typical_table import MIXES
from carbon.domain.units import MS_PER_HOUR
from carbon.domain.yearly import ZONE_NAMES, yearly_intensity

YEAR_MS = round(datetime(2023, 1, 1, tzinfo=UTC).timestamp() * 1000)
YEAR_END_MS = YEAR_MS + 365 * 24 * MS_PER_HOUR
ROWS = [line.split("|") for line in MIXES.splitlines()]
CODES = [row[0] for row in ROWS]


def by_hour(zone: str, month: int) -> dict[int, float]:
    """g/kWh by hour of UTC on the tenth of a month."""
    start = round(datetime(2025, month, 10, tzinfo=UTC).timestamp() * 1000)
    points = typical_points(zone, start, start + 24 * MS_PER_HOUR)
    return {at: point.g_per_kwh for at, point in enumerate(points)}


def cleanest(zone: str, month: int) -> int:
    hours = by_hour(zone, month)
    return min(hours, key=hours.__getitem__)


def test_every_row_is_a_zone_of_the_yearly_table_with_shares_of_a_whole() -> None:
    assert len(CODES) == len(set(CODES)) > 200
    for code, latitude, longitude, *shares in ROWS:
        assert code in ZONE_NAMES
        assert -90 <= float(latitude) <= 90, code
        assert -180 <= float(longitude) <= 180, code
        assert len(shares) == 4, code
        assert all(float(share) >= 0 for share in shares), code
        assert sum(map(float, shares)) <= 102, code  # rounded one by one


@given(st.sampled_from(CODES), st.integers(0, 8_759), st.integers(1, 96))
def test_every_hour_of_every_zone_is_plausible_and_only_typical(
    zone: str, first: int, hours: int
) -> None:
    start = YEAR_MS + first * MS_PER_HOUR
    points = typical_points(zone, start, start + hours * MS_PER_HOUR)
    assert len(points) == hours
    assert all(is_plausible(point.g_per_kwh) for point in points)
    assert {point.kind for point in points} == {PointKind.TYPICAL}
    assert [p.end_ms for p in points[:-1]] == [p.start_ms for p in points[1:]]


@pytest.mark.parametrize("zone", ["DE", "GB", "CA-ON", "US-CAL-CISO", "AU-SA", "ZA", "IS"])
def test_the_mean_of_a_year_is_the_yearly_figure(zone: str) -> None:
    sums: dict[int, list[IntensityPoint]] = defaultdict(list)
    for point in typical_points(zone, YEAR_MS, YEAR_END_MS):
        sums[datetime.fromtimestamp(point.start_ms / 1000, UTC).month].append(point)
    # Each month counts alike in the model, however many days it has.
    means = [
        sum(p.g_per_kwh for p in sums[month]) / (24 * calendar.monthrange(2023, month)[1])
        for month in range(1, 13)
    ]
    assert sum(means) / 12 == pytest.approx(yearly_intensity(zone).g_per_kwh, rel=0.002)


@pytest.mark.parametrize(
    ("zone", "noon_utc"), [("DE", 11), ("US-CAL-CISO", 20), ("AU-QLD", 2), ("CL", 17), ("JP", 3)]
)
def test_where_the_sun_has_a_share_the_clean_hours_of_summer_are_about_noon(
    zone: str, noon_utc: int
) -> None:
    month = 1 if zone in ("AU-QLD", "CL") else 7
    assert (cleanest(zone, month) - noon_utc + 12) % 24 - 12 in range(-2, 3)


def test_where_there_is_hardly_any_sun_the_night_is_cleaner_than_the_evening() -> None:
    january = by_hour("PL", 1)
    assert january[2] < january[17]


@pytest.mark.parametrize(("zone", "near", "far"), [("US-NY-NYIS", 17, 20), ("US-CAL-CISO", 20, 17)])
def test_zones_of_a_wide_country_have_noons_of_their_own(zone: str, near: int, far: int) -> None:
    assert by_hour(zone, 7)[near] < by_hour(zone, 7)[far]


def test_a_span_is_answered_by_whole_hours_that_cover_it() -> None:
    points = typical_points("DE", YEAR_MS + 1, YEAR_MS + MS_PER_HOUR + 1)
    assert [p.start_ms for p in points] == [YEAR_MS, YEAR_MS + MS_PER_HOUR]


def test_of_the_world_and_of_no_place_nothing_is_typical() -> None:
    assert not has_typical("WORLD")
    assert typical_points("WORLD", YEAR_MS, YEAR_END_MS) == []
    assert typical_points("XX-NOWHERE", YEAR_MS, YEAR_END_MS) == []
    assert has_typical("de")


def test_a_scope_that_the_yearly_table_lacks_has_no_typical_hours() -> None:
    assert typical_points("DE", YEAR_MS, YEAR_MS + 1, EmissionScope.DIRECT) == []
    assert typical_points("US-CA", YEAR_MS, YEAR_MS + 1, EmissionScope.DIRECT)
