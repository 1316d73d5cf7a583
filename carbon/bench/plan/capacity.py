"""Two weeks of PAI jobs in a pool: share of the bound's saving over earliest deadline first."""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.bench.figure import Figure, at_least, at_most, not_taken, reported
from carbon.bench.plan.traces import Traces
from carbon.clock import SystemClock
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.simulate import Policy, Simulation, simulate

_DAYS: Final = 14
_GLANCE_DAYS: Final = 2
_MS_PER_DAY: Final = 86_400_000
#: Times the mean load: (share each, mean share, zone and first day).
_CASES: Final = {
    1.5: (
        0.87,
        0.90,
        [("AU-SA", day) for day in (40, 140, 220, 300)]
        + [("US-CAL-CISO", day) for day in (140, 220, 300)],
    ),
    2.0: (0.92, 0.94, [("AU-SA", 140), ("AU-SA", 220), ("AU-SA", 300), ("US-CAL-CISO", 140)]),
}


def absent(why: str) -> list[Figure]:
    found = []
    for load, (each, on_mean, cases) in _CASES.items():
        for zone, day in cases:
            found.append(not_taken(_name(load, zone, day), "1", why, f">= {each:g}"))
            found.append(not_taken(f"{_name(load, zone, day)}, late", "core-h", why, "<= 0"))
        found.append(not_taken(f"capacity {load:g}x, mean", "1", why, f">= {on_mean:g}"))
    return found


def _name(load: float, zone: str, day: int) -> str:
    return f"capacity {load:g}x, {zone} day {day}"


def figures(traces: Traces, quick: bool) -> list[Figure]:
    return _glance(traces) if quick else _measured(traces)


def _glance(traces: Traces) -> list[Figure]:
    """Two days of one case of each load: too few to hold against the targets."""
    found = []
    for load, (_, _, cases) in _CASES.items():
        zone, day = cases[0]
        own = _replayed(traces, zone, day, load, days=_GLANCE_DAYS)
        name, note = _name(load, zone, day), f"{_GLANCE_DAYS} of {_DAYS} days"
        found.append(reported(name, own.share_of_oracle or 0.0, "1", note))
        found.append(reported(f"{name}, late", own.late_core_h, "core-h", note))
    return found


def _measured(traces: Traces) -> list[Figure]:
    found: list[Figure] = []
    for load, (each, on_mean, cases) in _CASES.items():
        shares = []
        for zone, day in cases:
            own = _replayed(traces, zone, day, load)
            urgent = _replayed(traces, zone, day, load, Policy.AGNOSTIC)
            name = _name(load, zone, day)
            shares.append(own.share_of_oracle or 0.0)
            found.append(at_least(name, shares[-1], "1", each, f"{own.seconds:.0f} s"))
            found.append(_late(name, own, urgent))
        found.append(at_least(f"capacity {load:g}x, mean", float(np.mean(shares)), "1", on_mean))
        zone, day = cases[1]
        learned = _replayed(traces, zone, day, load, lengths=Lengths.LEARNED)
        found.append(_learned(f"{_name(load, zone, day)}, lengths learned", learned))
    return found


def _replayed(
    traces: Traces,
    zone: str,
    day: int,
    load: float,
    policy: Policy = Policy.CARBON_INTERRUPTIBLE,
    lengths: Lengths = Lengths.KNOWN,
    days: int = _DAYS,
) -> Simulation:
    jobs = traces.days(day, days)
    return simulate(
        jobs,
        traces.grid[zone],
        policy,
        SystemClock(),
        start_hour=day * 24,
        lengths=lengths,
        capacity_cpus=load * _mean_cpus(jobs, days),
    )


def _mean_cpus(jobs: JobHistory, days: int) -> float:
    return float(jobs.length_ms @ jobs.cpus) / (days * _MS_PER_DAY)


def _late(name: str, own: Simulation, urgent: Simulation) -> Figure:
    """Held to 0 wherever earliest deadline first is never late."""
    if urgent.late_jobs:
        note = f"earliest deadline first itself: {urgent.late_core_h:.0f}"
        return reported(f"{name}, late", own.late_core_h, "core-h", note)
    return at_most(f"{name}, late", own.late_core_h, "core-h", 0.0)


def _learned(name: str, outcome: Simulation) -> Figure:
    note = f"{outcome.late_jobs} of {outcome.jobs} jobs late, {outcome.late_core_h:.1f} core-h"
    return reported(name, outcome.share_of_oracle or 0.0, "1", note)
