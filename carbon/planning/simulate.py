"""The replay behind `carbon simulate`: one job history, one year of intensity, one policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.clock import Clock
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.own_policy import carbon, carbon_interruptible, cheapest
from carbon.planning.pool_replay import carbon_pool, earliest_deadline_pool, oracle_pool
from carbon.planning.published import (
    carbon_time,
    class_means_ms,
    ecovisor,
    lowest_slot,
    lowest_window,
)
from carbon.planning.runs import Runs
from carbon.planning.scene import Forecast, Scene
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.windows import best_windows


class Policy(StrEnum):
    AGNOSTIC = "agnostic"  #: every job at its arrival
    LOWEST_SLOT = "lowest-slot"
    LOWEST_WINDOW = "lowest-window"
    CARBON_TIME = "carbon-time"
    ECOVISOR = "ecovisor"
    ORACLE = "oracle"  #: lengths and intensity known, no pause
    ORACLE_INTERRUPTIBLE = "oracle-interruptible"  #: the same with pauses
    CARBON = "carbon"  #: the service's own, no pause
    CARBON_INTERRUPTIBLE = "carbon-interruptible"

    @property
    def may_pause(self) -> bool:
        return self in (Policy.ECOVISOR, Policy.ORACLE_INTERRUPTIBLE, Policy.CARBON_INTERRUPTIBLE)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What `carbon simulate --json` prints, in its words."""

    policy: Policy
    jobs: int
    carbon_g: float
    agnostic_g: float
    #: carbon_g / agnostic_g
    normalised: float
    #: Of the matching oracle: with pauses where the policy may pause. In a pool, the bound of
    #: the linear programme over all jobs, everything known.
    oracle_g: float
    #: Saving / saving of the oracle; None where there is nothing to save.
    share_of_oracle: float | None
    #: Jobs that ended after arrival + wait + length.
    late_jobs: int
    #: Core-hours run after that moment.
    late_core_h: float
    #: Delay: end - arrival - length.
    mean_delay_h: float
    p95_delay_h: float
    #: Time that the policy took to decide, s.
    seconds: float


def simulate(
    jobs: JobHistory,
    g_per_kwh: npt.ArrayLike,
    policy: Policy,
    clock: Clock,
    *,
    start_hour: int = 0,
    lengths: Lengths = Lengths.LEARNED,
    forecast: Forecast | npt.ArrayLike = Forecast.PERFECT,
    capacity_cpus: float | None = None,
    before: JobHistory | None = None,
) -> Simulation:
    """Replays `jobs` against hourly intensity, shape (hours,).

    The jobs' time 0 is row `start_hour`; after its last row the record begins again. A
    forecast may be an array of the record's shape. `lengths` serves the service's own policies:
    the others know the class mean or everything, as published.

    With `capacity_cpus` all jobs may pause and share a pool: `agnostic` is earliest deadline
    first, `oracle_g` the bound of the linear programme over all jobs. `before` are jobs from
    before time 0 (negative arrivals), from which the pool's policy knows what to expect.
    Raises InvalidInput.
    """
    scene = Scene.of(jobs, g_per_kwh, start_hour, forecast, capacity_cpus, before)
    replay = _replay_of(policy, scene)
    began_ns = clock.monotonic_ns()
    runs = replay(scene, lengths)
    seconds = (clock.monotonic_ns() - began_ns) / 1e9
    return _summed_up(scene, policy, runs, seconds)


_Starts = Callable[[IntensitySeries, JobHistory, FloatArray], IntArray]


def _started_by(choose: _Starts) -> Callable[[Scene, Lengths], Runs]:
    """A policy that fixes each job's start at its arrival from the class mean."""

    def replay(scene: Scene, lengths: Lengths) -> Runs:
        expected_ms = class_means_ms(scene.jobs)
        start_ms = scene.jobs.arrival_ms.copy()
        for seen, some in _arrivals(scene):
            start_ms[some] = choose(seen, scene.jobs.only(some), expected_ms[some])
        return Runs.started(start_ms, scene.actual, scene.jobs)

    return replay


def _arrivals(scene: Scene) -> list[tuple[IntensitySeries, IntArray]]:
    """Jobs with what was believed in the hour of their arrival."""
    everyone = np.arange(len(scene.jobs))
    if scene.foresight.is_perfect:
        return [(scene.actual, everyone)]
    hour = scene.jobs.arrival_ms // MS_PER_HOUR
    cuts = np.flatnonzero(np.diff(hour)) + 1
    return [
        (scene.foresight.seen_at(int(hour[some[0]]) * MS_PER_HOUR), some)
        for some in np.split(everyone, cuts)
    ]


def _ecovisor(scene: Scene, lengths: Lengths) -> Runs:
    grams = np.empty(len(scene.jobs))
    end_ms = np.empty(len(scene.jobs), dtype=np.int64)
    for seen, some in _arrivals(scene):
        runs = ecovisor(seen, scene.actual, scene.jobs.only(some))
        grams[some], end_ms[some] = runs.grams, runs.end_ms
    return Runs(grams, end_ms)


def _agnostic(scene: Scene, lengths: Lengths) -> Runs:
    return Runs.started(scene.jobs.arrival_ms, scene.actual, scene.jobs)


def _oracle(scene: Scene, lengths: Lengths) -> Runs:
    jobs = scene.jobs
    best = best_windows(scene.actual, jobs.arrival_ms, jobs.latest_end_ms, jobs.length_ms)
    return Runs.started(best.start_ms, scene.actual, jobs)


def _oracle_interruptible(scene: Scene, lengths: Lengths) -> Runs:
    return cheapest(scene.jobs, scene.actual)


_REPLAYS: Final[dict[Policy, Callable[[Scene, Lengths], Runs]]] = {
    Policy.AGNOSTIC: _agnostic,
    Policy.LOWEST_SLOT: _started_by(lowest_slot),
    Policy.LOWEST_WINDOW: _started_by(lowest_window),
    Policy.CARBON_TIME: _started_by(carbon_time),
    Policy.ECOVISOR: _ecovisor,
    Policy.ORACLE: _oracle,
    Policy.ORACLE_INTERRUPTIBLE: _oracle_interruptible,
    Policy.CARBON: lambda s, lengths: carbon(s.jobs, s.foresight, s.actual, lengths),
    Policy.CARBON_INTERRUPTIBLE: lambda s, lengths: carbon_interruptible(
        s.jobs, s.foresight, s.actual, lengths
    ),
}


def _carbon_pool(scene: Scene, lengths: Lengths) -> Runs:
    cpus = _cpus(scene)
    return carbon_pool(scene.jobs, scene.foresight, scene.actual, cpus, lengths, scene.before)


def _cpus(scene: Scene) -> float:
    return scene.capacity_cpus or 0.0


#: The same where jobs share a pool. All of them may pause.
_POOL_REPLAYS: Final[dict[Policy, Callable[[Scene, Lengths], Runs]]] = {
    Policy.AGNOSTIC: lambda s, _: earliest_deadline_pool(s.jobs, s.actual, _cpus(s)),
    Policy.ORACLE_INTERRUPTIBLE: lambda s, _: oracle_pool(s.jobs, s.actual, _cpus(s)),
    Policy.CARBON_INTERRUPTIBLE: _carbon_pool,
}


def _replay_of(policy: Policy, scene: Scene) -> Callable[[Scene, Lengths], Runs]:
    if scene.capacity_cpus is None:
        return _REPLAYS[policy]
    if policy not in _POOL_REPLAYS:
        known = ", ".join(_POOL_REPLAYS)
        raise InvalidInput(
            "policy_without_capacity", f"with a capacity the policy is one of {known}"
        )
    return _POOL_REPLAYS[policy]


def _summed_up(scene: Scene, policy: Policy, runs: Runs, seconds: float) -> Simulation:
    jobs = scene.jobs
    may_pause = policy.may_pause or scene.capacity_cpus is not None
    oracle = Policy.ORACLE_INTERRUPTIBLE if may_pause else Policy.ORACLE
    agnostic_g, oracle_g = (
        _replay_of(other, scene)(scene, Lengths.KNOWN).carbon_g()
        for other in (Policy.AGNOSTIC, oracle)
    )
    to_save_g = agnostic_g - oracle_g
    delay_h = runs.delay_ms(jobs) / MS_PER_HOUR
    late_h = runs.late_ms(jobs) / MS_PER_HOUR
    return Simulation(
        policy=policy,
        jobs=len(jobs),
        carbon_g=runs.carbon_g(),
        agnostic_g=agnostic_g,
        normalised=runs.carbon_g() / agnostic_g,
        oracle_g=oracle_g,
        share_of_oracle=(agnostic_g - runs.carbon_g()) / to_save_g if to_save_g > 0 else None,
        late_jobs=int(np.count_nonzero(late_h)),
        late_core_h=float(np.sum(late_h * jobs.cpus)),
        mean_delay_h=float(delay_h.mean()),
        p95_delay_h=float(np.quantile(delay_h, 0.95)),
        seconds=seconds,
    )
