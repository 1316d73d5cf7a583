"""The intensity that a plan looks at: what is published, drawn towards what is seen now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from carbon.domain.intensity import PointKind, RatedPoint
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.grid.feed import OWN_FORECAST
from carbon.grid.typical import UNMEASURED
from carbon.services.context import Context
from carbon.services.grid.intensity import HELD_MS, points_of, rated_points
from carbon.services.grid.rated_ahead import cut, held_or_made, newest_vintage
from carbon.storage.engine import reading
from carbon.storage.intensity import points_between

#: No plan looks further ahead: typical hours would go on for years.
_AHEAD_MS: Final = 14 * MS_PER_DAY
#: Share of the present ratio of actual to forecast, in logarithms, left after each hour.
FADE: Final = 0.9
#: An actual figure older than this says nothing of the hours ahead.
FRESH_MS: Final = 3 * MS_PER_HOUR
#: Ratios beyond these are faults of a feed, not of a forecast.
_MOST_RATIO: Final = 3.0
_DECIMALS: Final = 6


def points_until(context: Context, zone: str, deadline_ms: int) -> list[RatedPoint]:
    """From now to the deadline, corrected by what the forecast missed in the last hours.

    A forecast that is off in level makes every later hour look better or worse than what is
    known of now; the present ratio is carried on, fading by the hour.
    """
    now_ms = context.clock.now_ms()
    hour_ms = floor_to(now_ms, MS_PER_HOUR)
    deadline_ms = min(deadline_ms, now_ms + _AHEAD_MS)
    until_ms = max(deadline_ms, hour_ms + HELD_MS)
    if deadline_ms > hour_ms + HELD_MS:
        return cut(_drawn(context, zone, hour_ms, until_ms), now_ms, deadline_ms)
    with reading(context.engine) as connection:
        newest = newest_vintage(connection)
    key = ("planner", zone, hour_ms)
    ahead = held_or_made(
        context.engine, key, newest, lambda: _drawn(context, zone, hour_ms, until_ms)
    )
    return cut(ahead, now_ms, deadline_ms)


def _drawn(context: Context, zone: str, start_ms: int, end_ms: int) -> list[RatedPoint]:
    points = _foretold(context, zone, start_ms, end_ms)
    ahead = next((p for p in points if p.kind is PointKind.FORECAST), None)
    if ahead is None or ahead.source == OWN_FORECAST:  # the own one is corrected as it is made
        return points
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        known = points_between(
            connection, zone, now_ms - FRESH_MS, now_ms, ahead.signal, ahead.scope
        )
    ratio, at_ms = residual(known, ahead.source)
    return corrected(points, ahead.source, ratio, at_ms)


def _foretold(context: Context, zone: str, start_ms: int, end_ms: int) -> list[RatedPoint]:
    """Typical hours move a job only where the zone is measured: savings are booked on what was
    measured, and elsewhere nobody could ever say what waiting had saved."""
    points = rated_points(context, zone, start_ms, end_ms)
    if all(UNMEASURED not in point.flags for point in points):
        return points
    with reading(context.engine) as connection:
        return points_of(connection, zone, start_ms, end_ms)


def residual(known: Sequence[RatedPoint], source: str) -> tuple[float, int]:
    """(actual over that source's forecast, when the actual ended) of the newest time of which
    both are known; 1 where none is."""
    told = [p for p in known if p.kind is PointKind.FORECAST and p.source == source]
    told.sort(key=lambda p: p.preference)
    for seen in sorted(known, key=lambda p: (-p.end_ms, p.preference)):
        if not seen.kind.may_credit:
            continue
        for said in told:
            if said.start_ms <= seen.start_ms and seen.end_ms <= said.end_ms:
                ratio = seen.g_per_kwh / said.g_per_kwh if said.g_per_kwh > 0 else 1.0
                return min(max(ratio, 1 / _MOST_RATIO), _MOST_RATIO), seen.end_ms
    return 1.0, 0


def corrected(
    points: Sequence[RatedPoint], source: str, ratio: float, at_ms: int
) -> list[RatedPoint]:
    """The forecast of that source times the ratio, which fades by the hour from `at_ms` on."""
    if ratio == 1.0:
        return list(points)
    drawn = []
    for point in points:
        if point.kind is PointKind.FORECAST and point.source == source:
            hours = max(point.start_ms - at_ms, 0) / MS_PER_HOUR
            g_per_kwh = round(point.g_per_kwh * ratio ** (FADE**hours), _DECIMALS)
            point = replace(point, g_per_kwh=g_per_kwh)
        drawn.append(point)
    return drawn
