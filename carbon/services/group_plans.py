"""Many jobs of one pool and zone placed in one go, as `job_plans.decide` places one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import PlacementReason
from carbon.planning.decision import latest_safe_start_ms
from carbon.planning.group import Group, Room, place_group
from carbon.planning.series import IntArray, IntensitySeries
from carbon.planning.shares import CleanRequest, fair_order
from carbon.services.job_plans import (
    ASSUMED_LENGTH_MS,
    ASSUMED_POWER_W,
    Span,
    Wish,
    decide,
    margin_ms,
    vintages_of,
)
from carbon.storage.job_queries import JobRow, PlacementRow


def in_turns(jobs: Sequence[JobRow]) -> list[JobRow]:
    """Teams by turns, each team's own by priority and deadline."""
    asked = [
        CleanRequest(
            job.workload.team, job.length_ms or ASSUMED_LENGTH_MS, job.deadline_ms, job.priority
        )
        for job in jobs
    ]
    return [jobs[index] for index in fair_order(asked, {})]


def decide_group(
    wishes: Sequence[Wish],
    zone: str,
    points: Sequence[RatedPoint],
    spans: Sequence[Span],
    capacity: int,
    now_ms: int,
    old: Sequence[PlacementRow | None] = (),
) -> list[PlacementRow]:
    """A placement per wish, the first ones served first.

    `spans` is what the pool's jobs have taken, old places of these very jobs (`old`) included;
    a job moves only where it gains.
    """
    old = old or [None] * len(wishes)
    series = _until_first_gap(points, now_ms)
    until_ms = int(series.marks_ms[-1]) if series else now_ms
    planned = [i for i, wish in enumerate(wishes) if _is_planned(wish, series, until_ms, now_ms)]
    placed: dict[int, PlacementRow] = {}
    if series is not None and planned:
        group = _group([wishes[i] for i in planned], [old[i] for i in planned], until_ms, now_ms)
        starts = place_group(series, group, _room(spans, old, group, planned, capacity, now_ms))
        rows = _rows([wishes[i] for i in planned], starts, series, zone, points, now_ms)
        placed = dict(zip(planned, rows, strict=True))
    made = []
    for index, wish in enumerate(wishes):
        before = old[index]
        row = placed.get(index) or decide(wish, zone, points, (), now_ms)
        # What it would have cost at once is a matter of when it was submitted.
        made.append(replace(row, start_now_g=before.start_now_g) if before else row)
    return made


def _until_first_gap(points: Sequence[RatedPoint], now_ms: int) -> IntensitySeries | None:
    """What may move a job, from now on without a gap."""
    run: list[RatedPoint] = []
    for point in points:
        if point.end_ms <= now_ms:
            continue
        if not point.kind.may_shift or point.start_ms > (run[-1].end_ms if run else now_ms):
            break
        run.append(point)
    return IntensitySeries.of(run) if run else None


def _is_planned(wish: Wish, series: IntensitySeries | None, until_ms: int, now_ms: int) -> bool:
    if series is None or wish.length_ms is None:
        return False
    at_once = max(now_ms, wish.earliest_ms)
    latest = latest_safe_start_ms(wish.deadline_ms, wish.length_ms, margin_ms(wish.length_ms))
    return at_once <= latest and at_once + wish.length_ms <= until_ms


def _group(
    wishes: Sequence[Wish], old: Sequence[PlacementRow | None], until_ms: int, now_ms: int
) -> Group:
    length = np.array([w.length_ms for w in wishes], dtype=np.int64)
    earliest = np.array([max(now_ms, w.earliest_ms) for w in wishes], dtype=np.int64)
    margin = [margin_ms(w.length_ms or 0) for w in wishes]
    end = np.array([w.deadline_ms for w in wishes], dtype=np.int64) - np.array(margin)
    end = np.minimum(end, until_ms)
    start = np.array([p.start_ms if p else -1 for p in old], dtype=np.int64)
    # A place that is not in reach any more, or of no known intensity, is none to keep.
    stands = (start >= earliest) & (start + length <= end)
    return Group(earliest, end, length, np.where(stands, start, -1))


def _room(
    spans: Sequence[Span],
    old: Sequence[PlacementRow | None],
    group: Group,
    planned: Sequence[int],
    capacity: int,
    now_ms: int,
) -> Room:
    room = Room(now_ms, int(group.latest_end_ms.max()), capacity)
    room.take_all(*_columns(spans))
    left = [
        (p.start_ms, p.end_ms)
        for p, kept in zip((old[i] for i in planned), group.old_start_ms.tolist(), strict=True)
        if p is not None and kept < 0
    ]
    room.take_all(*_columns(left), -1)
    return room


def _columns(spans: Sequence[Span]) -> tuple[IntArray, IntArray]:
    pairs = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _rows(
    wishes: Sequence[Wish],
    starts: IntArray,
    series: IntensitySeries,
    zone: str,
    points: Sequence[RatedPoint],
    now_ms: int,
) -> list[PlacementRow]:
    length = np.array([w.length_ms for w in wishes], dtype=np.int64)
    at_once = np.array([max(now_ms, w.earliest_ms) for w in wishes], dtype=np.int64)
    start = np.where(starts < 0, at_once, starts)
    watts = np.array([w.power_w or ASSUMED_POWER_W for w in wishes])
    grams = series.grams(start, start + length, 1.0) * watts
    start_now_grams = series.grams(at_once, at_once + length, 1.0) * watts
    vintages = vintages_of(points)
    return [
        PlacementRow(
            start_ms=begin,
            end_ms=begin + (wish.length_ms or 0),
            latest_start_ms=wish.deadline_ms
            - (wish.length_ms or 0)
            - margin_ms(wish.length_ms or 0),
            zone=zone,
            expected_g=expected,
            start_now_g=start_now,
            reason=_reason(planned_ms, begin, first),
            decided_ms=now_ms,
            vintages=vintages,
        )
        for wish, planned_ms, begin, first, expected, start_now in zip(
            wishes,
            starts.tolist(),
            start.tolist(),
            at_once.tolist(),
            grams.tolist(),
            start_now_grams.tolist(),
            strict=True,
        )
    ]


def _reason(planned_ms: int, start_ms: int, at_once_ms: int) -> PlacementReason:
    if planned_ms < 0:  # no window with room in time: it goes in turn
        return PlacementReason.DEADLINE_GUARD
    if start_ms == at_once_ms:
        return PlacementReason.NOW_IS_CLEANEST
    return PlacementReason.CLEAN_WINDOW
