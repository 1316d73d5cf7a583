"""Runs of CodeCarbon's trackers, what they claim, and what the ledger makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from carbon.clock import to_rfc3339
from carbon.domain.emissions import operational_ng
from carbon.domain.intensity import RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_S, kwh
from carbon.domain.yearly import WORLD
from carbon.errors import InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.grid.intensity import points_of
from carbon.services.trackers.deltas import emission_id, emission_key
from carbon.storage import trackers
from carbon.storage.engine import reading
from carbon.storage.names import meter
from carbon.storage.places import places_at
from carbon.storage.trackers import TrackerRun

Json = dict[str, Any]

#: A tracker sends every 120 s unless told otherwise; one that misses three ends is over.
_USUAL_MS = 120_000
_MISSED = 3
_MOST_RUNS = 1_000
_KG_PER_NG = 1e-12


def runs(
    context: Context,
    principal: Principal,
    experiment_id: str | None = None,
    project_id: str | None = None,
    team: str | None = None,
) -> list[Json]:
    """The latest first. What an orphan is, a run opened and never heard of, is left out."""
    own = team if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        found = trackers.runs_of(connection, own, experiment_id, project_id, _MOST_RUNS)
        return [_told(context, connection, run) for run in found if run.emissions]


def one_run(context: Context, principal: Principal, run_id: str) -> Json:
    with reading(context.engine) as connection:
        return _told(context, connection, _own_run(connection, principal, run_id))


def emissions(context: Context, principal: Principal, run_id: str, page: int, size: int) -> Json:
    """A page of a run's deltas as they were sent, each with what it emits by our intensity."""
    with reading(context.engine) as connection:
        run = _own_run(connection, principal, run_id)
        rows, total = trackers.emissions_of(connection, run.number, (page - 1) * size, size)
        price = _pricing(context, connection, run)
        items = [_delta(run, row, price) for row in rows]
    return {"items": items, "total": total, "page": page, "size": size, "pages": -(-total // size)}


def one_emission(context: Context, principal: Principal, id_: str) -> Json:
    number, end_ms = emission_key(id_)
    with reading(context.engine) as connection:
        run = trackers.run_of_number(connection, number)
        row = trackers.find_emission(connection, number, end_ms) if run else None
        if run is None or row is None or not _is_own(principal, run):
            raise NotFound("unknown_emission", f"no emission {id_!r}")
        return _delta(run, row, _pricing(context, connection, run))


def sums(told: Sequence[Json], **identity: Any) -> Json:
    """Of some runs: what CodeCarbon's dashboards add up, theirs and ours."""
    added = {
        key: sum(run[key] for run in told)
        for key in ("emissions", "emissions_recomputed", "energy_consumed", "duration")
    }
    for part in ("cpu", "gpu", "ram"):
        added[f"{part}_energy"] = sum(run[f"{part}_energy"] for run in told)
    duration_s = added["duration"]
    return {
        **identity,
        **added,
        "emissions_rate": added["emissions"] / duration_s if duration_s else 0.0,
        "emissions_count": sum(run["emissions_count"] for run in told),
    }


def _own_run(connection: Connection, principal: Principal, run_id: str) -> TrackerRun:
    run = trackers.find_run(connection, run_id)
    if run is None or not _is_own(principal, run):
        raise NotFound("unknown_run", f"no run {run_id!r}")
    return run


def _is_own(principal: Principal, run: TrackerRun) -> bool:
    return principal.sees_all_teams or run.team == principal.team


def _told(context: Context, connection: Connection, run: TrackerRun) -> Json:
    price = _pricing(context, connection, run)
    rows, _ = trackers.emissions_of(connection, run.number, 0, 1_000_000)
    bodies = [msgspec.json.decode(row.body) for row in rows]
    closed_ms = _closed_ms(run, rows, context.clock.now_ms())
    parts = {
        f"{part}_energy": sum(body.get(f"{part}_energy") or 0.0 for body in bodies)
        for part in ("cpu", "gpu", "ram")
    }
    return {
        **msgspec.json.decode(run.details),
        "id": run.id,
        "team": run.team,
        "duration": sum(row.span_ms for row in rows) / MS_PER_S,
        "emissions": run.claimed_ng * _KG_PER_NG,
        "emissions_recomputed": sum(price(row) for row in rows) * _KG_PER_NG,
        "energy_consumed": kwh(run.energy_mj),
        **parts,
        "emissions_count": run.emissions,
        "host": run.host,
        "counted_by": "agent" if run.host else "tracker",
        "started_at": to_rfc3339(run.first_start_ms or run.created_ms),
        "state": "open" if closed_ms is None else "closed",
        "closed_at": to_rfc3339(closed_ms) if closed_ms is not None else None,
    }


def _closed_ms(run: TrackerRun, rows: Sequence[Row[Any]], now_ms: int) -> int | None:
    """No tracker says that it ends: one that is silent for three of its intervals has ended with
    its last delta."""
    last_ms = run.last_end_ms or run.created_ms
    usual_ms = max((row.span_ms for row in rows), default=_USUAL_MS)
    return last_ms if now_ms - last_ms > _MISSED * usual_ms else None


def _delta(run: TrackerRun, row: Row[Any], price: Callable[[Row[Any]], int]) -> Json:
    return {
        **msgspec.json.decode(row.body),
        "id": emission_id(run.number, row.end_ms),
        "start": to_rfc3339(row.end_ms - row.span_ms),
        "end": to_rfc3339(row.end_ms),
        "emissions_recomputed": price(row) * _KG_PER_NG,
    }


def _pricing(
    context: Context, connection: Connection, run: TrackerRun
) -> Callable[[Row[Any]], int]:
    """What a delta emits, ng, by the intensity of its place and minutes."""
    devices = connection.scalars(
        select(meter.c.device_id).where(meter.c.source_id == run.source_id)
    ).all()
    start_ms = run.first_start_ms or run.created_ms
    end_ms = run.last_end_ms or start_ms
    places = places_at(connection, devices, start_ms, context.settings.zone)
    place = next(iter(places.values()), None)
    zone = place.zone if place else context.settings.zone or WORLD
    pue = place.pue if place else 1.0
    points: Sequence[RatedPoint] = points_of(
        connection, zone, start_ms, max(end_ms, start_ms + 1), Signal.AVERAGE, None
    )

    def price(row: Row[Any]) -> int:
        g_per_kwh = mean_g_per_kwh(points, row.end_ms - row.span_ms, row.end_ms)
        if g_per_kwh is None:
            raise InvalidInput("missing_intensity", f"no intensity is stored for {zone}")
        return operational_ng(row.energy_mj, g_per_kwh, pue)

    return price
