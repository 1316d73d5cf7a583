"""10: replicas that wait for requests, against replicas that are there only when needed.

A replayed trace of arrivals in bursts. A waiting replica polls its queue, as serving programs do;
one that was scaled to zero builds its model anew for each burst. Whether that pays depends on how
long the gaps are: the trace below has one of each kind.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import Device

#: Two replicas poll every quarter of a millisecond.
_POLL_S: Final = 0.000_25
_WIDTH: Final = 384


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    scale, short_gaps = (0.3, 10) if quick else (1.0, 60)
    return [
        Comparison(
            title=f"{title}: two replicas that wait, or scale-to-zero with one at most",
            parameters={"policy": "scale-to-zero", "replicas_max": 1, "gaps": title},
            baseline=_served(seed, 2, gap_s * scale, bursts),
            treatment=_served(seed, 0, gap_s * scale, bursts),
            before={"replicas": 2},
            after={"replicas": 0, "replicas_max": 1},
            units=["request"],
            is_whole=True,
        )
        for title, gap_s, bursts in (("long gaps", 1.2, 2), ("short gaps", 0.02, short_gaps))
    ]


def _served(seed: int, waiting: int, gap_s: float, bursts: int) -> Work:
    requests = np.random.default_rng(seed).normal(size=(8, _WIDTH)).astype(np.float32)

    def work(rounds: int) -> Done:
        kept = [_model(seed) for _ in range(waiting)]
        for _ in range(bursts):
            _wait(gap_s, len(kept))
            model = kept[0] if kept else _model(seed)
            for request in requests:
                for layer in model:
                    request = np.maximum(request @ layer, 0)
        return Done({"request": bursts * len(requests)})

    return work


def _model(seed: int) -> list[Any]:
    """What a cold start does: weights drawn and laid out."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(_WIDTH, _WIDTH)).astype(np.float32) / 16 for _ in range(6)]


def _wait(gap_s: float, replicas: int) -> None:
    """Each replica looks at its queue in turn; none at all sleeps through."""
    until = time.perf_counter() + gap_s
    if not replicas:
        time.sleep(gap_s)
    while time.perf_counter() < until:
        for _ in range(replicas):
            time.sleep(0)
        time.sleep(_POLL_S)
