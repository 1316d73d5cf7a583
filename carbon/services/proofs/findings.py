"""What the ledger shows of waste: the hours, runs and counts that recommendations are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection

from carbon.domain.intensity import PointKind, mean_g_per_kwh
from carbon.domain.recommendations import (
    LONGEST_RUN_MS,
    Finding,
    RunUse,
    UnitTrend,
    UseHour,
    episodes,
    findings,
)
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, grams
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_windows
from carbon.services.grid.intensity import points_of
from carbon.services.proofs.stated_precision import stated_precisions
from carbon.storage.ledger_rows import devices_by_id
from carbon.storage.unit_counts import counts_between, units_of
from carbon.storage.use import run_sums, use_hours, zones_of_devices

_WEEK_MS: Final = 7 * MS_PER_DAY


def find(connection: Connection, ids: list[int], start_ms: int, end_ms: int) -> list[Finding]:
    """Of some workloads in a window, both ends on hours."""
    if not ids:
        return []
    hours = use_hours(connection, start_ms, end_ms, ids)
    devices = devices_by_id(connection, sorted({hour.device_id for hour in hours}))
    zones = zones_of_devices(connection, start_ms, end_ms, ids)
    zone_g = {zone: _mean_g(connection, zone, start_ms, end_ms) for zone in set(zones.values())}
    models = {id_: f"{ref.kind} {ref.model}" for id_, ref in devices.items()}
    runs = _runs(connection, ids, hours, models, zones, (start_ms, end_ms))
    return findings(
        hours,
        models,
        runs,
        {zone: g for zone, g in zone_g.items() if g is not None},
        zones,
        [trend for id_ in ids for trend in _trends(connection, id_, start_ms, end_ms)],
        end_ms - start_ms,
        stated_precisions(connection, ids),
    )


def _mean_g(connection: Connection, zone: str, start_ms: int, end_ms: int) -> float | None:
    return mean_g_per_kwh(points_of(connection, zone, start_ms, end_ms), start_ms, end_ms)


#: (workload, zone, start, end, mJ, g)
_Stretch = tuple[int, str, int, int, int, float]


def _runs(
    connection: Connection,
    ids: list[int],
    hours: Sequence[UseHour],
    models: Mapping[int, str],
    zones: Mapping[int, str],
    window: tuple[int, int],
) -> list[RunUse]:
    """The runs of each workload; where nobody named any, its hours of work in a row."""
    named = [
        (workload_id, zone, lo, hi, energy_mj, grams(ng))
        for workload_id, lo, hi, energy_mj, ng, zone in run_sums(connection, *window, ids)
    ]
    with_runs = {stretch[0] for stretch in named}
    rows = [
        (
            workload_id,
            zones[device_id],
            row[0].start_ms,
            row[-1].start_ms + MS_PER_HOUR,
            sum(hour.energy_mj for hour in row),
            grams(sum(hour.operational_ng for hour in row)),
        )
        for workload_id, device_id, row in episodes(hours, models)
        if workload_id not in with_runs
    ]
    by_zone: dict[str, list[_Stretch]] = {}
    for stretch in (*named, *rows):
        by_zone.setdefault(stretch[1], []).append(stretch)
    return [
        RunUse(workload_id, lo, hi, energy_mj, g, ratio)
        for zone, own in sorted(by_zone.items())
        for (workload_id, _, lo, hi, energy_mj, g), ratio in zip(
            own, _ratios(_grid(connection, zone, *window), own), strict=True
        )
    ]


def _ratios(grid: IntensitySeries | None, runs: Sequence[_Stretch]) -> list[float | None]:
    """The cleanest start within a day over the run's own time; None where it could not wait or
    the grid is not known."""
    ratios: list[float | None] = [None] * len(runs)
    short = [n for n, run in enumerate(runs) if 0 < run[3] - run[2] <= LONGEST_RUN_MS]
    if grid is None or not short:
        return ratios
    start_ms = np.array([runs[n][2] for n in short])
    end_ms = np.array([runs[n][3] for n in short])
    own = best_windows(grid, start_ms, end_ms, end_ms - start_ms).mean_g_per_kwh
    best = best_windows(grid, start_ms, end_ms + MS_PER_DAY, end_ms - start_ms).mean_g_per_kwh
    for n, ratio in zip(short, best / own, strict=True):
        ratios[n] = None if np.isnan(ratio) else float(ratio)
    return ratios


def _grid(connection: Connection, zone: str, start_ms: int, end_ms: int) -> IntensitySeries | None:
    """Only what was measured of the grid: a yearly figure knows no clean hour."""
    points = [
        point
        for point in points_of(connection, zone, start_ms, end_ms)
        if point.kind in (PointKind.ACTUAL, PointKind.ESTIMATED)
    ]
    return IntensitySeries.of(points) if points else None


def _trends(
    connection: Connection, workload_id: int, start_ms: int, end_ms: int
) -> list[UnitTrend]:
    units = units_of(connection, workload_id)
    found = []
    for unit, per in (("token", "request"), ("request", "batch")):
        if unit not in units or per not in units:
            continue
        mark_ms = end_ms - _WEEK_MS
        before, now = (
            [_count(connection, units[name], lo, hi) for name in (unit, per)]
            for lo, hi in ((start_ms, mark_ms), (mark_ms, end_ms))
        )
        if now[1]:
            earlier = before[0] / before[1] if before[1] else 0.0
            found.append(UnitTrend(workload_id, per, unit, earlier, now[0] / now[1]))
    return found


def _count(connection: Connection, unit_id: int, start_ms: int, end_ms: int) -> int:
    return sum(count for _, _, count in counts_between(connection, unit_id, start_ms, end_ms))
