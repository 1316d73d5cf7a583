"""A year of PAI jobs, lengths learned: share of the gap from Lowest-Window to the oracle closed."""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.bench.figure import Figure, at_least, not_taken, reported
from carbon.bench.plan.traces import Traces
from carbon.clock import SystemClock
from carbon.planning.job_history import JobHistory
from carbon.planning.series import FloatArray
from carbon.planning.simulate import Policy, simulate

_ZONES: Final = ("AU-SA", "US-CAL-CISO", "DE", "GB", "CA-ON")


_EACH: Final = 0.60
_MEAN: Final = 0.68
_GLANCE_JOBS: Final = 2_000


def _contiguous_least(zone: str) -> float:
    return 0.30 if zone == "AU-SA" else 0.15


def absent(why: str) -> list[Figure]:
    found = []
    for zone in _ZONES:
        found.append(not_taken(f"year, {zone}, interruptible", "1", why, f">= {_EACH:g}"))
        least = _contiguous_least(zone)
        found.append(not_taken(f"year, {zone}, contiguous", "1", why, f">= {least:g}"))
    return [*found, not_taken("year, mean of zones, interruptible", "1", why, f">= {_MEAN:g}")]


def figures(traces: Traces, quick: bool) -> list[Figure]:
    if quick:
        return _glance(traces)
    jobs = traces.whole_year(None)
    found, paused = [], []
    for zone in _ZONES:
        grid = traces.grid[zone]
        share = _closed(jobs, grid, Policy.CARBON_INTERRUPTIBLE, Policy.ORACLE_INTERRUPTIBLE)
        paused.append(share)
        found.append(at_least(f"year, {zone}, interruptible", share, "1", _EACH))
        share = _closed(jobs, grid, Policy.CARBON, Policy.ORACLE)
        least = _contiguous_least(zone)
        found.append(at_least(f"year, {zone}, contiguous", share, "1", least))
    mean = float(np.mean(paused))
    return [*found, at_least("year, mean of zones, interruptible", mean, "1", _MEAN)]


def _glance(traces: Traces) -> list[Figure]:
    """One zone and so few jobs that little is learned: nothing to hold against the targets."""
    jobs, zone = traces.whole_year(_GLANCE_JOBS), _ZONES[0]
    grid, note = traces.grid[zone], f"{_GLANCE_JOBS} of the year's jobs"
    own = {
        "interruptible": (Policy.CARBON_INTERRUPTIBLE, Policy.ORACLE_INTERRUPTIBLE),
        "contiguous": (Policy.CARBON, Policy.ORACLE),
    }
    return [
        reported(f"year, {zone}, {name}", _closed(jobs, grid, *policies), "1", note)
        for name, policies in own.items()
    ]


def _closed(jobs: JobHistory, grid: FloatArray, policy: Policy, oracle: Policy) -> float:
    clock = SystemClock()
    window, own, best = (
        simulate(jobs, grid, p, clock).carbon_g for p in (Policy.LOWEST_WINDOW, policy, oracle)
    )
    return (window - own) / (window - best)
