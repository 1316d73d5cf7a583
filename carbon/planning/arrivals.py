"""The work that a pool may expect: what to keep room for, learned from what has arrived.

Per hour of the day and class of length the mean of the last three weeks stands for what comes.
Room is kept in two layers: the mean as if it were certain, and more at a lower chance, so that
an hour is not held free at any price for work that may not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.job_history import JobHistory
from carbon.planning.pool_work import PoolWork
from carbon.planning.series import BoolArray, FloatArray, IntArray

_HOURS_PER_DAY: Final = 24
#: How far back arrivals are counted, and how far ahead they are expected.
_BACK_H: Final = 21 * _HOURS_PER_DAY
_AHEAD_H: Final = 48
#: Lengths are told apart at these marks, h.
_LENGTH_MARKS_H: Final = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
_CLASSES: Final = len(_LENGTH_MARKS_H) + 1
#: (share of the mean up to which the layer reaches, chance that it comes).
_LAYERS: Final = ((1.0, 0.999), (1.6, 0.3))
#: Expected work never fills more than this share of the pool: the rest is for what has come.
_MOST_OF_POOL: Final = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """All jobs that may be looked at; each question uses only those from before its moment."""

    arrival_ms: IntArray
    length_ms: IntArray
    wait_ms: IntArray
    cpu_h: FloatArray
    #: Since when arrivals were counted: hours before it are unknown, not empty.
    since_ms: int

    @classmethod
    def of(cls, jobs: JobHistory, before: JobHistory | None = None) -> Arrivals:
        """`before` are jobs from ahead of the replay, their times counted back from its hour 0."""
        if before is None or not len(before):
            return cls._joined([jobs], 0)
        hours_back = -(int(before.arrival_ms.min()) // MS_PER_HOUR)
        return cls._joined([before, jobs], -hours_back * MS_PER_HOUR)

    @classmethod
    def seen(cls, jobs: Sequence[tuple[int, int, int]]) -> Arrivals:
        """Jobs of one cpu as (arrival_ms, length_ms, wait_ms), oldest first, in epoch ms."""
        arrival, length, wait = np.array(jobs, dtype=np.int64).T
        since_ms = int(arrival[0]) // MS_PER_HOUR * MS_PER_HOUR
        return cls(arrival, length, wait, length / MS_PER_HOUR, since_ms)

    @classmethod
    def _joined(cls, parts: list[JobHistory], since_ms: int) -> Arrivals:
        return cls(
            np.concatenate([p.arrival_ms for p in parts]),
            np.concatenate([p.length_ms for p in parts]),
            np.concatenate([p.wait_ms for p in parts]),
            np.concatenate([p.length_ms / MS_PER_HOUR * p.cpus for p in parts]),
            since_ms,
        )

    def expected(self, now_ms: int, capacity_cpus: float) -> PoolWork:
        """The work of the next two days, one entry per hour of arrival, class and layer.

        `now_ms` is a whole hour. Entries of the running hour may only run after it: what comes
        in it takes what room is left by then.
        """
        first_ms = max(now_ms - _BACK_H * MS_PER_HOUR, self.since_ms)
        low, high = np.searchsorted(self.arrival_ms, (first_ms, now_ms))
        if low == high:
            return _NOTHING
        seen = slice(int(low), int(high))
        kind = np.searchsorted(_LENGTH_MARKS_H * MS_PER_HOUR, self.length_ms[seen], "right")
        per_hour = _mean_by_hour(self.arrival_ms[seen], kind, self.cpu_h[seen], first_ms, now_ms)
        length_ms = _mean_by_class(kind, self.length_ms[seen], self.cpu_h[seen])
        wait_ms = _mean_by_class(kind, self.wait_ms[seen], self.cpu_h[seen])
        mean_cpus = float(per_hour.sum()) / _HOURS_PER_DAY
        most = _MOST_OF_POOL * capacity_cpus / max(mean_cpus, 1e-9)
        return _layered(now_ms, per_hour, length_ms, wait_ms, most)


_NONE: Final = np.empty(0, dtype=np.int64)
_NOTHING: Final = PoolWork(_NONE, _NONE, np.empty(0), np.empty(0), np.empty(0))


def _mean_by_hour(
    arrival_ms: IntArray, kind: IntArray, cpu_h: FloatArray, first_ms: int, now_ms: int
) -> FloatArray:
    """Mean cpu-hours that arrive in each hour of the day, shape (24, classes).

    Hours of the day that were not seen yet are taken to be as the mean of those that were.
    """
    hour = arrival_ms // MS_PER_HOUR % _HOURS_PER_DAY
    total = np.zeros((_HOURS_PER_DAY, _CLASSES))
    np.add.at(total, (hour, kind), cpu_h)
    hours = np.arange(first_ms // MS_PER_HOUR, now_ms // MS_PER_HOUR)
    times_seen = np.bincount(hours % _HOURS_PER_DAY, minlength=_HOURS_PER_DAY)
    mean = total / np.maximum(times_seen, 1)[:, None]
    mean[times_seen == 0] = total.sum(axis=0) / len(hours)
    return mean


def _mean_by_class(kind: IntArray, values: IntArray, weight: FloatArray) -> FloatArray:
    """Shape (classes,); 0 for a class without a job."""
    total = np.bincount(kind, values * weight, minlength=_CLASSES)
    weights = np.bincount(kind, weight, minlength=_CLASSES)
    return np.divide(total, weights, out=np.zeros(_CLASSES), where=weights > 0)


def _layered(
    now_ms: int, per_hour: FloatArray, length_ms: FloatArray, wait_ms: FloatArray, most: float
) -> PoolWork:
    """`most` is the share of the mean up to which layers may reach."""
    hours = now_ms // MS_PER_HOUR + np.arange(_AHEAD_H)
    mean_cpu_h = per_hour[hours % _HOURS_PER_DAY].ravel()
    middle_ms = np.repeat(hours * MS_PER_HOUR + MS_PER_HOUR // 2, _CLASSES)
    kind = np.tile(np.arange(_CLASSES), _AHEAD_H)
    some: BoolArray = mean_cpu_h > 0
    mean_cpu_h, middle_ms, kind = mean_cpu_h[some], middle_ms[some], kind[some]
    latest_end = middle_ms + np.rint(wait_ms + length_ms).astype(np.int64)[kind]
    cpus_per_share = mean_cpu_h / length_ms[kind] * MS_PER_HOUR
    work, reached = _NOTHING, 0.0
    for until, chance in _LAYERS:
        share = max(min(until, most) - reached, 0.0)
        reached += share
        if share > 0:
            layer = PoolWork(
                np.maximum(middle_ms, now_ms + MS_PER_HOUR),
                latest_end,
                cpus_per_share * share,
                mean_cpu_h * share,
                np.full(len(kind), chance),
            )
            work = work.and_also(layer)
    return work
