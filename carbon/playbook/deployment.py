"""7: the same model deployed otherwise: requests in batches, on two threads, in a cleaner zone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from carbon.domain.units import MJ_PER_KWH, QUARTER_MS
from carbon.domain.yearly import yearly_intensity
from carbon.playbook.comparison import Comparison, Done, Elsewhere, Replay
from carbon.playbook.device import Device
from carbon.playbook.grid_week import START_MS

_REQUESTS: Final = 64
_WIDTH: Final = 512
#: Zone and PUE before and after: an average hall, and an efficient one on a cleaner grid.
_BEFORE: Final = ("DE", 1.5)
_AFTER: Final = ("FR", 1.15)


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    rng = np.random.default_rng(seed)
    layers = [rng.normal(size=(_WIDTH, _WIDTH)).astype(np.float32) / 20 for _ in range(4)]
    requests = rng.normal(size=(_REQUESTS, _WIDTH)).astype(np.float32)

    def answer(inputs: Any) -> Any:
        for layer in layers:
            inputs = np.maximum(inputs @ layer, 0)
        return inputs

    def in_batches_of(size: int) -> Any:
        def work(rounds: int) -> Done:
            for _ in range(rounds):
                for first in range(0, _REQUESTS, size):
                    answer(requests[first : first + size])
            return Done({"request": rounds * _REQUESTS})

        return work

    return [
        Comparison(
            title="requests one by one, or 32 together",
            parameters={"change": "batching"},
            baseline=in_batches_of(1),
            treatment=in_batches_of(32),
            before={"batch": 1},
            after={"batch": 32},
            units=["request"],
        ),
        Comparison(
            title="one thread, or one for each core",
            parameters={"change": "threads"},
            baseline=_on_threads(answer, requests, 1),
            treatment=_on_threads(answer, requests, os.cpu_count() or 2),
            before={"threads": 1},
            after={"threads": os.cpu_count() or 2},
            units=["request"],
        ),
        Comparison(
            title="the same service in a cleaner zone and a better hall",
            parameters={"change": "zone and PUE"},
            baseline=in_batches_of(32),
            treatment=in_batches_of(32),
            before={"zone": _BEFORE[0], "pue": _BEFORE[1]},
            after={"zone": _AFTER[0], "pue": _AFTER[1]},
            units=["request"],
            treats=["zone", "pue"],
            replay=_placed(),
            stated={
                arm: {"zones": [zone], "pue": pue}
                for arm, (zone, pue) in (("baseline", _BEFORE), ("treatment", _AFTER))
            },
        ),
    ]


def _on_threads(answer: Any, requests: Any, threads: int) -> Any:
    """Requests of 8, shared among threads: the products free the interpreter."""
    parts = [requests[first : first + 8] for first in range(0, _REQUESTS, 8)]

    def work(rounds: int) -> Done:
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(rounds):
                list(pool.map(answer, parts))
        return Done({"request": rounds * _REQUESTS})

    return work


def _placed() -> Replay:
    """At the bundled yearly intensity of the zone, PUE on top."""

    def replay(arm: str, number: int, energy_mj: int, seconds: float) -> Elsewhere:
        zone, pue = _BEFORE if arm == "baseline" else _AFTER
        start_ms = START_MS + (2 * number + (arm == "treatment")) * QUARTER_MS
        grams = energy_mj / MJ_PER_KWH * yearly_intensity(zone).g_per_kwh * pue
        return Elsewhere(start_ms, start_ms + QUARTER_MS, "", energy_mj, grams)

    return replay
