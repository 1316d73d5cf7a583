"""Intensity as the Carbon Aware SDK speaks of it: locations, emissions, forecasts of windows.

A location is a zone or the name of a cloud region. What is told here may be read by anybody who
reaches it, so that only what may be passed on is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from carbon.domain.intensity import PointKind, RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.domain.yearly import ZONE_NAMES
from carbon.errors import InvalidInput, NotFound
from carbon.grid.cloud_regions import regions
from carbon.grid.licences import allowed_of
from carbon.services.context import Context
from carbon.services.grid.intensity import known_zone, points_of, rated_points
from carbon.storage.engine import reading

MS_PER_MIN: Final = 60_000
#: How far ahead a forecast is told where no end is asked for.
AHEAD_MS: Final = 96 * MS_PER_HOUR
LONGEST_MS: Final = 400 * MS_PER_DAY
_FORETELLS: Final = (PointKind.FORECAST, PointKind.TYPICAL)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time and its mean."""

    start_ms: int
    end_ms: int
    g_per_kwh: float


@dataclass(frozen=True, slots=True)
class WindowForecast:
    """Every window of one length that fits into [start, end), and the cleanest of them."""

    generated_ms: int
    requested_ms: int
    start_ms: int
    end_ms: int
    window_ms: int
    windows: tuple[Window, ...]
    #: All that share the lowest value, in order of time.
    best: tuple[Window, ...]


def locations() -> list[str]:
    """Zones and names of cloud regions; any other zone that has points can be asked for too."""
    return sorted({*ZONE_NAMES, *regions()})


def zone_of(context: Context, location: str) -> str:
    """Raises NotFound `unknown_zone`."""
    with reading(context.engine) as connection:
        return known_zone(connection, regions().get(location.strip().lower(), location))


def emissions(context: Context, location: str, start_ms: int, end_ms: int) -> list[RatedPoint]:
    """What was or is: no forecasts. A window without length asks for the point that holds."""
    _check(start_ms, max(end_ms, start_ms + 1))
    zone = zone_of(context, location)
    points = rated_points(context, zone, start_ms, max(end_ms, start_ms + 1), to_others=True)
    now_ms = context.clock.now_ms()
    return [p for p in points if p.start_ms <= now_ms]


def average(context: Context, location: str, start_ms: int, end_ms: int) -> float | None:
    """Time-weighted; None where any of the window is unknown."""
    _check(start_ms, end_ms)
    zone = zone_of(context, location)
    points = rated_points(context, zone, start_ms, end_ms, to_others=True)
    return mean_g_per_kwh(points, start_ms, end_ms)


def window_forecast(
    context: Context,
    location: str,
    start_ms: int | None,
    end_ms: int | None,
    window_ms: int | None,
    as_of_ms: int | None = None,
) -> WindowForecast:
    """The windows that fit; without a length, of the forecast's own step.

    `as_of_ms` asks what was foretold then. Raises NotFound `unknown_zone`, `no_forecast`;
    InvalidInput `outside_forecast`, `window_does_not_fit`.
    """
    from_ms = context.clock.now_ms() if as_of_ms is None else as_of_ms
    points = _foretold(context, zone_of(context, location), from_ms, as_of_ms)
    if not points:
        raise NotFound(
            "no_forecast", f"nothing foretells {location}; bring a feed, or some days of history"
        )
    first_ms, last_ms = points[0].start_ms, points[-1].end_ms
    start_ms = max(first_ms, from_ms) if start_ms is None else start_ms
    end_ms = last_ms if end_ms is None else end_ms
    if not (first_ms <= start_ms < end_ms <= last_ms):
        raise InvalidInput(
            "outside_forecast", "dataStartAt and dataEndAt must lie in order inside the forecast"
        )
    step_ms = max(point.end_ms - point.start_ms for point in points)
    windows = _windows(points, start_ms, end_ms, window_ms or step_ms)
    if not windows:
        raise InvalidInput("window_does_not_fit", "windowSize must fit into the data asked for")
    lowest = min(window.g_per_kwh for window in windows)
    return WindowForecast(
        max(p.published_ms for p in points) or from_ms,  # typical hours are nobody's publication
        context.clock.now_ms() if as_of_ms is None else as_of_ms,
        start_ms,
        end_ms,
        window_ms or step_ms,
        windows,
        tuple(window for window in windows if window.g_per_kwh == lowest),
    )


def _foretold(context: Context, zone: str, from_ms: int, as_of_ms: int | None) -> list[RatedPoint]:
    """From the point that holds at `from_ms` on, up to the first gap."""
    if as_of_ms is None:
        points = rated_points(context, zone, from_ms, from_ms + AHEAD_MS, to_others=True)
    else:
        passed_on = allowed_of(context.settings.redistribute)
        with reading(context.engine) as connection:
            points = points_of(
                connection,
                zone,
                from_ms,
                from_ms + AHEAD_MS,
                Signal.AVERAGE,
                None,
                as_of_ms,
                passed_on,
            )
    made: list[RatedPoint] = []
    for point in points:
        if point.kind in _FORETELLS and (not made or made[-1].end_ms == point.start_ms):
            made.append(point)
        elif made:
            break
    return _stepped(made)


def _stepped(points: Sequence[RatedPoint]) -> list[RatedPoint]:
    """Neighbours of one value were joined; here each step of the source stands by itself."""
    inner = points[1:-1] or points
    step_ms = min((p.end_ms - p.start_ms for p in inner), default=0)
    made = []
    for point in points:
        at_ms = point.start_ms
        while at_ms < point.end_ms:
            until_ms = min(floor_to(at_ms, step_ms) + step_ms, point.end_ms)
            made.append(replace(point, start_ms=at_ms, end_ms=until_ms))
            at_ms = until_ms
    return made


def _windows(
    points: Sequence[RatedPoint], start_ms: int, end_ms: int, window_ms: int
) -> tuple[Window, ...]:
    """At `start_ms` and at the start of each point after it."""
    area = [0.0, *accumulate(p.g_per_kwh * (p.end_ms - p.start_ms) for p in points)]

    def integral(at_ms: int, index: int) -> float:
        """Up to `at_ms`, which lies in point `index`."""
        return area[index] + points[index].g_per_kwh * (at_ms - points[index].start_ms)

    made, last = [], 0
    for index, point in enumerate(points):
        begin_ms = max(point.start_ms, start_ms)
        finish_ms = begin_ms + window_ms
        if point.end_ms <= start_ms or finish_ms > end_ms:
            continue
        while points[last].end_ms < finish_ms:
            last += 1
        mean = (integral(finish_ms, last) - integral(begin_ms, index)) / window_ms
        made.append(Window(begin_ms, finish_ms, round(mean, 6)))
    return tuple(made)


def _check(start_ms: int, end_ms: int) -> None:
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "the end must lie after the start")
    if end_ms - start_ms > LONGEST_MS:
        raise InvalidInput("window_too_long", "ask for 400 days at most")
