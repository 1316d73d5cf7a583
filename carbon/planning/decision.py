"""When one submitted job starts, and why: what the scheduler asks for each job it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from carbon.domain.jobs import PlacementReason
from carbon.errors import InvalidInput
from carbon.planning.interruptible import Segment, best_segments
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_window

#: Time from a decision to a running process, kept free before the deadline.
DISPATCH_MARGIN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a job stands in time. Grams are None where the intensity of that time is unknown."""

    start_ms: int
    #: None where the length is unknown.
    end_ms: int | None
    expected_g: float | None
    #: Of the same job begun at once: what its saving is measured against.
    start_now_g: float | None
    reason: PlacementReason
    #: When it runs; more than one only where it may pause. Empty where the length is unknown.
    segments: tuple[Segment, ...] = ()


def latest_safe_start_ms(
    deadline_ms: int, length_ms: int, margin_ms: int = DISPATCH_MARGIN_MS
) -> int:
    """The guard: at this moment the job goes, whatever any plan or feed says."""
    return deadline_ms - length_ms - margin_ms


def plan(
    series: IntensitySeries | None,
    now_ms: int,
    earliest_ms: int,
    deadline_ms: int,
    length_ms: int | None,
    power_w: float,
    interruptible: bool = False,
    margin_ms: int = DISPATCH_MARGIN_MS,
) -> Placement:
    """The cleanest start that keeps the deadline.

    `length_ms` is the length to be safe for, such as the 95th percentile of what is known. A
    job that cannot keep its deadline any more starts at once. Raises InvalidInput
    (`length_not_positive`).
    """
    at_once = max(now_ms, earliest_ms)
    if length_ms is None:
        return Placement(at_once, None, None, None, PlacementReason.LENGTH_UNKNOWN)
    if length_ms <= 0:
        raise InvalidInput("length_not_positive", "a job's length must be above 0")
    unshifted = (Segment(at_once, at_once + length_ms),)
    if latest_safe_start_ms(deadline_ms, length_ms, margin_ms) < at_once:
        return _placed(series, unshifted, unshifted, power_w, PlacementReason.DEADLINE_GUARD)
    movable = series.shiftable() if series is not None else None
    if movable is None or not movable.covers(at_once, at_once + length_ms):
        return _placed(series, unshifted, unshifted, power_w, PlacementReason.NO_FORECAST)
    best = _cleanest(movable, at_once, deadline_ms - margin_ms, length_ms, interruptible)
    reason = PlacementReason.NOW_IS_CLEANEST if best == unshifted else PlacementReason.CLEAN_WINDOW
    return _placed(series, best, unshifted, power_w, reason)


def _cleanest(
    series: IntensitySeries, earliest_ms: int, latest_end_ms: int, length_ms: int, may_pause: bool
) -> tuple[Segment, ...]:
    if may_pause:
        return best_segments(series, earliest_ms, latest_end_ms, length_ms).segments
    window = best_window(series, earliest_ms, latest_end_ms, length_ms)
    return (Segment(window.start_ms, window.end_ms),)


def _placed(
    series: IntensitySeries | None,
    segments: tuple[Segment, ...],
    unshifted: tuple[Segment, ...],
    power_w: float,
    reason: PlacementReason,
) -> Placement:
    return Placement(
        start_ms=segments[0].start_ms,
        end_ms=segments[-1].end_ms,
        expected_g=_grams(series, segments, power_w),
        start_now_g=_grams(series, unshifted, power_w),
        reason=reason,
        segments=segments,
    )


def _grams(
    series: IntensitySeries | None, segments: tuple[Segment, ...], power_w: float
) -> float | None:
    """None where any of it has no intensity: unknown is never 0."""
    if series is None:
        return None
    grams = sum(float(series.grams(s.start_ms, s.end_ms, power_w)) for s in segments)
    return None if math.isnan(grams) else grams
