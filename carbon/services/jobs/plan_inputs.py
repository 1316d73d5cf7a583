"""All that a plan is made from, as it is kept: the same inputs give the same plan again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

import msgspec

from carbon.domain.intensity import RatedPoint
from carbon.storage.job_queries import Hints, JobRow, Span, hints_of
from carbon.storage.waiting import WaitingJob

#: Of the planner's rules; raised with any change after which the same inputs plan otherwise.
PLANNER: Final = 1


# As of jobs (`storage.job_queries`): a hundred thousand of them, and none leads back to itself.


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    start_ms: int
    end_ms: int
    g_per_kwh: float
    may_shift: bool = True


class Stand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a job stands by the plan before."""

    start_ms: int
    end_ms: int
    start_now_g: float | None
    segments: tuple[Span, ...] = ()


class Ongoing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job that has begun."""

    #: When it ran, up to now.
    done: tuple[Span, ...]
    #: Of the length that it is to be safe for.
    left_ms: int
    #: None while it stands still.
    runs_since_ms: int | None
    #: That it has made, the one that lasts included.
    pauses: int
    expected_g: float | None
    latest_start_ms: int


class Wish(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is asked of the planner for one job."""

    earliest_ms: int
    deadline_ms: int
    length_ms: int | None
    power_w: float | None
    job_id: str = ""
    team: str = ""
    priority: int = 0
    interruptible: bool = False
    hints: Hints = Hints()
    stands: Stand | None = None
    #: Then what is asked for is its rest.
    ongoing: Ongoing | None = None

    @classmethod
    def of(cls, job: JobRow | WaitingJob, stands: Stand | None = None) -> Wish:
        return cls(
            job.earliest_ms,
            job.deadline_ms,
            job.length_ms,
            job.power_w,
            job.id,
            job.team if isinstance(job, WaitingJob) else job.workload.team,
            job.priority,
            job.interruptible,
            hints_of(job.hints),
            stands,
        )


class PoolTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a pool asks of its plans beside carbon, as its row holds it."""

    #: An hour of delay must save at least this share of what starting at once would emit.
    saving_per_hour: float = 0.0
    #: A unit of money weighs as much as this many gCO2e.
    g_per_money: float = 0.0
    #: Money per kWh in each hour of the civil day.
    money_per_kwh: tuple[float, ...] = ()


#: (start_ms, end_ms, jobs)
Taken = tuple[int, int, int]
#: (earliest_ms, latest_end_ms, places, hours, chance) of work that is not there yet.
Expected = tuple[int, int, float, float, float]


class PlanInputs(msgspec.Struct, frozen=True, array_like=True):
    planner: int
    now_ms: int
    zone: str
    timezone: str
    points: tuple[Point, ...]
    vintages: tuple[int, ...]
    capacity: int
    #: What others have taken of the pool.
    taken: tuple[Taken, ...]
    terms: PoolTerms
    weights: dict[str, float]
    expected: tuple[Expected, ...]
    #: Whether the scheduler is paused and moves no job.
    is_paused: bool
    wishes: tuple[Wish, ...]


def points_of_rated(points: Iterable[RatedPoint]) -> tuple[Point, ...]:
    return tuple(Point(p.start_ms, p.end_ms, p.g_per_kwh, p.kind.may_shift) for p in points)


def vintages_of(points: Iterable[RatedPoint]) -> tuple[int, ...]:
    return tuple(sorted({p.vintage for p in points if p.vintage}))


def packed(inputs: PlanInputs) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(inputs), 1)


def unpacked(kept: bytes) -> PlanInputs:
    return msgspec.msgpack.decode(zlib.decompress(kept), type=PlanInputs)
