"""What planning by typical hours alone would have saved, credited by what came."""

from __future__ import annotations

import numpy as np
import pytest

from carbon.clock import from_rfc3339
from carbon.domain.typical import typical_points
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import NotFound
from carbon.grid.hourly_table import HourlyTable
from carbon.services.grid.backtest import (
    TypicalForesight,
    backtest_zone,
    drawn_jobs,
    share_without_key,
)

HOURS = 24 * 20
START_MS = from_rfc3339("2026-06-01T00:00:00Z")
LENGTHS_H = [0.5, 1.0, 3.0, 6.0] * 20


def typical(zone: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    points = typical_points(zone, START_MS, START_MS + HOURS * MS_PER_HOUR)
    return np.array([point.g_per_kwh for point in points])


def table(zone: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> HourlyTable:
    return HourlyTable((zone,), START_MS, values[np.newaxis])


def test_where_every_day_is_the_typical_one_all_of_the_saving_is_found() -> None:
    jobs = drawn_jobs(LENGTHS_H, 80, 0, 0, HOURS)
    assert share_without_key(table("DE", typical("DE")), "DE", jobs) == pytest.approx(1, abs=0.02)


def test_where_clean_hours_are_the_others_the_loss_is_told_as_one() -> None:
    turned = 2 * typical("DE").mean() - typical("DE")
    jobs = drawn_jobs(LENGTHS_H, 80, 0, 0, HOURS)
    assert share_without_key(table("DE", turned), "DE", jobs) < 0


def test_what_is_seen_does_not_depend_on_what_came() -> None:
    seen = TypicalForesight("DE", START_MS, HOURS).seen_at(30 * MS_PER_HOUR)
    assert seen.start_ms[0] == 30 * MS_PER_HOUR
    np.testing.assert_array_equal(seen.g_per_kwh[:24], typical("DE")[30:54])


def test_of_a_zone_without_a_mix_nothing_is_said() -> None:
    jobs = drawn_jobs(LENGTHS_H, 10, 0, 0, HOURS)
    with pytest.raises(NotFound) as refused:
        share_without_key(table("XX", typical("DE")), "XX", jobs)
    assert refused.value.code == "no_forecast"


@pytest.mark.parametrize(("zone", "is_told"), [("DE", True), ("OUR-PLANT", False)])
def test_a_backtest_of_a_zone_tells_its_share_where_there_is_one(zone: str, is_told: bool) -> None:
    draw = np.random.default_rng(1).uniform(0.8, 1.2, HOURS)
    result = backtest_zone(table(zone, typical("DE") * draw), zone, 240, 24, LENGTHS_H, 40)
    assert result.share_of_oracle is not None
    assert (result.typical_share is not None) is is_told
