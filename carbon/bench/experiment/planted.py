"""A year of a small fleet with waste planted in it, of which the true saving is known."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from carbon.domain.recommendations import Finding, Kind, RunUse, UseHour, findings
from carbon.domain.units import MJ_PER_KWH, MS_PER_DAY, MS_PER_HOUR, NG_PER_G

DAYS: Final = 365
_FLOOR_W, _PEAK_W = 70.0, 700.0
_HOLDER, _LARGE, _NIGHTLY, _FIRST_GOOD = 1, 2, 3, 4
_GOOD: Final = 8


@dataclass(frozen=True)
class Planted:
    hours: list[UseHour]
    runs: list[RunUse]
    #: (kind, workload) to the grams that a perfect remedy would save, greatest first.
    truth: Mapping[tuple[Kind, int], float]

    def found(self) -> list[Finding]:
        devices = {hour.device_id for hour in self.hours}
        models = {device: "cpu" if device == 3 else "gpu H100" for device in devices}
        return findings(self.hours, models, self.runs, {}, {}, [], DAYS * MS_PER_DAY)


def year(seed: int) -> Planted:
    """A reserved GPU that mostly idles, one far too large, jobs at the dirty hours, of sizes that
    differ from seed to seed; among workloads without fault."""
    rng = random.Random(seed)
    sizes = [1.0, 1.8, 3.2]  # apart enough for an order to mean something
    rng.shuffle(sizes)
    hours = [*_idle(rng, sizes[0]), *_large(rng, sizes[1]), *_good(rng)]
    runs = [*_nightly(rng, sizes[2])]
    hours += [_as_hour(run) for run in runs]
    truth = {
        (Kind.IDLE_RESERVATION, _HOLDER): _idle_g(hours),
        (Kind.LOW_UTILISATION, _LARGE): _spare_g(hours),
        (Kind.COULD_HAVE_WAITED, _NIGHTLY): math.fsum(
            run.operational_g * (1 - (run.cleanest_ratio or 1)) for run in runs
        ),
    }
    return Planted(hours, runs, dict(sorted(truth.items(), key=lambda item: -item[1])))


def _g_per_kwh(hour: int) -> float:
    """Clean at noon, dirty at night and more so in winter."""
    sun = max(0.0, math.sin((hour % 24 - 6) / 12 * math.pi))
    return 420 - 230 * sun + 60 * math.cos(hour / 24 / DAYS * 2 * math.pi)


def _hour(
    n: int, workload: int, device: int, watts: float, *, idle: bool = False, held: bool = False
) -> UseHour:
    energy_mj = round(watts * MS_PER_HOUR)
    ng = round(energy_mj / MJ_PER_KWH * _g_per_kwh(n) * NG_PER_G)
    whole = MS_PER_HOUR
    covered = 0 if held and not energy_mj else whole
    return UseHour(n * whole, workload, device, idle, energy_mj, ng, covered, whole)


def _idle(rng: random.Random, size: float) -> Iterator[UseHour]:
    """Held all year, used one hour in twelve; as large as its size for that part of the year."""
    until = round(DAYS * 24 * size / 4)
    for n in range(until):
        if n % 12:
            yield _hour(n, 0, 1, _FLOOR_W + rng.gauss(0, 1), idle=True)
            yield _hour(n, _HOLDER, 1, 0.0, held=True)
        else:
            yield _hour(n, _HOLDER, 1, 600.0)


def _large(rng: random.Random, size: float) -> Iterator[UseHour]:
    """Never above a sixth of what the model can do."""
    for n in range(round(DAYS * 24 * size / 4)):
        used = _FLOOR_W if n % 24 == 0 else 110 + rng.uniform(-10, 10)
        yield _hour(n, _LARGE, 2, used)


def _good(rng: random.Random) -> Iterator[UseHour]:
    """Services that use what they have, all day long."""
    for workload in range(_FIRST_GOOD, _FIRST_GOOD + _GOOD):
        for n in range(0, DAYS * 24, 7):  # a part of the year says the same
            yield _hour(n, workload, workload, _PEAK_W * rng.uniform(0.7, 1.0))


def _nightly(rng: random.Random, size: float) -> Iterator[RunUse]:
    """Two hours of every night, that could have run at the next noon."""
    watts = 310.0 * size
    for day in range(DAYS - 1):
        begin = day * 24 + rng.choice((1, 2, 3))
        energy_mj = round(watts * 2 * MS_PER_HOUR)
        own = (_g_per_kwh(begin) + _g_per_kwh(begin + 1)) / 2
        best = (_g_per_kwh(day * 24 + 11) + _g_per_kwh(day * 24 + 12)) / 2
        start_ms = begin * MS_PER_HOUR
        yield RunUse(
            _NIGHTLY,
            start_ms,
            start_ms + 2 * MS_PER_HOUR,
            energy_mj,
            energy_mj / MJ_PER_KWH * own,
            best / own,
        )


def _as_hour(run: RunUse) -> UseHour:
    ng = round(run.operational_g * NG_PER_G)
    span_ms = run.end_ms - run.start_ms
    return UseHour(run.start_ms, run.workload_id, 3, False, run.energy_mj, ng, span_ms, span_ms)


def _idle_g(hours: list[UseHour]) -> float:
    return sum(hour.operational_ng for hour in hours if hour.is_idle) / NG_PER_G


def _spare_g(hours: list[UseHour]) -> float:
    """The static part of a device of which a slice of a sixth would do."""
    static_g = sum(
        hour.operational_ng / NG_PER_G * min(1.0, _FLOOR_W / hour.power_w)
        for hour in hours
        if hour.workload_id == _LARGE
    )
    return static_g * (1 - 120 / _PEAK_W)
