"""When a job is to start: its zone's intensity, its pool's room, and the guard before them.

The planner decides for one job; here it is told what it may not know: which times are taken
by others of the same pool, and how long and how hungry the job is where nobody said.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace

from carbon.domain.jobs import PlacementReason
from carbon.domain.units import MS_PER_HOUR
from carbon.planning.decision import DISPATCH_MARGIN_MS, Placement, plan
from carbon.planning.limited_pauses import PauseLimits
from carbon.planning.preference import Preference, priced
from carbon.planning.series import IntArray, IntensitySeries
from carbon.services.context import Context
from carbon.services.grid.intensity import bundled_zone, stated_zone
from carbon.services.jobs.plan_inputs import PlanInputs, Point, PoolTerms, Taken, Wish
from carbon.storage.engine import reading
from carbon.storage.job_queries import PlacementRow, Span
from carbon.storage.places import zone_of_host

#: For planning alone, where nobody said what a job draws; flagged `power_assumed`.
ASSUMED_POWER_W: Final = 100.0
#: How long a job of unknown length is taken to hold its place of the pool.
ASSUMED_LENGTH_MS: Final = MS_PER_HOUR

#: Reasons that do not wait for anything.
AT_ONCE: Final = frozenset(
    {
        PlacementReason.LENGTH_UNKNOWN,
        PlacementReason.NO_FORECAST,
        PlacementReason.DEADLINE_GUARD,
        PlacementReason.ASKED_TO_START,
        PlacementReason.SCHEDULER_PAUSED,
    }
)


def zone_of(context: Context, zones: Sequence[str]) -> str:
    """The zone in which the job will draw its power: the one named, else this host's, as its
    energy will be priced. Raises InvalidInput(`unknown_zone`)."""
    if zones and (bundled := bundled_zone(zones[0])) is not None:
        return bundled
    with reading(context.engine) as connection:
        if zones:
            return stated_zone(connection, zones[0])
        now_ms = context.clock.now_ms()
        return zone_of_host(connection, platform.node(), now_ms, context.settings.zone)


def margin_ms(length_ms: int) -> int:
    """Kept free before the deadline: a tenth of the length, at most the planner's own."""
    return min(DISPATCH_MARGIN_MS, length_ms // 10)


def margins_ms(length_ms: IntArray) -> IntArray:
    """As `margin_ms`, of many jobs."""
    return np.minimum(DISPATCH_MARGIN_MS, length_ms // 10)


def decide(wish: Wish, inputs: PlanInputs, full: Sequence[Span]) -> PlacementRow:
    """The placement of one job among those of its pool; `full` are times without room."""
    length_ms, now_ms = wish.length_ms, inputs.now_ms
    hold_ms = length_ms or ASSUMED_LENGTH_MS
    at_once = first_room_ms(full, max(now_ms, wish.earliest_ms), hold_ms)
    margin = margin_ms(length_ms or 0)
    placed = _placed(wish, inputs, full, at_once, wish.interruptible)
    if len(placed.segments) > 1 and _meets(placed, full):
        # A job that pauses keeps its place: in one piece it finds one that is free throughout.
        placed = _placed(wish, inputs, full, at_once, False)
    # Without a window to wait for, the job goes as soon as its pool really has room.
    starts_at_once = placed.reason in AT_ONCE
    start_ms = max(now_ms, wish.earliest_ms) if starts_at_once else placed.start_ms
    paused = tuple((s.start_ms, s.end_ms) for s in placed.segments)
    paused = paused if len(paused) > 1 else ()
    return PlacementRow(
        start_ms=start_ms,
        end_ms=paused[-1][1] if paused else start_ms + hold_ms,
        latest_start_ms=wish.deadline_ms - (length_ms or 0) - margin,
        zone=inputs.zone,
        expected_g=placed.expected_g,
        start_now_g=placed.start_now_g,
        reason=placed.reason,
        decided_ms=now_ms,
        vintages=inputs.vintages,
        segments=paused,
    )


def _placed(
    wish: Wish, inputs: PlanInputs, full: Sequence[Span], at_once: int, interruptible: bool
) -> Placement:
    series, terms = _series(inputs.points, full), inputs.terms
    hints = wish.hints
    return plan(
        series,
        inputs.now_ms,
        at_once,
        wish.deadline_ms,
        wish.length_ms,
        wish.power_w or ASSUMED_POWER_W,
        interruptible,
        margin_ms(wish.length_ms or 0),
        PauseLimits(hints.min_segment_ms, hints.max_pauses, hints.checkpoint_ms),
        Preference(terms.saving_per_hour, terms.g_per_money),
        hints.lengths_ms,
        with_money(series, terms, inputs.timezone) if series else None,
    )


def _meets(placed: Placement, full: Sequence[Span]) -> bool:
    end_ms = placed.segments[-1].end_ms
    return any(lo < end_ms and hi > placed.start_ms for lo, hi in full)


def with_money(series: IntensitySeries, terms: PoolTerms, timezone: str) -> IntensitySeries:
    """The intensity with the pool's price of energy laid on it, if it has one."""
    if not (terms.g_per_money and terms.money_per_kwh) or series.is_empty:
        return series
    hours = np.arange(series.marks_ms[0] // MS_PER_HOUR + 1, -(-series.marks_ms[-1] // MS_PER_HOUR))
    marks = np.unique(np.concatenate((series.marks_ms, hours * MS_PER_HOUR)))
    slot = np.searchsorted(series.end_ms, marks[:-1], "right")
    inside = (slot < len(series.start_ms)) & (
        series.start_ms[np.minimum(slot, len(series.start_ms) - 1)] <= marks[:-1]
    )
    start, end, slot = marks[:-1][inside], marks[1:][inside], slot[inside]
    shift = series.may_shift[slot] if series.may_shift is not None else None
    cut = IntensitySeries(start, end, series.g_per_kwh[slot], shift)
    zone = ZoneInfo(timezone)
    money = [
        terms.money_per_kwh[datetime.fromtimestamp(at / 1000, zone).hour] for at in start.tolist()
    ]
    return priced(cut, money, Preference(g_per_money=terms.g_per_money))


def unmoved(decision: PlacementRow, earliest_ms: int) -> PlacementRow:
    """The same job begun as soon as it may, since the scheduler is paused."""
    start_ms = max(decision.decided_ms, earliest_ms)
    return replace(
        decision,
        start_ms=start_ms,
        end_ms=start_ms + sum(end - start for start, end in decision.segments)
        if decision.segments
        else start_ms + decision.end_ms - decision.start_ms,
        expected_g=decision.start_now_g,
        reason=PlacementReason.SCHEDULER_PAUSED,
        segments=(),
    )


def full_spans(taken: Iterable[Taken], capacity: int) -> list[Span]:
    """The times at which `capacity` or more jobs hold a place; ascending."""
    steps: dict[int, int] = {}
    for lo, hi, jobs in taken:
        if lo < hi:
            steps[lo] = steps.get(lo, 0) + jobs
            steps[hi] = steps.get(hi, 0) - jobs
    full: list[Span] = []
    count, since = 0, None
    for at_ms in sorted(steps):
        count += steps[at_ms]
        if count >= capacity and since is None:
            since = at_ms
        elif count < capacity and since is not None:
            full.append((since, at_ms))
            since = None
    return full


def first_room_ms(taken: Sequence[Span], from_ms: int, length_ms: int) -> int:
    """The first moment from which the pool has room for the whole length."""
    at = from_ms
    for lo, hi in taken:
        if lo >= at + length_ms:
            break
        at = max(at, hi)
    return at


def _series(points: Sequence[Point], full: Sequence[Span]) -> IntensitySeries | None:
    """The intensity with gaps where the pool is full: the planner never runs into a gap."""
    free = [part for point in points for part in _without(point, full)]
    return series_of(free) if free else None


def series_of(points: Sequence[Point]) -> IntensitySeries:
    return IntensitySeries(
        np.array([p.start_ms for p in points], dtype=np.int64),
        np.array([p.end_ms for p in points], dtype=np.int64),
        np.array([p.g_per_kwh for p in points], dtype=np.float64),
        np.array([p.may_shift for p in points], dtype=np.bool_),
    )


def _without(point: Point, full: Sequence[Span]) -> list[Point]:
    parts, at = [], point.start_ms
    for lo, hi in full:
        if hi <= at or lo >= point.end_ms:
            continue
        if lo > at:
            parts.append(Point(at, lo, point.g_per_kwh, point.may_shift))
        at = max(at, hi)
    if at < point.end_ms:
        parts.append(Point(at, point.end_ms, point.g_per_kwh, point.may_shift))
    return parts
