"""GAIA's figure 8 (Hanafy et al., ASPLOS 2024): AU-SA 2022, a week of PAI jobs, 6 h and 24 h."""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.bench.figure import Figure, at_most, not_taken
from carbon.bench.plan.traces import Traces
from carbon.clock import SystemClock
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.series import FloatArray
from carbon.planning.simulate import Policy, simulate

_START_HOUR: Final = 7000
_PUBLISHED: Final = {
    Policy.LOWEST_SLOT: 0.7800,
    Policy.LOWEST_WINDOW: 0.6837,
    Policy.CARBON_TIME: 0.7249,
    Policy.ECOVISOR: 0.6391,
    Policy.ORACLE: 0.6120,
    Policy.ORACLE_INTERRUPTIBLE: 0.5462,
}
#: Policy: one cold start, mean of 17 starts, its oracle.
_OWN: Final = {
    Policy.CARBON: (0.680, 0.695, Policy.ORACLE),
    Policy.CARBON_INTERRUPTIBLE: (0.590, 0.628, Policy.ORACLE_INTERRUPTIBLE),
}


def absent(why: str) -> list[Figure]:
    found = [not_taken(f"GAIA: {p}", "1", why, _target(p)) for p in _PUBLISHED]
    for policy, (cold, mean_of_17, _) in _OWN.items():
        for name, target in zip(_names(policy), (cold, 0.003, mean_of_17), strict=True):
            found.append(not_taken(name, "1", why, f"<= {target:g}"))
    return found


def _names(policy: Policy) -> tuple[str, str, str]:
    kinds = "cold start", "lengths known, above oracle", "mean of 17 starts"
    first, second, third = (f"GAIA: {policy}, {kind}" for kind in kinds)
    return first, second, third


def _target(policy: Policy) -> str:
    return f"{_PUBLISHED[policy]:.4f} +- 0.001"


def figures(traces: Traces, quick: bool) -> list[Figure]:
    jobs, grid = traces.gaia_week(), traces.grid["AU-SA"]
    found = [_published(jobs, grid, policy) for policy in _PUBLISHED]
    for policy, (cold, mean_of_17, oracle) in _OWN.items():
        learned = _normalised(jobs, grid, policy)
        known = _normalised(jobs, grid, policy, lengths=Lengths.KNOWN)
        above = known - _normalised(jobs, grid, oracle)
        cold_start, with_known, of_17 = _names(policy)
        found.append(at_most(cold_start, learned, "1", cold))
        found.append(at_most(with_known, above, "1", 0.003))
        if not quick:
            starts = [_normalised(jobs, grid, policy, hour) for hour in range(0, 8001, 500)]
            mean = float(np.mean(starts))
            found.append(at_most(of_17, mean, "1", mean_of_17))
    return found


def _published(jobs: JobHistory, grid: FloatArray, policy: Policy) -> Figure:
    value, told = _normalised(jobs, grid, policy), _PUBLISHED[policy]
    met = abs(value - told) <= 0.001
    return Figure(f"GAIA: {policy}", value, "1", _target(policy), met)


def _normalised(
    jobs: JobHistory,
    grid: FloatArray,
    policy: Policy,
    start_hour: int = _START_HOUR,
    lengths: Lengths = Lengths.LEARNED,
) -> float:
    clock = SystemClock()
    outcome = simulate(jobs, grid, policy, clock, start_hour=start_hour, lengths=lengths)
    return outcome.normalised
