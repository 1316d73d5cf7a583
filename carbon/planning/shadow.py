"""What shifting would have saved on jobs that ran, with nothing moved.

Plans are made with what was known at each hour: lengths of jobs that had ended, and a forecast
from the hours before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from carbon.clock import Clock
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.errors import InvalidInput
from carbon.planning.job_history import JobHistory
from carbon.planning.scene import Forecast
from carbon.planning.series import FloatArray
from carbon.planning.simulate import Policy, Simulation, simulate

#: Hours before the first job, from which the forecast learns.
BEFORE_H: Final = 14 * 24


class QueueJob(NamedTuple):
    team: str
    #: From when on it could have begun.
    arrival_ms: int
    length_ms: int
    power_w: float


class Hour(NamedTuple):
    """Intensity over [start, end), of any length."""

    start_ms: int
    end_ms: int
    g_per_kwh: float
    #: Actual or estimated: what tells one hour from another.
    is_known: bool


@dataclass(frozen=True, slots=True)
class Shadow:
    whole: Simulation
    by_team: dict[str, Simulation]
    #: Share of the hours in which something was measured; the others save nothing.
    hours_known_share: float


def span_ms(jobs: Sequence[QueueJob], long_wait_h: float) -> tuple[int, int]:
    """The hours whose intensity a shadow of these jobs needs. Raises InvalidInput(`no_jobs`)."""
    if not jobs:
        raise InvalidInput("no_jobs", "there is no job that has ended")
    longest_ms = max(job.length_ms for job in jobs)
    last_ms = max(job.arrival_ms for job in jobs) + longest_ms + round(long_wait_h * MS_PER_HOUR)
    return _first_ms(jobs) - BEFORE_H * MS_PER_HOUR, last_ms


def shadow(
    jobs: Sequence[QueueJob],
    points: Sequence[Hour],
    waits_h: tuple[float, float],
    clock: Clock,
) -> Shadow:
    """`points` cover `span_ms`; `waits_h` are how long jobs below two hours, and longer ones,
    may wait. Raises InvalidInput(`no_jobs`, `missing_intensity`, `bad_wait`)."""
    from_ms, _ = span_ms(jobs, waits_h[1])
    hourly, known_share = _hourly(points, from_ms)
    teams: dict[str, list[QueueJob]] = {}
    for job in jobs:
        teams.setdefault(job.team, []).append(job)
    first_ms = _first_ms(jobs)
    by_team = {
        team: _replayed(some, hourly, first_ms, waits_h, clock)
        for team, some in sorted(teams.items())
    }
    alone = len(by_team) == 1
    whole = next(iter(by_team.values())) if alone else None
    whole = whole or _replayed(jobs, hourly, first_ms, waits_h, clock)
    return Shadow(whole, by_team, known_share)


def _first_ms(jobs: Sequence[QueueJob]) -> int:
    return floor_to(min(job.arrival_ms for job in jobs), MS_PER_HOUR)


def _replayed(
    jobs: Sequence[QueueJob],
    hourly: FloatArray,
    first_ms: int,
    waits_h: tuple[float, float],
    clock: Clock,
) -> Simulation:
    """A cpu of a history draws a watt: here each watt is one."""
    history = JobHistory.of(
        [(job.arrival_ms - first_ms) / 1000 for job in jobs],
        [job.length_ms / 1000 for job in jobs],
        [job.power_w for job in jobs],
        *waits_h,
    )
    own = Forecast.OWN
    return simulate(history, hourly, Policy.CARBON, clock, start_hour=BEFORE_H, forecast=own)


def _hourly(points: Sequence[Hour], from_ms: int) -> tuple[FloatArray, float]:
    """Means by the hour, and the share of hours in which something was measured."""
    hours = max((-(-(p.end_ms - from_ms) // MS_PER_HOUR) for p in points), default=0)
    grams, weights = np.zeros(max(hours, 0)), np.zeros(max(hours, 0))
    known = np.zeros(max(hours, 0), dtype=np.bool_)
    for point in points:
        first = max(0, (point.start_ms - from_ms) // MS_PER_HOUR)
        for hour in range(first, -(-(point.end_ms - from_ms) // MS_PER_HOUR)):
            lo = max(point.start_ms, from_ms + hour * MS_PER_HOUR)
            hi = min(point.end_ms, from_ms + (hour + 1) * MS_PER_HOUR)
            grams[hour] += point.g_per_kwh * (hi - lo)
            weights[hour] += hi - lo
            known[hour] |= point.is_known
    if hours <= BEFORE_H or not weights.all():
        raise InvalidInput("missing_intensity", "the zone's intensity has gaps over these jobs")
    return grams / weights, float(known.mean())
