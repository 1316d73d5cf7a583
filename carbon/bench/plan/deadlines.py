"""A million jobs whose feed is lost and whose lengths are told too short: who misses a deadline.

The service's own planner places them on what is left of a forecast and places them again on
another one; each goes at its start or its guard, at the next tick. A miss is avoidable where the
same job begun at once would have met its deadline.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import structs

from carbon.bench.figure import Figure, at_most
from carbon.domain.units import MS_PER_HOUR
from carbon.planning.likely_lengths import representative
from carbon.planning.series import FloatArray, IntArray
from carbon.services.jobs.group_plans import plan_of
from carbon.services.jobs.plan_inputs import PLANNER, PlanInputs, Point, PoolTerms, Stand, Wish
from carbon.storage.job_queries import Hints, PlacementRow

_JOBS: Final = 1_000_000
_AT_ONCE: Final = 5_000
_HOURS: Final = 72
_NOW_MS: Final = 1_777_593_600_000
#: A tick, and what handing over takes.
_LATE_MS: Final = 2_000


def figures(quick: bool) -> list[Figure]:
    count = 20_000 if quick else _JOBS
    rng = np.random.default_rng(17)
    missed = moved = 0
    for first in range(0, count, _AT_ONCE):
        part = _simulated(rng, min(_AT_ONCE, count - first))
        missed, moved = missed + part[0], moved + part[1]
    note = f"of {count:,} jobs, {moved:,} of them shifted"
    return [at_most("deadlines missed that could be kept", missed, "jobs", 0, note)]


def _simulated(rng: np.random.Generator, count: int) -> tuple[int, int]:
    """(avoidable misses, jobs that did not start at once)."""
    # To ten minutes: jobs of one length share their record.
    safe = np.maximum(rng.integers(0, 60, count) * 600_000, 60_000)
    slack = (rng.exponential(6.0, count) * MS_PER_HOUR).astype(np.int64)
    earliest = _NOW_MS + rng.integers(0, 4 * MS_PER_HOUR, count)
    deadline = earliest + safe + slack
    wishes = _wishes(rng, earliest, deadline, safe)
    made = plan_of(_inputs(_NOW_MS, _forecast(rng), wishes)).placements
    later_ms = _NOW_MS + MS_PER_HOUR
    waiting = [i for i, p in enumerate(made) if p.start_ms > later_ms < p.latest_start_ms]
    stands = [structs.replace(wishes[i], stands=_stand(made[i])) for i in waiting]
    again = plan_of(_inputs(later_ms, _forecast(rng), tuple(stands))).placements
    for index, placed in zip(waiting, again, strict=True):
        made[index] = placed
    start = np.array([min(p.start_ms, p.latest_start_ms) for p in made], dtype=np.int64)
    start = np.maximum(start, earliest) + _LATE_MS
    # Up to what was declared, and most of them longer than what was thought likely.
    actual = np.minimum((safe * rng.uniform(0.5, 1.05, count)).astype(np.int64), safe)
    could = earliest + _LATE_MS + actual <= deadline
    missed = could & (start + actual > deadline)
    return int(missed.sum()), int((start > earliest + _LATE_MS).sum())


def _wishes(
    rng: np.random.Generator, earliest: IntArray, deadline: IntArray, safe: IntArray
) -> tuple[Wish, ...]:
    """One in ten has a record of lengths, most of them far below the safe one."""
    kinds = rng.integers(0, 10, len(safe)).tolist()
    shares: FloatArray = np.sort(rng.uniform(0.05, 0.6, 7))
    made = []
    columns = (earliest.tolist(), deadline.tolist(), safe.tolist(), kinds)
    for first, last, length, kind in zip(*columns, strict=True):
        hints = Hints()
        if kind == 0:
            likely = [*(max(int(length * s), 1) for s in shares.tolist()), length]
            hints = Hints(representative(likely))
        made.append(Wish(first, last, length, 100.0, hints=hints))
    return tuple(made)


def _forecast(rng: np.random.Generator) -> tuple[Point, ...]:
    """Of a feed that may be lost from some hour on, or in between, or altogether."""
    until = int(rng.choice([0, 9, 30, _HOURS, _HOURS]))
    gap = int(rng.integers(3, _HOURS))
    drawn = rng.uniform(20, 800, _HOURS).tolist()
    return tuple(
        Point(_NOW_MS + i * MS_PER_HOUR, _NOW_MS + (i + 1) * MS_PER_HOUR, g)
        for i, g in enumerate(drawn[:until])
        if i != gap
    )


def _inputs(now_ms: int, points: tuple[Point, ...], wishes: tuple[Wish, ...]) -> PlanInputs:
    room = len(wishes) + 1
    terms = PoolTerms()
    return PlanInputs(
        PLANNER, now_ms, "DE", "UTC", points, (), room, (), terms, {}, (), False, wishes
    )


def _stand(placed: PlacementRow) -> Stand:
    return Stand(placed.start_ms, placed.end_ms, placed.start_now_g, placed.segments)
