"""The learned forecast as it is stored: per zone, from the hour that runs, or not at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from carbon.clock import from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal
from carbon.grid.own_forecasts import ZoneHistory, learned_forecasts

HOUR_MS = 3_600_000
NOW_MS = from_rfc3339("2026-04-25T18:10:00Z")
FLOOR_MS = from_rfc3339("2026-04-25T18:00:00Z")


def history(zone: str, hours: int, level: float = 300.0, step_ms: int = HOUR_MS) -> ZoneHistory:
    per_hour = HOUR_MS // step_ms
    points = []
    for back in range(1, hours * per_hour + 1):
        at_ms = FLOOR_MS - back * step_ms
        hour = at_ms // HOUR_MS
        value = level + 80 * np.sin(2 * np.pi * hour / 24) + hour * 7919 % 13
        points.append(IntensityPoint(at_ms, at_ms + step_ms, float(value), PointKind.ACTUAL))
    return ZoneHistory(zone, Signal.AVERAGE, EmissionScope.LIFECYCLE, points)


def test_each_zone_is_told_from_the_hour_that_runs() -> None:
    told = learned_forecasts([history("DE", 1200), history("FR", 1200, 60 + 100)], NOW_MS)
    assert set(told) == {"DE", "FR"}
    vintage = told["DE"].vintage
    assert vintage.source == "own"
    assert vintage.points[0].start_ms == FLOOR_MS
    assert len(vintage.points) == 96
    assert {p.kind for p in vintage.points} == {PointKind.FORECAST}
    assert all(a.end_ms == b.start_ms for a, b in pairwise(vintage.points))
    assert "learned" in vintage.flags


def test_every_point_has_a_bound_on_each_side_once_errors_are_known() -> None:
    own = learned_forecasts([history("DE", 1200)], NOW_MS, 24)["DE"]
    for point, bound in zip(own.vintage.points, own.bounds, strict=True):
        assert bound is not None
        assert bound[0] <= bound[1]
        assert 0.5 < bound[0] / point.g_per_kwh < 1.5


def test_a_short_history_is_left_to_the_plain_profile() -> None:
    told = learned_forecasts([history("DE", 1200), history("FR", 600)], NOW_MS, 2)
    assert set(told) == {"DE"}
    assert learned_forecasts([], NOW_MS) == {}


def test_quarter_hours_count_as_their_hour() -> None:
    fine = learned_forecasts([history("DE", 700, step_ms=HOUR_MS // 4)], NOW_MS, 4)["DE"]
    coarse = learned_forecasts([history("DE", 700)], NOW_MS, 4)["DE"]
    assert [p.g_per_kwh for p in fine.vintage.points] == [
        p.g_per_kwh for p in coarse.vintage.points
    ]


def test_what_a_source_foretold_is_not_learned_from() -> None:
    known = history("DE", 700)
    foretold = [IntensityPoint(p.start_ms, p.end_ms, 5.0, PointKind.FORECAST) for p in known.points]
    both = ZoneHistory("DE", known.signal, known.scope, [*known.points, *foretold])
    one, other = (learned_forecasts([h], NOW_MS, 4)["DE"].vintage for h in (known, both))
    assert one.points == other.points
