"""Policies of the literature, as their authors state them, for comparison.

Lowest-Slot, Lowest-Window and Carbon-Time are those of GAIA (Hanafy et al., ASPLOS 2024): they
know the mean length of a job's class and no more, and try the arrival and every whole hour
after it. Ecovisor (Souza et al., ASPLOS 2023) pauses while the intensity is above the 30th
percentile of the day ahead, until its waiting time is spent.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.planning.job_history import JobHistory
from carbon.planning.runs import Runs
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.ties import first_least

_ECOVISOR_SHARE: Final = 0.3


def class_means_ms(jobs: JobHistory) -> FloatArray:
    """For each job the mean length of its class over the whole history, shape (jobs,)."""
    mean = np.empty(len(jobs))
    for members in (jobs.is_short, ~jobs.is_short):
        if members.any():
            mean[members] = jobs.length_ms[members].mean()
    return mean


def lowest_slot(seen: IntensitySeries, jobs: JobHistory, expected_ms: FloatArray) -> IntArray:
    """Start in the cleanest slot that begins, or runs, within the wait."""
    first = np.searchsorted(seen.end_ms, jobs.arrival_ms, "right")
    count = np.searchsorted(seen.start_ms, jobs.latest_start_ms, "right") - first
    step = np.arange(count.max())
    slot = np.minimum(first[:, None] + step, len(seen.start_ms) - 1)
    in_reach = step < count[:, None]
    chosen = np.where(in_reach, seen.g_per_kwh[slot], np.inf).argmin(axis=1)
    return np.asarray(np.maximum(jobs.arrival_ms, seen.start_ms[first + chosen]))


def lowest_window(seen: IntensitySeries, jobs: JobHistory, expected_ms: FloatArray) -> IntArray:
    """Start where a job of mean length would emit the least."""
    starts, emitted = _tries(seen, jobs, expected_ms)
    return _picked(starts, first_least(emitted, emitted[:, 0]))


def carbon_time(seen: IntensitySeries, jobs: JobHistory, expected_ms: FloatArray) -> IntArray:
    """Start where the saving per time to completion is the greatest."""
    starts, emitted = _tries(seen, jobs, expected_ms)
    to_completion = starts - jobs.arrival_ms[:, None] + expected_ms[:, None]
    loss_rate = (emitted - emitted[:, :1]) / to_completion
    return _picked(starts, first_least(loss_rate, emitted[:, 0] / to_completion[:, 0]))


def _tries(
    seen: IntensitySeries, jobs: JobHistory, expected_ms: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Starts at whole hours after arrival and the emission of each; infinite past the wait."""
    hours = np.arange(jobs.wait_ms.max() // MS_PER_HOUR + 1)
    starts = jobs.arrival_ms[:, None] + hours * MS_PER_HOUR
    emitted = seen.area(starts + expected_ms[:, None]) - seen.area(starts)
    return starts, np.where(starts <= jobs.latest_start_ms[:, None], emitted, np.inf)


def _picked(starts: IntArray, chosen: IntArray) -> IntArray:
    return np.asarray(starts[np.arange(len(starts)), chosen])


def ecovisor(seen: IntensitySeries, actual: IntensitySeries, jobs: JobHistory) -> Runs:
    """The threshold comes from what is believed, running and pausing from what is."""
    limit = _clean_limit(seen, jobs.arrival_ms)
    now, left, budget = jobs.arrival_ms.copy(), jobs.length_ms.copy(), jobs.wait_ms.copy()
    area = np.zeros(len(jobs))
    slot = np.searchsorted(actual.end_ms, now, "right")
    while (left > 0).any():
        room = np.maximum(actual.end_ms[slot] - now, 0)
        pause = np.where(actual.g_per_kwh[slot] < limit, 0, np.minimum(room, budget))
        run = np.minimum(room - pause, left)
        area += run * actual.g_per_kwh[slot]
        now, left, budget = now + np.where(left > 0, pause + run, 0), left - run, budget - pause
        slot = np.minimum(slot + 1, len(actual.end_ms) - 1)
    return Runs.of(area, now, jobs)


def _clean_limit(seen: IntensitySeries, arrival_ms: IntArray) -> FloatArray:
    """The 30th percentile of the intensity over the 24 h from arrival, weighted by time."""
    first = np.searchsorted(seen.end_ms, arrival_ms, "right")
    slot = first[:, None] + np.arange(MS_PER_DAY // MS_PER_HOUR + 1)
    slot = np.minimum(slot, len(seen.end_ms) - 1)
    until = np.minimum(seen.end_ms[slot], arrival_ms[:, None] + MS_PER_DAY)
    width = np.maximum(until - np.maximum(seen.start_ms[slot], arrival_ms[:, None]), 0)
    order = np.argsort(seen.g_per_kwh[slot], axis=1, kind="stable")
    value = np.take_along_axis(seen.g_per_kwh[slot], order, axis=1)
    below = np.cumsum(np.take_along_axis(width, order, axis=1), axis=1)
    at = (below <= _ECOVISOR_SHARE * below[:, -1:]).sum(axis=1)
    return np.asarray(value[np.arange(len(value)), at])
