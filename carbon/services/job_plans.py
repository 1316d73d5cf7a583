"""When a job is to start: its zone's intensity, its pool's room, and the guard before them.

The planner decides for one job; here it is told what it may not know: which times are taken
by others of the same pool, and how long and how hungry the job is where nobody said.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import PlacementReason
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput, NotFound
from carbon.planning.decision import DISPATCH_MARGIN_MS, plan
from carbon.planning.series import IntensitySeries
from carbon.services.context import Context
from carbon.services.intensity import known_zone, rated_points
from carbon.storage.engine import reading
from carbon.storage.job_queries import JobRow, PlacementRow
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

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the planner."""

    earliest_ms: int
    deadline_ms: int
    length_ms: int | None
    power_w: float | None

    @classmethod
    def of(cls, job: JobRow) -> Wish:
        return cls(job.earliest_ms, job.deadline_ms, job.length_ms, job.power_w)


def zone_of(context: Context, zones: Sequence[str]) -> str:
    """The zone in which the job will draw its power: the one named, else this host's, as its
    energy will be priced. Raises InvalidInput(`unknown_zone`)."""
    with reading(context.engine) as connection:
        try:
            if zones:
                return known_zone(connection, zones[0])
        except NotFound as error:
            raise InvalidInput(error.code, error.detail, **error.extra) from None
        now_ms = context.clock.now_ms()
        return zone_of_host(connection, platform.node(), now_ms, context.settings.zone)


def points_until(context: Context, zone: str, deadline_ms: int) -> list[RatedPoint]:
    """The intensity that a plan made now may look at."""
    return rated_points(context, zone, context.clock.now_ms(), deadline_ms)


def margin_ms(length_ms: int) -> int:
    """Kept free before the deadline: a tenth of the length, at most the planner's own."""
    return min(DISPATCH_MARGIN_MS, length_ms // 10)


def decide(
    wish: Wish, zone: str, points: Sequence[RatedPoint], taken: Sequence[Span], now_ms: int
) -> PlacementRow:
    """The placement of one job among those of its pool; `taken` are times at which it is full."""
    length_ms = wish.length_ms
    hold_ms = length_ms or ASSUMED_LENGTH_MS
    at_once = first_room_ms(taken, max(now_ms, wish.earliest_ms), hold_ms)
    margin = margin_ms(length_ms or 0)
    latest_ms = wish.deadline_ms - (length_ms or 0) - margin
    placed = plan(
        _series(points, taken),
        now_ms,
        at_once,
        wish.deadline_ms,
        length_ms,
        wish.power_w or ASSUMED_POWER_W,
        margin_ms=margin,
    )
    # Without a window to wait for, the job goes as soon as its pool really has room.
    start_ms = max(now_ms, wish.earliest_ms) if placed.reason in AT_ONCE else placed.start_ms
    return PlacementRow(
        start_ms=start_ms,
        end_ms=start_ms + hold_ms,
        latest_start_ms=latest_ms,
        zone=zone,
        expected_g=placed.expected_g,
        start_now_g=placed.start_now_g,
        reason=placed.reason,
        decided_ms=now_ms,
        vintages=vintages_of(points),
    )


def unmoved(decision: PlacementRow, earliest_ms: int) -> PlacementRow:
    """The same job begun as soon as it may, since the scheduler is paused."""
    start_ms = max(decision.decided_ms, earliest_ms)
    return replace(
        decision,
        start_ms=start_ms,
        end_ms=start_ms + decision.end_ms - decision.start_ms,
        expected_g=decision.start_now_g,
        reason=PlacementReason.SCHEDULER_PAUSED,
    )


def vintages_of(points: Iterable[RatedPoint]) -> tuple[int, ...]:
    return tuple(sorted({p.vintage for p in points if p.vintage}))


def full_spans(spans: Iterable[Span], capacity: int) -> list[Span]:
    """The times at which `capacity` or more of the spans lie over one another; ascending."""
    steps = sorted(
        [(lo, 1) for lo, hi in spans if lo < hi] + [(hi, -1) for lo, hi in spans if lo < hi]
    )
    full: list[Span] = []
    count, since = 0, 0
    for at_ms, step in steps:
        count += step
        if step > 0 and count == capacity:
            since = at_ms
        elif step < 0 and count == capacity - 1 and at_ms > since:
            full.append((since, at_ms))
    return full


def first_room_ms(taken: Sequence[Span], from_ms: int, length_ms: int) -> int:
    """The first moment from which the pool has room for the whole length."""
    at = from_ms
    for lo, hi in taken:
        if lo >= at + length_ms:
            break
        at = max(at, hi)
    return at


def _series(points: Sequence[RatedPoint], taken: Sequence[Span]) -> IntensitySeries | None:
    """The intensity with gaps where the pool is full: the planner never runs into a gap."""
    free = [part for point in points for part in _without(point, taken)]
    return IntensitySeries.of(free) if free else None


def _without(point: RatedPoint, taken: Sequence[Span]) -> list[RatedPoint]:
    parts, at = [], point.start_ms
    for lo, hi in taken:
        if hi <= at or lo >= point.end_ms:
            continue
        if lo > at:
            parts.append(replace(point, start_ms=at, end_ms=lo))
        at = max(at, hi)
    if at < point.end_ms:
        parts.append(replace(point, start_ms=at))
    return parts
