"""What is left of a job that has begun and may pause, placed anew.

A pure function of `PlanInputs`, as `group_plans` is. It keeps its place of the pool throughout,
and changes its plan only for a gain that is worth it, the pause that a change costs included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec.structs import replace

from carbon.domain.jobs import PlacementReason
from carbon.planning.group import LEAST_GAIN
from carbon.planning.series import KWH_PER_W_MS, IntensitySeries
from carbon.services.jobs.plan_inputs import Ongoing, PlanInputs, Wish
from carbon.services.jobs.plans import (
    ASSUMED_POWER_W,
    AT_ONCE,
    decide,
    full_spans,
    margin_ms,
    series_of,
    with_money,
)
from carbon.storage.job_queries import Hints, PlacementRow, Span

#: What is left is run through: to pause for less is noise.
_LEAST_LEFT_MS: Final = 1_000


def rest_of(wish: Wish, inputs: PlanInputs) -> PlacementRow:
    """Its placement in force, with another rest where that is cleaner."""
    ongoing, stands = wish.ongoing, wish.stands
    assert ongoing is not None
    assert stands is not None
    stood = stands.segments or ((stands.start_ms, stands.end_ms),)
    old = _left_of(stood, inputs.now_ms, ongoing.left_ms)
    new = _best(wish, ongoing, inputs)
    gained_g = _gain_g(wish, ongoing, inputs, old, new) if new and old else None
    if gained_g is None:
        return _row(wish, inputs, stood, ongoing.expected_g)
    expected_g = None if ongoing.expected_g is None else ongoing.expected_g - gained_g
    return _row(wish, inputs, _joined(ongoing.done, new), expected_g)


def _left_of(segments: Sequence[Span], now_ms: int, left_ms: int) -> tuple[Span, ...]:
    """The parts still to come; the last is as long as what is really left asks."""
    parts = [(max(start, now_ms), end) for start, end in segments if end > now_ms]
    if not parts:
        return ()
    missing_ms = left_ms - sum(end - start for start, end in parts)
    start, end = parts[-1]
    return (*parts[:-1], (start, max(end + missing_ms, start + 1)))


def _best(wish: Wish, ongoing: Ongoing, inputs: PlanInputs) -> tuple[Span, ...]:
    """The cleanest rest; empty where nothing known says that it should change."""
    length_ms = wish.length_ms
    if length_ms is None or ongoing.left_ms < _LEAST_LEFT_MS or inputs.is_paused:
        return ()
    hints = wish.hints
    pauses = None if hints.max_pauses is None else max(hints.max_pauses - ongoing.pauses, 0)
    early_ms = margin_ms(length_ms) - margin_ms(ongoing.left_ms)
    rest = replace(
        wish,
        earliest_ms=inputs.now_ms,
        deadline_ms=wish.deadline_ms - early_ms,
        length_ms=ongoing.left_ms,
        hints=Hints((), hints.min_segment_ms, pauses, hints.checkpoint_ms),
    )
    placed = decide(rest, inputs, full_spans(inputs.taken, inputs.capacity))
    if placed.reason in AT_ONCE:
        return ()
    return placed.segments or ((placed.start_ms, placed.start_ms + ongoing.left_ms),)


def _gain_g(
    wish: Wish, ongoing: Ongoing, inputs: PlanInputs, old: Sequence[Span], new: Sequence[Span]
) -> float | None:
    """What the new rest saves of the old one; None where it may not, or is not worth it."""
    pauses_at_once = ongoing.runs_since_ms is not None and new[0][0] > inputs.now_ms
    if pauses_at_once:
        most, ran_ms = wish.hints.max_pauses, inputs.now_ms - (ongoing.runs_since_ms or 0)
        if most is not None and ongoing.pauses + len(new) > most:
            return None
        if ran_ms < wish.hints.min_segment_ms:
            return None
    series = series_of(inputs.points)
    compared = with_money(series, inputs.terms, inputs.timezone)
    before, after = (_area(compared, wish, ongoing, inputs.now_ms, p) for p in (old, new))
    if not after < (1 - LEAST_GAIN) * before:  # also where either is not known
        return None
    watts = wish.power_w or ASSUMED_POWER_W
    told = [_area(series, wish, ongoing, inputs.now_ms, parts) for parts in (old, new)]
    return (told[0] - told[1]) * watts * KWH_PER_W_MS


def _area(
    series: IntensitySeries, wish: Wish, ongoing: Ongoing, now_ms: int, parts: Sequence[Span]
) -> float:
    """Intensity x time of the parts and of the checkpoints at their ends; NaN where unknown."""
    at = np.array(parts, dtype=np.int64)
    if not series.covers(int(at[0, 0]), int(at[-1, 1])):
        return float("nan")
    area = float(np.sum(series.area(at[:, 1]) - series.area(at[:, 0])))
    ends = at[:-1, 1]
    if ongoing.runs_since_ms is not None and at[0, 0] > now_ms:
        ends = np.concatenate(([now_ms + 1], ends))
    rate = float(np.sum(series.area(ends) - series.area(ends - 1)))
    return area + rate * wish.hints.checkpoint_ms


def _joined(done: Sequence[Span], new: Sequence[Span]) -> tuple[Span, ...]:
    if done and done[-1][1] == new[0][0]:
        return (*done[:-1], (done[-1][0], new[0][1]), *new[1:])
    return (*done, *new)


def _row(
    wish: Wish, inputs: PlanInputs, segments: Sequence[Span], expected_g: float | None
) -> PlacementRow:
    assert wish.ongoing is not None
    assert wish.stands is not None
    return PlacementRow(
        start_ms=segments[0][0],
        end_ms=segments[-1][1],
        latest_start_ms=wish.ongoing.latest_start_ms,
        zone=inputs.zone,
        expected_g=expected_g,
        start_now_g=wish.stands.start_now_g,
        reason=PlacementReason.CLEAN_WINDOW,
        decided_ms=inputs.now_ms,
        vintages=inputs.vintages,
        segments=tuple(segments) if len(segments) > 1 else (),
    )
