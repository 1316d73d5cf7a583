"""The replay of the service's own policies, `carbon` and `carbon-interruptible`.

Where the intensity ahead is known for certain each job is planned once, at its arrival; else
all that wait or run are planned again at every whole hour with what is then believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.planning.chunks import chunks
from carbon.planning.expected_window import best_expected_starts
from carbon.planning.foresight import Foresight
from carbon.planning.interruptible import best_runs
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import UNFINISHED_MS, LengthLearner, Lengths
from carbon.planning.pausing import PausableJobs
from carbon.planning.runs import Runs
from carbon.planning.series import IntArray, IntensitySeries
from carbon.planning.windows import best_windows

#: Jobs of one step learn from the same record; a step grows by this share of the time replayed.
_STEP_SHARE: Final = 0.02
#: States of a pausing plan take two bytes each and may be this many times the other matrices.
_STATES_PER_CELL: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A stretch of the replay: what is decided at `now_ms` and holds before `until_ms`."""

    now_ms: int
    until_ms: int
    jobs: IntArray


def _steps(jobs: JobHistory, foresight: Foresight, end_ms: IntArray) -> Iterator[_Step]:
    """The jobs that have arrived by a step's end and whose end was not decided before."""
    live, arrived, now = np.empty(0, dtype=np.int64), 0, 0
    while len(live) or arrived < len(jobs):
        if not len(live):
            now = int(jobs.arrival_ms[arrived]) // MS_PER_HOUR * MS_PER_HOUR
        span = _span_ms(now) if foresight.is_perfect else MS_PER_HOUR
        until = int(np.searchsorted(jobs.arrival_ms, now + span))
        live, arrived = np.append(live, np.arange(arrived, until)), until
        yield _Step(now, UNFINISHED_MS if foresight.is_perfect else now + span, live)
        live, now = live[end_ms[live] == UNFINISHED_MS], now + span


def _span_ms(now_ms: int) -> int:
    hours = int(now_ms * _STEP_SHARE) // MS_PER_HOUR
    return min(max(hours, 1) * MS_PER_HOUR, MS_PER_DAY)


def carbon(
    jobs: JobHistory, foresight: Foresight, actual: IntensitySeries, lengths: Lengths
) -> Runs:
    """Starts each job where its expected emission is the least, and never pauses it."""
    learner = LengthLearner(jobs, lengths)
    start_ms = jobs.arrival_ms.copy()
    end_ms = np.full(len(jobs), UNFINISHED_MS)
    for step in _steps(jobs, foresight, end_ms):
        learner.learn(step.now_ms, end_ms)
        best_ms = _best_starts(step, jobs, foresight.seen_at(step.now_ms), learner)
        due = best_ms < step.until_ms
        decided = step.jobs[due]
        start_ms[decided] = best_ms[due]
        end_ms[decided] = best_ms[due] + jobs.length_ms[decided]
    return Runs.started(start_ms, actual, jobs)


def _best_starts(
    step: _Step, jobs: JobHistory, seen: IntensitySeries, learner: LengthLearner
) -> IntArray:
    earliest = np.maximum(jobs.arrival_ms[step.jobs], step.now_ms)
    latest = jobs.latest_start_ms[step.jobs]
    if learner.lengths is Lengths.KNOWN:
        length = jobs.length_ms[step.jobs]
        return best_windows(seen, earliest, latest + length, length).start_ms
    start = earliest.copy()
    for is_short, members in _by_class(jobs, step.jobs):
        alive = learner.alive(step.jobs[members], is_short)
        cell_ms = learner.cell_ms(is_short)
        start[members] = best_expected_starts(
            seen, earliest[members], latest[members], alive, cell_ms
        )
    return start


def _by_class(jobs: JobHistory, some: IntArray) -> Iterator[tuple[bool, IntArray]]:
    """Yields (short or not, places in `some`), classes without a job left out."""
    short = jobs.is_short[some]
    for is_short in (True, False):
        members = np.flatnonzero(short == is_short)
        if len(members):
            yield is_short, members


def carbon_interruptible(
    jobs: JobHistory, foresight: Foresight, actual: IntensitySeries, lengths: Lengths
) -> Runs:
    """Runs and pauses each job so that its expected emission is the least."""
    if lengths is Lengths.KNOWN and foresight.is_perfect:
        return cheapest(jobs, actual)
    learner = LengthLearner(jobs, lengths)
    state = PausableJobs.arriving(jobs)
    for step in _steps(jobs, foresight, state.end_ms):
        seen = foresight.seen_at(step.now_ms)
        if lengths is Lengths.KNOWN:
            state.run_cheapest(step.jobs, seen, actual, step.now_ms)
        else:
            learner.learn(step.now_ms, state.end_ms)
            _run_expected(step, state, learner, seen, actual)
    return Runs.of(state.area, state.end_ms, jobs)


def cheapest(jobs: JobHistory, actual: IntensitySeries) -> Runs:
    """Each job in the cleanest time that its pauses allow, with everything known."""
    plan = best_runs(actual, jobs.arrival_ms, jobs.latest_end_ms, jobs.length_ms)
    return Runs.of(plan.mean_g_per_kwh * jobs.length_ms, plan.end_ms, jobs)


def _run_expected(
    step: _Step,
    state: PausableJobs,
    learner: LengthLearner,
    seen: IntensitySeries,
    actual: IntensitySeries,
) -> None:
    # A job whose last cell went past this step has nothing to decide in it.
    deciding = step.jobs[state.now_ms[step.jobs] < step.until_ms]
    for is_short, members in _by_class(state.jobs, deciding):
        cell_ms = learner.cell_ms(is_short)
        some = deciding[members]
        alive = learner.alive(some, is_short)
        states = alive.shape[1] * (state.jobs.wait_ms[some] // cell_ms + 1)
        for part in chunks(states // _STATES_PER_CELL):
            state.run_expected(some[part], alive[part], cell_ms, seen, actual, step.until_ms)
