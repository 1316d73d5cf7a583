"""Jobs planned a second on one core, in processor time, so that other work does not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import numpy as np

from carbon.bench.figure import Figure, at_least
from carbon.planning.series import IntArray, IntensitySeries
from carbon.planning.slots import best_starts
from carbon.planning.wavelet import cleanest_slots
from carbon.planning.windows import best_windows

_JOBS: Final = 1_000_000
_ROUNDS: Final = 5
_YEAR_H: Final = 8760
#: Lengths are log-normal about the median of a GPU cluster's year, h.
_MEDIAN_H: Final = 0.66
_LOG_SD: Final = 1.5
_LONGEST_H: Final = 71
_HOUR_MS: Final = 3_600_000


def figures(quick: bool) -> list[Figure]:
    rounds = 1 if quick else _ROUNDS
    return [
        _slots("hourly slots, contiguous", best_starts, 1, rounds, 3.0),
        _slots("hourly slots, interruptible", cleanest_slots, 1, rounds, 2.0),
        _slots("5-minute slots, contiguous", best_starts, 12, rounds, 1.0),
        _slots("5-minute slots, interruptible", cleanest_slots, 12, rounds, 1.0),
        _continuous(rounds),
    ]


def _slots(
    name: str, plan: Callable[..., object], slots_per_h: int, rounds: int, target: float
) -> Figure:
    rng = np.random.default_rng(10)
    grid = rng.uniform(20, 600, _YEAR_H * slots_per_h)
    first, end, length = _jobs(rng, slots_per_h)
    return _speed(name, lambda: plan(grid, first, end, length), rounds, target)


def _continuous(rounds: int) -> Figure:
    rng = np.random.default_rng(11)
    series = IntensitySeries.hourly(rng.uniform(20, 600, _YEAR_H))
    first, end, length = _jobs(rng, _HOUR_MS)
    # All wait a day, which makes about 51 starts to try for each.
    end = first + length + 24 * _HOUR_MS
    name = "continuous time, 51 starts a job"
    return _speed(name, lambda: best_windows(series, first, end, length), rounds, 0.7)


def _jobs(rng: np.random.Generator, per_h: int) -> tuple[IntArray, IntArray, IntArray]:
    """(earliest, latest end, length); jobs under 2 h wait up to 6 h, others 24 h."""
    hours = np.clip(np.exp(rng.normal(np.log(_MEDIAN_H), _LOG_SD, _JOBS)), 1e-3, _LONGEST_H)
    length = np.ceil(hours * per_h).astype(np.int64)
    first = rng.integers(0, (_YEAR_H - _LONGEST_H - 25) * per_h, _JOBS)
    return first, first + length + np.where(hours < 2, 6, 24) * per_h, length


def _speed(name: str, plan: Callable[[], object], rounds: int, target: float) -> Figure:
    took = []
    for _ in range(rounds):
        began = time.process_time()
        plan()
        took.append(time.process_time() - began)
    note = f"median of {rounds}, best {_JOBS / min(took) / 1e6:.2f}"
    return at_least(name, _JOBS / median(took) / 1e6, "M jobs/s", target, note)
