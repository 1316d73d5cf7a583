"""When one submitted job starts, and why: what the scheduler asks for each job it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.jobs import PlacementReason
from carbon.errors import InvalidInput
from carbon.planning.interruptible import Segment
from carbon.planning.likely_lengths import cheapest_starts
from carbon.planning.limited_pauses import PauseLimits, best_limited_segments
from carbon.planning.preference import (
    Preference,
    preferred_segments,
    preferred_window,
    tilted,
)
from carbon.planning.series import IntensitySeries

#: Time from a decision to a running process, kept free before the deadline.
DISPATCH_MARGIN_MS: Final = 60_000
_NO_LIMITS: Final = PauseLimits()
_CARBON_ALONE: Final = Preference()


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
    limits: PauseLimits = _NO_LIMITS,
    preference: Preference = _CARBON_ALONE,
    likely_ms: Sequence[int] = (),
    priced_series: IntensitySeries | None = None,
) -> Placement:
    """The cleanest start that keeps the deadline, or the one that the pool prefers.

    `length_ms` is the length to be safe for, such as the 95th percentile of what is known;
    `likely_ms` are the lengths that are as likely as one another, none above it, by which a
    start is chosen. `priced_series` is what is compared where money counts. A job that cannot
    keep its deadline any more starts at once. Raises InvalidInput (`length_not_positive`).
    """
    at_once = max(now_ms, earliest_ms)
    if length_ms is None:
        return Placement(at_once, None, None, None, PlacementReason.LENGTH_UNKNOWN)
    if length_ms <= 0:
        raise InvalidInput("length_not_positive", "a job's length must be above 0")
    unshifted = (Segment(at_once, at_once + length_ms),)
    if latest_safe_start_ms(deadline_ms, length_ms, margin_ms) < at_once:
        return _placed(series, unshifted, unshifted, power_w, PlacementReason.DEADLINE_GUARD)
    compared = series if priced_series is None else priced_series
    movable = compared.shiftable() if compared is not None else None
    if movable is None or not movable.covers(at_once, at_once + length_ms):
        return _placed(series, unshifted, unshifted, power_w, PlacementReason.NO_FORECAST)
    latest_end_ms = deadline_ms - margin_ms
    if interruptible:
        best = _paused(movable, at_once, latest_end_ms, length_ms, limits, preference)
    elif len(likely_ms) > 1:
        best = _likely(movable, at_once, latest_end_ms, length_ms, preference, likely_ms)
    else:
        best = _unbroken(movable, at_once, latest_end_ms, length_ms, preference)
    reason = PlacementReason.NOW_IS_CLEANEST if best == unshifted else PlacementReason.CLEAN_WINDOW
    return _placed(series, best, unshifted, power_w, reason, limits.checkpoint_ms)


def _unbroken(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    preference: Preference,
) -> tuple[Segment, ...]:
    window = preferred_window(series, earliest_ms, latest_end_ms, length_ms, preference)
    return (Segment(window.start_ms, window.end_ms),)


def _likely(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    preference: Preference,
    likely_ms: Sequence[int],
) -> tuple[Segment, ...]:
    start, _ = cheapest_starts(
        series,
        np.array([earliest_ms]),
        np.array([latest_end_ms - length_ms]),
        likely_ms,
        preference.saving_per_hour,
    )
    return (Segment(int(start[0]), int(start[0]) + length_ms),)


def _paused(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    limits: PauseLimits,
    preference: Preference,
) -> tuple[Segment, ...]:
    if limits.are_none:
        plan = preferred_segments(series, earliest_ms, latest_end_ms, length_ms, preference)
        return plan.segments
    against = tilted(series, earliest_ms, preference)
    try:
        plan = best_limited_segments(against, earliest_ms, latest_end_ms, length_ms, limits)
    except InvalidInput:
        # Too tight for whole cells: without a pause every limit is kept.
        return _unbroken(series, earliest_ms, latest_end_ms, length_ms, preference)
    return plan.segments


def _placed(
    series: IntensitySeries | None,
    segments: tuple[Segment, ...],
    unshifted: tuple[Segment, ...],
    power_w: float,
    reason: PlacementReason,
    checkpoint_ms: int = 0,
) -> Placement:
    return Placement(
        start_ms=segments[0].start_ms,
        end_ms=segments[-1].end_ms,
        expected_g=_grams(series, segments, power_w, checkpoint_ms),
        start_now_g=_grams(series, unshifted, power_w),
        reason=reason,
        segments=segments,
    )


def _grams(
    series: IntensitySeries | None,
    segments: tuple[Segment, ...],
    power_w: float,
    checkpoint_ms: int = 0,
) -> float | None:
    """None where any of it has no intensity: unknown is never 0."""
    if series is None:
        return None
    grams = sum(float(series.grams(s.start_ms, s.end_ms, power_w)) for s in segments)
    # A checkpoint is drawn at the end of each segment but the last.
    for pause in segments[:-1]:
        last_ms = float(series.grams(pause.end_ms - 1, pause.end_ms, power_w))
        grams += last_ms * checkpoint_ms
    return None if math.isnan(grams) else grams
