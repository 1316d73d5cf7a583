"""Grid intensity of a zone: the last hours, now, the next 24, and when it is cleanest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from carbon.domain.intensity import RatedPoint
from carbon.domain.uncertainty import INTENSITY_HALF_WIDTH, Interval
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_window
from carbon.services.context import Context
from carbon.services.grid.intensity import rated_points

BACK_MS: Final = 3 * MS_PER_HOUR
AHEAD_MS: Final = MS_PER_DAY
#: The length of the clean window that the page marks; a job is planned with its own.
WINDOW_MS: Final = 2 * MS_PER_HOUR


class OutlookPoint(Struct, frozen=True):
    start_ms: int
    end_ms: int
    g_per_kwh: float
    kind: str
    source: str
    #: Bounds of its central 95 %, by what kind of figure it is.
    low: float
    high: float

    @classmethod
    def of(cls, p: RatedPoint) -> OutlookPoint:
        band = Interval.within(p.g_per_kwh, INTENSITY_HALF_WIDTH[p.kind])
        return cls(p.start_ms, p.end_ms, p.g_per_kwh, str(p.kind), p.source, band.low, band.high)


class CleanWindow(Struct, frozen=True):
    start_ms: int
    end_ms: int
    mean_g_per_kwh: float


class Outlook(Struct, frozen=True):
    zone: str
    start_ms: int
    end_ms: int
    #: What holds now; null where nothing is known of the zone.
    g_per_kwh: float | None
    source: str | None
    kind: str | None
    signal: str | None
    scope: str | None
    published_ms: int | None
    flags: list[str]
    points: list[OutlookPoint]
    #: Null where only a yearly figure is known: it tells no hour from another.
    clean_window: CleanWindow | None


def outlook(context: Context, zone: str, zone_flags: Sequence[str] = ()) -> Outlook:
    """Raises NotFound(`unknown_zone`) for a zone that nothing is known of."""
    now_ms = context.clock.now_ms()
    start_ms, end_ms = now_ms - BACK_MS, now_ms + AHEAD_MS
    points = rated_points(context, zone, start_ms, end_ms)
    now = next((p for p in points if p.start_ms <= now_ms < p.end_ms), None)
    flags = dict.fromkeys([*zone_flags, *(now.flags if now else ())])
    return Outlook(
        zone,
        start_ms,
        end_ms,
        now.g_per_kwh if now else None,
        now.source if now else None,
        str(now.kind) if now else None,
        str(now.signal) if now else None,
        str(now.scope) if now else None,
        now.published_ms or None if now else None,
        list(flags),
        [OutlookPoint.of(point) for point in points],
        cleanest(points, now_ms, end_ms),
    )


def cleanest(points: Sequence[RatedPoint], now_ms: int, end_ms: int) -> CleanWindow | None:
    """The cleanest window among the points that may shift a job."""
    series = IntensitySeries.of([p for p in points if p.kind.may_shift])
    try:
        window = best_window(series, now_ms, end_ms, WINDOW_MS)
    except InvalidInput:
        return None
    return CleanWindow(window.start_ms, window.end_ms, window.mean_g_per_kwh)
