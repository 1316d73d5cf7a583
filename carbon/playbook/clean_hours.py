"""9: a deferrable hour of work, begun at once or when the scheduler says, on a replayed grid.

The work is real and measured; its power is held for an hour of the replay. The scheduler is the
service's own, over two weeks in memory. It sees the grid as it was: what a perfect forecast would
save, the bound that a real one stays below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from carbon.domain.units import MJ_PER_KWH, MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.planning.series import IntensitySeries
from carbon.playbook.comparison import Comparison, Done, Elsewhere
from carbon.playbook.device import Device
from carbon.playbook.grid_week import DAYS, START_MS, week
from carbon.playbook.replayed_scheduler import ReplayedScheduler

#: Work that arrives at a random hour of the day and has until the same hour of the next.
_DEADLINE_MS: Final = 24 * MS_PER_HOUR
_LENGTH_MS: Final = MS_PER_HOUR
#: What a job says of itself; the grams are of what was measured.
_POWER_W: Final = 100.0


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    grid = week()
    rng = np.random.default_rng(seed)
    arrivals = [
        START_MS + day * MS_PER_DAY + int(rng.integers(0, 96)) * QUARTER_MS
        for day in range(0, DAYS - 1)
    ]
    start = rng.normal(size=20_000)

    scheduled = ReplayedScheduler(grid, _LENGTH_MS, _DEADLINE_MS).starts_ms(arrivals, _POWER_W)

    def work(rounds: int) -> Done:
        out = start
        for _ in range(10 * rounds):
            out = np.tanh(out) + 0.1
        return Done({"job": 1})

    def replay(arm: str, number: int, energy_mj: int, seconds: float) -> Elsewhere:
        starts = arrivals if arm == "baseline" else scheduled
        hour_mj = round(energy_mj / seconds * _LENGTH_MS / 1000)
        start_ms = floor_to(starts[number % len(starts)], QUARTER_MS)
        end_ms = start_ms + _LENGTH_MS
        grams = hour_mj / MJ_PER_KWH * _mean(grid, start_ms, end_ms)
        return Elsewhere(start_ms, end_ms, f"day {number}", hour_mj, grams)

    stated: dict[str, Any] = {"zones": ["replayed"]}
    return [
        Comparison(
            title="an hour of work within a day: at once, or when the scheduler says",
            parameters={"policy": "carbon", "signal": "average", "deadline": "24h"},
            baseline=work,
            treatment=work,
            before={"start": "at once"},
            after={"start": "cleanest window"},
            units=["job"],
            blocks_at_least=12,
            replay=replay,
            stated={"baseline": stated, "treatment": stated},
        )
    ]


def _mean(grid: IntensitySeries, start_ms: int, end_ms: int) -> float:
    inside = (grid.start_ms >= start_ms) & (grid.end_ms <= end_ms)
    return float(grid.g_per_kwh[inside].mean())
