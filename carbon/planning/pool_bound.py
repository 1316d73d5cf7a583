"""The bound that no plan of a contended pool goes below, its clean hours, and room to keep free.

The linear programme of `capacity` over jobs that are alike taken as one: those whose windows
touch the same slots. That forgets that each job runs in one piece and that no two of them
share a place, so its optimum is a bound for every plan of the same jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.capacity import REAL_UNPLACED, PoolPlan, plan_pool
from carbon.planning.group import Group
from carbon.planning.pool_work import PoolWork, per_job
from carbon.planning.series import FloatArray, IntArray, IntensitySeries

#: Slots of the programme: a finer series is looked at in so many parts, each at its cleanest.
_MOST_SLOTS: Final = 96
#: Windows are told apart to this many marks; wider ones stand for them, which keeps the bound.
_MOST_MARKS: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class PoolBound:
    #: Intensity x time, g/kWh x ms, at one cpu a job.
    least_area: float
    #: Hours of room in slots that all want: those where one more hour would save something.
    clean_h: float
    #: Slots of the programme, and the places in each that are kept for work not there yet.
    marks_ms: IntArray
    reserved: IntArray
    #: What work without a place counts in the bound.
    unplaced_g_per_kwh: float


def pool_bound(
    series: IntensitySeries,
    group: Group,
    steps_ms: IntArray,
    free: FloatArray,
    expected: PoolWork,
) -> PoolBound:
    """`series` has no gaps. `free` is the room from each of `steps_ms` on, of one shape;
    `expected` is work that is not there yet: room is kept for it, and the bound forgets it."""
    slots = _slots(series)
    room = _room(slots, steps_ms, free)
    work = _alike(slots, group)
    alone = plan_pool(slots, work, 0.0, room)
    reserved = np.zeros(len(slots.start_ms), dtype=np.int64)
    inside = np.flatnonzero(expected.earliest_ms < slots.end_ms[-1])
    if len(inside):
        together = plan_pool(slots, work.and_also(expected.only(inside)), 0.0, room)
        reserved = _reserved(together, slots, len(work))
    return PoolBound(
        max(alone.bound, 0.0) * MS_PER_HOUR,
        float(room[alone.price_g_per_kwh > 0].sum()),
        slots.marks_ms,
        reserved,
        REAL_UNPLACED * float(slots.g_per_kwh.max(initial=1.0)),
    )


def _reserved(plan: PoolPlan, slots: IntensitySeries, real: int) -> IntArray:
    """Whole places per slot that the programme gives to work beyond the first `real` entries."""
    kept = plan.openings.job >= real
    hours = per_job(plan.openings.slot[kept], plan.run_cpu_h[kept], len(slots.start_ms))
    width_h = (slots.end_ms - slots.start_ms) / MS_PER_HOUR
    return np.floor(hours / width_h + 1e-6).astype(np.int64)


def _slots(series: IntensitySeries) -> IntensitySeries:
    """The series, or its neighbouring slots joined at the least intensity among them."""
    together = -(-len(series.start_ms) // _MOST_SLOTS)
    if together == 1:
        return series
    first = np.arange(0, len(series.start_ms), together)
    last = np.append(first[1:], len(series.start_ms)) - 1
    least = np.minimum.reduceat(series.g_per_kwh, first)
    return IntensitySeries(series.start_ms[first], series.end_ms[last], least)


def _room(slots: IntensitySeries, steps_ms: IntArray, free: FloatArray) -> FloatArray:
    """Hours of room per slot: the exact integral of what is free."""
    if not len(steps_ms):
        return np.zeros(len(slots.start_ms))
    end = max(int(slots.end_ms[-1]), int(steps_ms[-1])) + 1
    room = IntensitySeries(steps_ms, np.append(steps_ms[1:], end), free)
    return np.asarray((room.area(slots.end_ms) - room.area(slots.start_ms)) / MS_PER_HOUR)


def _alike(slots: IntensitySeries, group: Group) -> PoolWork:
    """One entry per pair of marks between which jobs may run."""
    marks = slots.marks_ms[:: max(1, -(-len(slots.marks_ms) // _MOST_MARKS))]
    first = np.maximum(np.searchsorted(marks, group.earliest_ms, "right") - 1, 0)
    last = np.searchsorted(marks, group.latest_end_ms)
    kind, member = np.unique(first * (len(marks) + 1) + last, return_inverse=True)
    count = np.bincount(member).astype(np.float64)
    hours = per_job(member, group.length_ms / MS_PER_HOUR, len(kind))
    earliest = np.full(len(kind), np.iinfo(np.int64).max)
    latest = np.zeros(len(kind), dtype=np.int64)
    np.minimum.at(earliest, member, group.earliest_ms)
    np.maximum.at(latest, member, group.latest_end_ms)
    return PoolWork(earliest, latest, count, hours, np.ones(len(kind)))
