"""A scripted week of GPUs: what their counters say, which scrapes are missing, and the truth."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from carbon.domain.units import floor_to
from carbon.imports.series import NAME_LABEL, Sample, Series

DCGM = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
STEP_MS = 120_000
#: Scrapes that are missing, of all.
_MISSING = 0.05


@dataclass(frozen=True, slots=True)
class Gpu:
    uuid: str
    host: str
    #: (time, counter in mJ) of each scrape that came.
    readings: tuple[tuple[int, int], ...]
    #: Drawn between the first and the last of them, mJ.
    truth_mj: int

    @property
    def workload(self) -> str:
        return f"prod/{self.uuid.lower()}"

    def series(self) -> Series:
        labels = {
            NAME_LABEL: DCGM,
            "UUID": self.uuid,
            "Hostname": self.host,
            "exported_namespace": "prod",
            "exported_pod": f"{self.uuid.lower()}-6d5f7c9b8d-abcde",
        }
        return Series(labels, [Sample(at_ms, float(mj)) for at_ms, mj in self.readings])


def scripted_week(now_ms: int, hours: int, gpus: int = 4) -> list[Gpu]:
    """Ends an hour ago. Load by day and by chance; in a stretch of days one GPU's driver is
    loaded anew half-way, and what it drew since the scrape before is in nobody's counter."""
    start_ms = floor_to(now_ms, 3_600_000) - 3_600_000 - hours * 3_600_000
    return [_gpu(n, start_ms, hours, n == gpus - 1 and hours > 48) for n in range(gpus)]


def _gpu(n: int, start_ms: int, hours: int, is_reset: bool) -> Gpu:
    rng = random.Random(n)
    counter, drawn = rng.randrange(10**12), 0
    readings: list[tuple[int, int]] = []
    first = last = 0
    offset_ms = rng.randrange(STEP_MS)
    steps = hours * 3_600_000 // STEP_MS
    for step in range(steps):
        if is_reset and step == steps // 2:
            counter = 0
        if step in (0, steps - 1) or rng.random() > _MISSING:
            readings.append((start_ms + step * STEP_MS + offset_ms, counter))
            first, last = (drawn if step == 0 else first), drawn
        day = math.sin(2 * math.pi * step * STEP_MS / 86_400_000)
        watts = 350 + 200 * day + rng.uniform(-100, 100)
        counter += round(watts * STEP_MS)
        drawn += round(watts * STEP_MS)
    return Gpu(f"GPU-WEEK-{n}", f"n{n % 2}", tuple(readings), last - first)


def scrapes(week: list[Gpu]) -> Iterator[tuple[int, list[tuple[Gpu, int]]]]:
    """(time, counters) in order of time, as a poller meets them."""
    met: dict[int, list[tuple[Gpu, int]]] = {}
    for gpu in week:
        for at_ms, mj in gpu.readings:
            met.setdefault(at_ms, []).append((gpu, mj))
    yield from sorted(met.items())
