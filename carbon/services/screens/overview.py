"""What the dashboard's first page says: one answer, for the page and for its JSON twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.domain.yearly import WORLD, normal_zone
from carbon.services.context import Context
from carbon.services.fleet.live_power import LivePower, live_power
from carbon.services.grid.intensity import known_zone
from carbon.services.grid.outlook import Outlook, outlook
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.recent_scores import recent_scores
from carbon.services.sci.scores import Scores
from carbon.services.sci.today import Today, today
from carbon.services.screens.budgets import worst_budgets
from carbon.services.screens.last_days import LastDays, last_days
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.places import Place, Places
from carbon.storage.recent import JobRow, count_devices, latest_jobs
from carbon.wire.budgets import BudgetAnswer

_MOST_JOBS: Final = 12
_MOST_BUDGETS: Final = 3


class JobLine(Struct, frozen=True):
    job: str
    name: str
    workload: str
    state: str
    reason: str
    #: Begun, else planned; null where neither.
    start_ms: int | None
    end_ms: int | None
    has_begun: bool
    deadline_ms: int
    zone: str | None
    #: Of the plan: grams against starting at once.
    expected_saving_g: float | None
    #: Booked after the run.
    credited_g: float | None
    saving_flags: list[str]


class Overview(Struct, frozen=True):
    generated_ms: int
    timezone: str
    #: Null for who sees all teams.
    team: str | None
    #: Zones of the known devices, most devices first.
    zones: list[str]
    power: LivePower
    today: Today
    last_days: LastDays
    intensity: Outlook
    sci: Scores
    jobs: list[JobLine]
    #: In force, the worst standing first.
    budgets: list[BudgetAnswer]


def overview(context: Context, principal: Principal, zone: str | None = None) -> Overview:
    """The first page for a principal; `zone` chooses whose intensity is shown.

    Raises NotFound(`unknown_zone`).
    """
    now_ms = context.clock.now_ms()
    settings = context.settings
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        chosen = known_zone(connection, zone) if zone else None
        names = {id_: str(name) for id_, name in workload_names(connection, team)}
        devices = count_devices(connection)
    roll_up(context, end_ms=now_ms)
    sci = recent_scores(context, principal, names, devices)
    with reading(context.engine) as connection:
        own = None if team is None else frozenset(names)
        places = Places.read(connection)
        power = live_power(connection, now_ms, own)
        day = today(connection, now_ms, ZoneInfo(settings.timezone), names, team is None)
        jobs = latest_jobs(connection, team, _MOST_JOBS)
    places_now = list(places.at(now_ms, settings.zone).values())
    zones = _zones(places_now, settings.zone)
    shown = chosen or zones[0]
    return Overview(
        now_ms,
        settings.timezone,
        team,
        zones,
        power,
        day,
        last_days(context, principal, places),
        outlook(context, shown, _zone_flags(places_now, shown)),
        sci,
        [_job_line(row) for row in jobs],
        worst_budgets(context, principal, _MOST_BUDGETS),
    )


def job_lines(context: Context, principal: Principal, limit: int) -> list[JobLine]:
    """The principal's jobs: those that run or wait by their start, then the latest ended."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        return [_job_line(row) for row in latest_jobs(connection, team, limit)]


def _zones(places: Sequence[Place], default_zone: str | None) -> list[str]:
    count: dict[str, int] = {}
    for place in places:
        count[place.zone] = count.get(place.zone, 0) + 1
    ranked = sorted(count, key=lambda zone: (-count[zone], zone))
    return ranked or [normal_zone(default_zone) if default_zone else WORLD]


def _zone_flags(places: Sequence[Place], zone: str) -> list[str]:
    """What is to be said of a zone for the devices that stand in it."""
    flags = {flag for place in places if place.zone == zone for flag in place.flags}
    if not places and zone == WORLD:
        flags.add("zone_unknown")
    return sorted(flags)


def _job_line(row: JobRow) -> JobLine:
    planned = row.expected_g is not None and row.start_now_g is not None
    return JobLine(
        job=row.job,
        name=row.name,
        workload=f"{row.team}/{row.workload}",
        state=row.state,
        reason=row.reason,
        start_ms=row.start_ms if row.start_ms is not None else row.planned_start_ms,
        end_ms=row.end_ms if row.start_ms is not None else row.planned_end_ms,
        has_begun=row.start_ms is not None,
        deadline_ms=row.deadline_ms,
        zone=row.zone,
        expected_saving_g=(row.start_now_g or 0.0) - (row.expected_g or 0.0) if planned else None,
        credited_g=row.credited_g,
        saving_flags=[flag for flag in (row.saving_flags or "").split(",") if flag],
    )
