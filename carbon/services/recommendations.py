"""Recommendations: what the ledger suggests, what people decided, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.intensity import PointKind, mean_g_per_kwh
from carbon.domain.principal import Principal
from carbon.domain.recommendations import (
    LONGEST_RUN_MS,
    REMEDY,
    Finding,
    Kind,
    RunUse,
    UnitTrend,
    UseHour,
    episodes,
    findings,
)
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to, grams
from carbon.errors import InvalidInput, NotFound
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_windows
from carbon.services.context import Context
from carbon.services.intensity import points_of
from carbon.services.rollup import roll_up
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id, workload_names
from carbon.storage.ledger_rows import DeviceRef, devices_by_id
from carbon.storage.recommendation_marks import add_mark, newest_marks
from carbon.storage.unit_counts import counts_between, units_of
from carbon.storage.use import run_sums, use_hours, zones_of_devices
from carbon.wire.recommendations import (
    FollowUp,
    MarkBody,
    Recommendation,
    RecommendationList,
    SuggestedExperiment,
)

WINDOW_MS: Final = 28 * MS_PER_DAY
_WEEK_MS: Final = 7 * MS_PER_DAY
NOT_SEEN: Final = (
    "training in fp32 where tensor cores are: no counter of ours tells the precision",
    "memory of devices: a parked context is told by its power alone",
    "batch sizes, where no unit named batch is counted",
)


def recommendations(
    context: Context,
    principal: Principal,
    state: str | None = "open",
    window_ms: int = WINDOW_MS,
) -> RecommendationList:
    """Of the last 28 days, greatest saving first; `state` None shows dismissed and adopted, too.

    Raises InvalidInput(`unknown_state`).
    """
    if state not in (None, "open", "dismissed", "adopted"):
        raise InvalidInput("unknown_state", "state is open, dismissed or adopted")
    end_ms = floor_to(context.clock.now_ms(), MS_PER_HOUR)
    start_ms = end_ms - window_ms
    made = _made(context, principal, start_ms, end_ms)
    shown = [one for one in made if state in (None, one.state)]
    return RecommendationList(to_rfc3339(start_ms), to_rfc3339(end_ms), shown, list(NOT_SEEN))


def mark_recommendation(
    context: Context, principal: Principal, id_: str, body: MarkBody
) -> Recommendation:
    """Dismisses, adopts or opens again. Raises NotFound(`unknown_recommendation`)."""
    end_ms = floor_to(context.clock.now_ms(), MS_PER_HOUR)
    made = _made(context, principal, end_ms - WINDOW_MS, end_ms)
    found = next((one for one in made if one.id == id_), None)
    if found is None:
        raise NotFound("unknown_recommendation", f"no recommendation {id_!r}")
    name = principal.workload(found.workload)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        names = {str(known): key for key, known in workload_names(connection, name.team)}
        add_mark(
            connection,
            recommendation=id_,
            team_id=team_id(connection, name.team, now_ms),
            workload_id=names[found.workload],
            kind=found.kind,
            state=body.state,
            reason=body.reason,
            g_per_day=found.saving_g * MS_PER_DAY / WINDOW_MS,
            marked_ms=now_ms,
            actor=principal.key_id,
        )
    return next(one for one in _made(context, principal, end_ms - WINDOW_MS, end_ms, id_))


def _made(
    context: Context, principal: Principal, start_ms: int, end_ms: int, only: str | None = None
) -> list[Recommendation]:
    roll_up(context, end_ms=end_ms)
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        names = dict(workload_names(connection, team))
        marks = newest_marks(connection)
        found, devices = _found(connection, names, start_ms, end_ms)
        made = [_answer(one, names, devices, marks) for one in found]
        made += _vanished(connection, names, marks, {one.id for one in made})
        followed = [_followed(connection, names, one, marks, end_ms) for one in made]
    return [one for one in followed if only in (None, one.id)]


def _found(
    connection: Connection, names: Mapping[int, WorkloadName], start_ms: int, end_ms: int
) -> tuple[list[Finding], Mapping[int, DeviceRef]]:
    ids = list(names)
    if not ids:
        return [], {}
    hours = use_hours(connection, start_ms, end_ms, ids)
    devices = devices_by_id(connection, sorted({hour.device_id for hour in hours}))
    zones = zones_of_devices(connection, start_ms, end_ms, ids)
    zone_g = {zone: _mean_g(connection, zone, start_ms, end_ms) for zone in set(zones.values())}
    models = {id_: f"{ref.kind} {ref.model}" for id_, ref in devices.items()}
    runs = _runs(connection, ids, hours, models, zones, (start_ms, end_ms))
    found = findings(
        hours,
        models,
        runs,
        {zone: g for zone, g in zone_g.items() if g is not None},
        zones,
        [trend for id_ in ids for trend in _trends(connection, id_, start_ms, end_ms)],
        end_ms - start_ms,
    )
    return found, devices


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


def _answer(
    found: Finding,
    names: Mapping[int, WorkloadName],
    devices: Mapping[int, DeviceRef],
    marks: Mapping[str, Mapping[str, Any]],
) -> Recommendation:
    workload = str(names[found.workload_id])
    device = devices[found.device_id].uuid if found.device_id else None
    id_ = found.key(workload)
    mark = marks.get(id_, {})
    saving = found.saving_g
    return Recommendation(
        id_,
        found.kind,
        workload,
        device,
        saving.value,
        saving.low,
        saving.high,
        dict(found.evidence),
        found.technique,
        SuggestedExperiment(found.technique, REMEDY[found.kind][1]),
        mark.get("state", "open"),
        mark.get("reason", ""),
        None,
    )


def _vanished(
    connection: Connection,
    names: Mapping[int, WorkloadName],
    marks: Mapping[str, Mapping[str, Any]],
    seen: set[str],
) -> list[Recommendation]:
    """Adopted ones whose waste is no longer found: the remedy worked, and that is shown."""
    gone = [
        (id_, mark)
        for id_, mark in marks.items()
        if mark["state"] == "adopted" and id_ not in seen and mark["workload_id"] in names
    ]
    return [
        Recommendation(
            id_,
            mark["kind"],
            str(names[mark["workload_id"]]),
            None,
            0.0,
            0.0,
            0.0,
            {},
            REMEDY[Kind(mark["kind"])][0],
            SuggestedExperiment(*REMEDY[Kind(mark["kind"])]),
            "adopted",
            mark["reason"],
            None,
        )
        for id_, mark in gone
    ]


def _followed(
    connection: Connection,
    names: Mapping[int, WorkloadName],
    one: Recommendation,
    marks: Mapping[str, Mapping[str, Any]],
    end_ms: int,
) -> Recommendation:
    """With what was measured since it was adopted."""
    if one.state != "adopted":
        return one
    mark = marks[one.id]
    since_ms = floor_to(mark["marked_ms"] + MS_PER_HOUR, MS_PER_HOUR)
    after = None
    if end_ms - since_ms >= MS_PER_DAY:
        own = {key: name for key, name in names.items() if str(name) == one.workload}
        found, devices = _found(connection, own, since_ms, end_ms)
        still = [_answer(f, own, devices, {}) for f in found]
        waste_g = sum(again.saving_g for again in still if again.id == one.id)
        after = waste_g * MS_PER_DAY / (end_ms - since_ms)
    follow_up = FollowUp(to_rfc3339(mark["marked_ms"]), mark["g_per_day"], after)
    return msgspec.structs.replace(one, follow_up=follow_up)
