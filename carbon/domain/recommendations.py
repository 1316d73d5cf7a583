"""What the ledger alone suggests: waste that can be seen, and what would prove the remedy.

Each finding states grams over the window that was looked at, with bounds. They are estimates of
what a remedy *could* save, and no saving: that is what the experiment they name is for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from carbon.domain.experiments.techniques import Technique
from carbon.domain.precision import has_tensor_cores, is_full
from carbon.domain.uncertainty import Interval
from carbon.domain.units import MJ_PER_KWH, MS_PER_HOUR, grams

#: A device that draws less than this times the lowest hour of its model does nothing.
_IDLE_BAND: Final = 1.25
#: Only a device that was seen to do much more can be told to be idle.
_ACTIVE_RATIO: Final = 2.0
#: Devices that stay below this part of what their model was seen to draw are too large.
_OVERSIZED: Final = 0.5
#: A workload that runs for less of the time than this is no service that must be there.
_DEFERRABLE_SHARE: Final = 0.6
#: Longer work would not fit into a day's wait.
LONGEST_RUN_MS: Final = 12 * MS_PER_HOUR
_GROWTH: Final = 1.10
_SMALL_BATCH: Final = 4.0
#: Below this part of a workload's grams nobody should be bothered.
_MINOR: Final = 0.01


class Kind(StrEnum):
    IDLE_RESERVATION = "idle_reservation"
    PARKED_DEVICE = "parked_device"
    LOW_UTILISATION = "low_utilisation"
    COULD_HAVE_WAITED = "could_have_waited"
    DIRTIER_ZONE = "dirtier_zone"
    OUTPUT_GROWTH = "output_growth"
    SMALL_BATCH = "small_batch"
    FULL_PRECISION = "full_precision"


#: The technique that mends it, and the comparison that would prove it.
REMEDY: Final[Mapping[Kind, tuple[Technique, str]]] = {
    Kind.IDLE_RESERVATION: (
        Technique.SCALING,
        "reserve as now, against returning the device after an hour without work",
    ),
    Kind.PARKED_DEVICE: (
        Technique.SCALING,
        "replicas that wait, against scale-to-zero, over the same arrivals",
    ),
    Kind.LOW_UTILISATION: (
        Technique.DEPLOYMENT,
        "the whole device, against a slice (MIG) or a smaller one; declare hardware as treated",
    ),
    Kind.COULD_HAVE_WAITED: (
        Technique.CLEAN_HOURS,
        "the same jobs at once, against the planner's start within a day",
    ),
    Kind.DIRTIER_ZONE: (
        Technique.DEPLOYMENT,
        "the same work here, against the cleaner zone; declare zone as treated",
    ),
    Kind.OUTPUT_GROWTH: (
        Technique.PROMPT_AND_OUTPUT,
        "answers as they are, against a limit on their length, per request",
    ),
    Kind.SMALL_BATCH: (
        Technique.DEPLOYMENT,
        "requests as they come, against batches of 32, per request",
    ),
    Kind.FULL_PRECISION: (
        Technique.MIXED_PRECISION,
        "training to the same loss in fp32, against bf16 with autocast",
    ),
}


@dataclass(frozen=True, slots=True)
class UseHour:
    """An hour of one workload on one device."""

    start_ms: int
    #: 0 is nobody's.
    workload_id: int
    device_id: int
    #: Nothing ran on the device.
    is_idle: bool
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int = 0

    @property
    def power_w(self) -> float:
        return self.energy_mj / self.covered_ms if self.covered_ms else 0.0


@dataclass(frozen=True, slots=True)
class RunUse:
    """A bounded execution with what it drew, and the price where and when it ran."""

    workload_id: int
    start_ms: int
    end_ms: int
    energy_mj: int
    operational_g: float
    #: Mean intensity of the cleanest start within a day, over that of its own time.
    cleanest_ratio: float | None


@dataclass(frozen=True, slots=True)
class UnitTrend:
    """Counts of two units of a workload, before and in the last week."""

    workload_id: int
    per: str
    unit: str
    ratio_before: float
    ratio_now: float


@dataclass(frozen=True)
class Finding:
    kind: Kind
    workload_id: int
    #: 0 where it is about several devices, or the workload as a whole.
    device_id: int
    saving_g: Interval
    evidence: Mapping[str, Any]

    @property
    def technique(self) -> Technique:
        return REMEDY[self.kind][0]

    def key(self, workload: str) -> str:
        """The same finding has the same id tomorrow: what was dismissed stays so."""
        told = f"{self.kind}\n{workload}"
        return f"rec_{sha256(told.encode()).hexdigest()[:16]}"


def findings(
    hours: Sequence[UseHour],
    models: Mapping[int, str],
    runs: Sequence[RunUse],
    zone_g: Mapping[str, float],
    zones: Mapping[int, str],
    trends: Sequence[UnitTrend],
    window_ms: int,
    precisions: Mapping[int, str] = MappingProxyType({}),
) -> list[Finding]:
    """Greatest saving first. `models` and `zones` by device, `zone_g` the mean gCO2e/kWh of each
    zone in which there are devices; `precisions` by workload, where it is known."""
    totals = _totals_g(hours)
    found = [
        *_idle(hours),
        *_by_device(hours, models),
        *_waited(runs, hours, window_ms),
        *_zones(hours, zones, zone_g),
        *_trends(trends, totals),
        *_full_precision(hours, models, precisions),
    ]
    worth = [
        one
        for one in _by_workload(found)
        if one.saving_g.value > _MINOR * totals.get(one.workload_id, math.inf)
    ]
    return sorted(worth, key=lambda one: (-one.saving_g.value, one.kind, one.workload_id))


def _by_workload(found: Iterable[Finding]) -> Iterable[Finding]:
    """One of each kind: of several devices the sum, with the evidence of the greatest."""
    grouped: dict[tuple[Kind, int], list[Finding]] = {}
    for one in found:
        grouped.setdefault((one.kind, one.workload_id), []).append(one)
    for own in grouped.values():
        if len(own) == 1:
            yield own[0]
            continue
        greatest = max(own, key=lambda one: one.saving_g.value)
        sums = (
            math.fsum(getattr(one.saving_g, name) for one in own)
            for name in ("value", "low", "high")
        )
        told = {"places": len(own), **greatest.evidence}
        yield Finding(greatest.kind, greatest.workload_id, 0, Interval(*sums), told)


def episodes(
    hours: Iterable[UseHour], models: Mapping[int, str]
) -> Iterable[tuple[int, int, list[UseHour]]]:
    """(workload, device, hours in a row) of work above a device's idle power: what runs are where
    nobody named any."""
    listed = list(hours)
    floors = _floors(listed, models)
    for (workload_id, device_id), own in _grouped(listed).items():
        if not workload_id:
            continue
        least_w = _IDLE_BAND * floors.get(models.get(device_id, ""), 0.0)
        row: list[UseHour] = []
        for hour in own:
            is_work = not hour.is_idle and hour.power_w > least_w
            if row and (not is_work or hour.start_ms > row[-1].start_ms + MS_PER_HOUR):
                yield workload_id, device_id, row
                row = []
            if is_work:
                row = [*row, hour]
        if row:
            yield workload_id, device_id, row


def _totals_g(hours: Iterable[UseHour]) -> dict[int, float]:
    sums: dict[int, int] = {}
    for hour in hours:
        sums[hour.workload_id] = sums.get(hour.workload_id, 0) + hour.operational_ng
    return {workload_id: grams(ng) for workload_id, ng in sums.items()}


def _grouped(hours: Iterable[UseHour]) -> dict[tuple[int, int], list[UseHour]]:
    found: dict[tuple[int, int], list[UseHour]] = {}
    for hour in hours:
        found.setdefault((hour.workload_id, hour.device_id), []).append(hour)
    return found


def _idle(hours: Sequence[UseHour]) -> Iterable[Finding]:
    """What a reserved device drew while nobody used it. Somebody else may use it once returned,
    so half of it is the least that is saved."""
    idle = {(hour.device_id, hour.start_ms): hour for hour in hours if hour.is_idle}
    for (workload_id, device_id), own in _grouped(h for h in hours if h.workload_id).items():
        unused = [
            (idle[device_id, hour.start_ms], hour.reserved_ms - hour.covered_ms)
            for hour in own
            if hour.reserved_ms > hour.covered_ms and (device_id, hour.start_ms) in idle
        ]
        shares = [
            (hour, min(1.0, held_ms / hour.covered_ms))
            for hour, held_ms in unused
            if hour.covered_ms
        ]
        total_g = math.fsum(grams(hour.operational_ng) * share for hour, share in shares)
        yield Finding(
            Kind.IDLE_RESERVATION,
            workload_id,
            device_id,
            Interval(total_g, total_g / 2, total_g),
            {
                "idle_hours": sum(h.covered_ms * share for h, share in shares) / MS_PER_HOUR,
                "idle_kwh": sum(h.energy_mj * share for h, share in shares) / MJ_PER_KWH,
            },
        )


def _by_device(hours: Sequence[UseHour], models: Mapping[int, str]) -> Iterable[Finding]:
    """Parked, or too large: by what the device and its model were seen to draw."""
    used = [
        hour
        for hour in hours
        if hour.workload_id and not hour.is_idle and hour.covered_ms >= MS_PER_HOUR // 2
    ]
    floors, peaks = _floors(hours, models), _peaks(used, models)
    groups = _grouped(used)
    users = Counter(device_id for _, device_id in groups)
    for (workload_id, device_id), own in groups.items():
        if users[device_id] > 1:
            continue  # a share of a shared device says nothing of the whole
        model = models.get(device_id, "")
        floor_w, peak_w = floors[model], peaks[model]
        if peak_w < _ACTIVE_RATIO * floor_w:
            continue
        parked = [hour for hour in own if hour.power_w <= _IDLE_BAND * floor_w]
        active = [hour for hour in own if hour.power_w > _IDLE_BAND * floor_w]
        if parked:
            total_g = grams(sum(hour.operational_ng for hour in parked))
            yield Finding(
                Kind.PARKED_DEVICE,
                workload_id,
                device_id,
                Interval(total_g * 0.8, total_g / 2, total_g),
                {
                    "parked_hours": _hours(parked),
                    "parked_w": _mean_w(parked),
                    "idle_floor_w": floor_w,
                },
            )
        highest_w = max((hour.power_w for hour in active), default=0.0)
        if active and highest_w < _OVERSIZED * peak_w:
            yield _oversized(workload_id, device_id, active, floor_w, highest_w, peak_w)


def _oversized(
    workload_id: int,
    device_id: int,
    active: Sequence[UseHour],
    floor_w: float,
    highest_w: float,
    peak_w: float,
) -> Finding:
    """A slice as large as what was ever used carries that part of the device's idle power."""
    static_g = grams(sum(h.operational_ng for h in active)) * min(1.0, floor_w / _mean_w(active))
    spare = 1 - highest_w / peak_w
    return Finding(
        Kind.LOW_UTILISATION,
        workload_id,
        device_id,
        Interval(static_g * spare, static_g * spare / 2, static_g),
        {"highest_w": highest_w, "model_peak_w": peak_w, "active_hours": _hours(active)},
    )


def _floors(hours: Iterable[UseHour], models: Mapping[int, str]) -> dict[str, float]:
    """The least that a model was seen to draw: a device that is only seen at work has no floor
    of its own."""
    floors: dict[str, float] = {}
    for hour in hours:
        if hour.covered_ms >= MS_PER_HOUR // 2:
            model = models.get(hour.device_id, "")
            floors[model] = min(floors.get(model, math.inf), hour.power_w)
    return floors


def _peaks(hours: Iterable[UseHour], models: Mapping[int, str]) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for hour in hours:
        model = models.get(hour.device_id, "")
        peaks[model] = max(peaks.get(model, 0.0), hour.power_w)
    return peaks


def _waited(runs: Sequence[RunUse], hours: Iterable[UseHour], window_ms: int) -> Iterable[Finding]:
    """Runs of workloads that do not run all the time, at the cleanest start within a day. A
    forecast finds most of it, not all."""
    by_workload: dict[int, list[RunUse]] = {}
    for run in runs:
        by_workload.setdefault(run.workload_id, []).append(run)
    for workload_id, own in by_workload.items():
        busy_ms = _busy_ms(own)
        movable = [
            run
            for run in own
            if run.cleanest_ratio is not None and run.end_ms - run.start_ms <= LONGEST_RUN_MS
        ]
        if not movable or busy_ms > _DEFERRABLE_SHARE * window_ms:
            continue
        best_g = math.fsum(run.operational_g * (1 - (run.cleanest_ratio or 1)) for run in movable)
        if best_g > 0:
            yield Finding(
                Kind.COULD_HAVE_WAITED,
                workload_id,
                0,
                Interval(best_g * 0.8, best_g * 0.4, best_g),
                {"runs": len(movable), "busy_share": busy_ms / window_ms},
            )


def _busy_ms(runs: Sequence[RunUse]) -> int:
    """Time in which any of them ran."""
    busy_ms = until_ms = 0
    for run in sorted(runs, key=lambda run: run.start_ms):
        busy_ms += max(0, run.end_ms - max(until_ms, run.start_ms))
        until_ms = max(until_ms, run.end_ms)
    return busy_ms


def _zones(
    hours: Iterable[UseHour], zones: Mapping[int, str], zone_g: Mapping[str, float]
) -> Iterable[Finding]:
    """Work of those that run in a cleaner zone, too, and so could run there altogether."""
    places: dict[int, dict[str, list[UseHour]]] = {}
    for hour in hours:
        zone = zones.get(hour.device_id, "")
        if hour.workload_id and zone in zone_g:
            places.setdefault(hour.workload_id, {}).setdefault(zone, []).append(hour)
    for workload_id, by_zone in places.items():
        cleanest = min(by_zone, key=lambda zone: (zone_g[zone], zone))
        for zone, own in by_zone.items():
            saved_g = _kwh(own) * (zone_g[zone] - zone_g[cleanest])
            if saved_g > 0:
                yield Finding(
                    Kind.DIRTIER_ZONE,
                    workload_id,
                    0,
                    Interval(saved_g, saved_g * 0.7, saved_g * 1.1),
                    {
                        "zone": zone,
                        "cleaner_zone": cleanest,
                        "g_per_kwh": zone_g[zone],
                        "cleaner_g_per_kwh": zone_g[cleanest],
                    },
                )


def _trends(trends: Iterable[UnitTrend], totals_g: Mapping[int, float]) -> Iterable[Finding]:
    for trend in trends:
        total_g = totals_g.get(trend.workload_id, 0.0)
        evidence = {f"{trend.unit}_per_{trend.per}": trend.ratio_now}
        if trend.unit == "token" and trend.ratio_now > _GROWTH * trend.ratio_before > 0:
            part = 1 - trend.ratio_before / trend.ratio_now
            told = {**evidence, "before": trend.ratio_before}
            saved = Interval(total_g * part * 0.7, total_g * part * 0.3, total_g * part)
            yield Finding(Kind.OUTPUT_GROWTH, trend.workload_id, 0, saved, told)
        if trend.per == "batch" and 0 < trend.ratio_now < _SMALL_BATCH:
            saved = Interval(total_g * 0.3, total_g * 0.1, total_g * 0.8)
            yield Finding(Kind.SMALL_BATCH, trend.workload_id, 0, saved, evidence)


def _full_precision(
    hours: Iterable[UseHour], models: Mapping[int, str], precisions: Mapping[int, str]
) -> Iterable[Finding]:
    """fp32 where tensor cores would take halves. An eighth of the energy was saved on small
    networks; more where matrices are large, and nothing where they are not."""
    by_workload: dict[int, list[UseHour]] = {}
    for hour in hours:
        precision = precisions.get(hour.workload_id, "")
        if is_full(precision) and has_tensor_cores(models.get(hour.device_id, "")):
            by_workload.setdefault(hour.workload_id, []).append(hour)
    for workload_id, own in by_workload.items():
        total_g = grams(sum(hour.operational_ng for hour in own))
        told = {"precision": precisions[workload_id], "tensor_core_hours": _hours(own)}
        saved = Interval(total_g * 0.12, 0.0, total_g * 0.5)
        yield Finding(Kind.FULL_PRECISION, workload_id, 0, saved, told)


def _kwh(hours: Iterable[UseHour]) -> float:
    return sum(hour.energy_mj for hour in hours) / MJ_PER_KWH


def _hours(hours: Iterable[UseHour]) -> float:
    return sum(hour.covered_ms for hour in hours) / MS_PER_HOUR


def _mean_w(hours: Sequence[UseHour]) -> float:
    return sum(hour.energy_mj for hour in hours) / sum(hour.covered_ms for hour in hours)
