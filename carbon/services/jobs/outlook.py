"""Plan a job: the forecast up to its deadline, the window it would take, and the grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msgspec import Struct

from carbon.domain.intensity import RatedPoint, mean_g_per_kwh
from carbon.domain.uncertainty import INTENSITY_HALF_WIDTH, Interval
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_window
from carbon.services.context import Context
from carbon.services.grid.intensity import rated_points
from carbon.services.grid.outlook import OutlookPoint
from carbon.services.sci.today import Figure


class JobOutlook(Struct, frozen=True):
    zone: str
    now_ms: int
    deadline_ms: int
    timezone: str
    length_h: float
    power_w: float
    points: list[OutlookPoint]
    #: The window chosen; null where nothing known tells one hour from another.
    start_ms: int | None
    end_ms: int | None
    mean_g_per_kwh: float | None
    now_g_per_kwh: float | None
    #: Null where no window was chosen.
    expected_g: Figure | None
    start_now_g: Figure | None
    saving_share: float | None


def job_outlook(
    context: Context, zone: str, length_ms: int, deadline_ms: int, power_w: float
) -> JobOutlook:
    """Raises InvalidInput (`deadline_too_soon`, `power_not_positive`) and NotFound
    (`unknown_zone`)."""
    now_ms = context.clock.now_ms()
    if power_w <= 0:
        raise InvalidInput("power_not_positive", "a job draws more than 0 W")
    if length_ms <= 0 or deadline_ms < now_ms + length_ms:
        raise InvalidInput("deadline_too_soon", "the job does not fit before its deadline")
    points = rated_points(context, zone, now_ms, deadline_ms)
    energy_kwh = power_w * length_ms / MS_PER_HOUR / 1000
    at_once = mean_g_per_kwh(points, now_ms, now_ms + length_ms)
    try:
        series = IntensitySeries.of([p for p in points if p.kind.may_shift])
        window = best_window(series, now_ms, deadline_ms, length_ms)
    except InvalidInput:
        window = None
    expected = _grams(points, window.start_ms, window.end_ms, energy_kwh) if window else None
    start_now = _grams(points, now_ms, now_ms + length_ms, energy_kwh)
    return JobOutlook(
        zone,
        now_ms,
        deadline_ms,
        context.settings.timezone,
        length_ms / MS_PER_HOUR,
        power_w,
        [OutlookPoint.of(point) for point in points],
        window.start_ms if window else None,
        window.end_ms if window else None,
        window.mean_g_per_kwh if window else None,
        at_once,
        expected,
        start_now,
        1 - expected.value / start_now.value if expected and start_now else None,
    )


def _grams(
    points: Sequence[RatedPoint], start_ms: int, end_ms: int, energy_kwh: float
) -> Figure | None:
    """Of so much energy, drawn evenly; all hours of a forecast err alike. Null over a gap."""
    bands = [Interval.within(p.g_per_kwh, INTENSITY_HALF_WIDTH[p.kind]) for p in points]
    means = [
        mean_g_per_kwh(
            [
                replace(p, g_per_kwh=getattr(band, side))
                for p, band in zip(points, bands, strict=True)
            ],
            start_ms,
            end_ms,
        )
        for side in ("value", "low", "high")
    ]
    value, low, high = (None if mean is None else mean * energy_kwh for mean in means)
    if value is None or low is None or high is None:
        return None
    return Figure(value, low, high)
