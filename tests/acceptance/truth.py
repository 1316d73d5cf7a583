"""What two scripted GPUs truly draw, and what that emits, computed without any of carbon."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.scripted_nvml import Gpu, Nvml, Power, Process, Script

BUCKET_MS = 300_000
LIFESPAN_MS = 4 * 365 * 86_400_000
#: NVIDIA's footprint of an HGX H100 board, by eight.
GPU_KG = 1312 / 8

#: (start_ms, end_ms, g_per_kwh), without gaps.
Points = Sequence[tuple[int, int, float]]

#: Bursts shorter than the agent's 100 ms between looks: only a counter sees all of them.
_BURSTS = (
    ((130, 250_000), (90, 700_000), (310, 120_000), (70, 650_000)),
    ((40, 690_000), (35, 95_000), (125, 410_000), (60, 180_000)),
)


class TwoGpus:
    """A scenario from now on. A command of `burn` is busy on both while it runs."""

    def __init__(self, folder: Path, init_error: Nvml | None = None, count: int = 2) -> None:
        self.epoch_ms = time.time_ns() // 1_000_000
        self.pids_file = folder / "pids"
        gpus = tuple(_gpu(number) for number in range(count))
        self._script = Script(
            gpus, epoch_ms=self.epoch_ms, pids_file=self.pids_file, init_error=init_error
        )
        self.path = self._script.write(folder / "scenario.txt")

    def env(self, library: Path) -> dict[str, str]:
        """What makes carbon's processes see these GPUs, and `burn` hold them."""
        return {
            "LD_LIBRARY_PATH": str(library),
            "CARBON_NVML_SCRIPT": str(self.path),
            "BURN_PIDS": str(self.pids_file),
        }

    def energy_mj(self, start_ms: int, end_ms: int) -> float:
        """Of both over a span of wall time, exactly."""
        since, until = start_ms - self.epoch_ms, end_ms - self.epoch_ms
        return float(sum(gpu.true_energy_mj(since, until) for gpu in self._script.gpus))


def _gpu(number: int) -> Gpu:
    return Gpu(
        uuid=f"GPU-{number:08d}-1111-2222-3333-444444444444",
        name="NVIDIA H100 80GB HBM3",
        power=Power.bursts(_BURSTS[number % len(_BURSTS)]),
        counter_start_mj=5_000_000 * (number + 1),
        # A real counter's 100 ms would be most of the error of a run of some seconds.
        update_ms=2,
        processes=(Process("@burn", 100),),
    )


def wait_out_a_mark(within_s: float) -> None:
    """Sleeps past the next 5-minute mark where it comes within so many seconds.

    Of a job that is cut by one, a second at either edge falls on the other side's price.
    """
    now_ms = time.time_ns() // 1_000_000
    left_s = (BUCKET_MS - now_ms % BUCKET_MS) / 1000
    if left_s < within_s:
        time.sleep(left_s)


def operational_g(gpus: TwoGpus, start_ms: int, end_ms: int, points: Points) -> float:
    """Energy of each 5-minute bucket x the mean intensity of that bucket."""
    total = 0.0
    for bucket_ms in range(start_ms - start_ms % BUCKET_MS, end_ms, BUCKET_MS):
        lo, hi = max(start_ms, bucket_ms), min(end_ms, bucket_ms + BUCKET_MS)
        kwh = gpus.energy_mj(lo, hi) / 1e3 / 3.6e6
        total += kwh * mean_g_per_kwh(points, bucket_ms)
    return total


def mean_g_per_kwh(points: Points, bucket_ms: int) -> float:
    overlaps = [
        (min(end, bucket_ms + BUCKET_MS) - max(start, bucket_ms), g) for start, end, g in points
    ]
    covered_ms = sum(span for span, _ in overlaps if span > 0)
    assert covered_ms == BUCKET_MS
    return sum(span * g for span, g in overlaps if span > 0) / covered_ms


def embodied_g(kg: float, held_ms: float) -> float:
    return kg * 1000 * held_ms / LIFESPAN_MS
