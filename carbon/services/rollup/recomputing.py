"""Months of teams computed anew from their raw readings, sealed ones too: what the ledger says of
them, and what readings, claims and prices of today give. One task a team and month, which can run
anywhere that reaches the database and the cold tier; whole numbers, so it does not matter where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import Connection

from carbon.clock import SystemClock, to_rfc3339
from carbon.domain.civil import civil_month
from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, QUARTER_MS
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.rollup.bucket_roller import BucketRoller
from carbon.services.rollup.raw_readings import has_readings
from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading
from carbon.storage.identities import workload_names
from carbon.storage.ratings import Ratings
from carbon.storage.recomputing import quarters_of_workloads

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class TeamMonth:
    """A team's part of a civil month that lies in the window."""

    team: str
    workload_ids: tuple[int, ...]
    start_ms: int
    end_ms: int


class Recomputed(Struct, frozen=True):
    """What quarter-hours say, and what their readings give."""

    team: str
    start: str
    end: str
    #: Quarter-hours of devices in which the team's workloads have rows.
    quarters: int
    #: Of these the ones whose readings are nowhere: as imported sums; they are left out of both.
    without_readings: int
    energy_mj: int
    operational_ng: int
    recomputed_energy_mj: int
    recomputed_operational_ng: int


@dataclass(frozen=True, slots=True)
class Priced:
    signal: Signal = Signal.AVERAGE
    scope: EmissionScope | None = None


def recompute(
    context: Context, start_ms: int, end_ms: int, priced: Priced, each: Each = map
) -> list[Recomputed]:
    """By team and month. Raises InvalidInput: `end_before_start`, `missing_intensity`, and
    `memory_database` where no other process could open it."""
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    url = context.engine.url
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise InvalidInput("memory_database", "the database is in memory: nobody else reads it")
    shared = (url.render_as_string(hide_password=False), context.settings, priced)
    return list(each(partial(_of_month, shared), team_months(context, start_ms, end_ms)))


def team_months(context: Context, start_ms: int, end_ms: int) -> list[TeamMonth]:
    """In order of team and time; months are those of CARBON_TIMEZONE, cut by the window."""
    with reading(context.engine) as connection:
        by_team: dict[str, list[int]] = {}
        for workload_id, name in workload_names(connection, None):
            by_team.setdefault(name.team, []).append(workload_id)
    months = []
    at = start_ms
    while at < end_ms:
        _, next_ms = civil_month(at, ZoneInfo(context.settings.timezone))
        months.append((at, min(next_ms, end_ms)))
        at = next_ms
    return [
        TeamMonth(team, tuple(sorted(by_team[team])), *month)
        for team in sorted(by_team)
        for month in months
    ]


def _of_month(shared: tuple[str, Settings, Priced], task: TeamMonth) -> Recomputed:
    url, settings, priced = shared
    engine = create_engine(url)
    try:
        context = Context(engine, settings, SystemClock())
        return _Month(context, priced, task).recomputed()
    finally:
        engine.dispose()


class _Month:
    def __init__(self, context: Context, priced: Priced, task: TeamMonth) -> None:
        self._context, self._priced, self._task = context, priced, task
        self._own = frozenset(task.workload_ids)

    def recomputed(self) -> Recomputed:
        task = self._task
        sums = [0] * 6
        for lo in range(task.start_ms, task.end_ms, MS_PER_DAY):
            hi = min(lo + MS_PER_DAY, task.end_ms)
            with reading(self._context.engine) as connection:
                sums = [a + b for a, b in zip(sums, self._of_day(connection, lo, hi), strict=True)]
        window = to_rfc3339(task.start_ms), to_rfc3339(task.end_ms)
        return Recomputed(task.team, *window, *sums)

    def _of_day(self, connection: Connection, start_ms: int, end_ms: int) -> Sequence[int]:
        """As the fields of Recomputed have them."""
        ratings = Ratings(connection, may_store=False)
        known = quarters_of_workloads(connection, start_ms, end_ms, self._own)
        sums = [0] * 6
        for at, devices in known.items():
            sums[0] += len(devices)
            if not has_readings(self._context, connection, at, at + QUARTER_MS):
                sums[1] += len(devices)
                continue
            found = self._of_quarter(connection, ratings, list(devices), at)
            for device, (energy_mj, ng) in devices.items():
                if device not in found:
                    sums[1] += 1
                    continue
                for place, value in enumerate((energy_mj, ng, *found[device]), 2):
                    sums[place] += value
        return sums

    def _of_quarter(
        self, connection: Connection, ratings: Ratings, devices: list[int], at_ms: int
    ) -> dict[int, tuple[int, int]]:
        """Device → (mJ, ng) of the team, of those that have readings."""
        found: dict[int, tuple[int, int]] = {}
        for start_ms in range(at_ms, at_ms + QUARTER_MS, BUCKET_MS):
            span = (start_ms, start_ms + BUCKET_MS)
            roller = BucketRoller.load(
                self._context,
                connection,
                ratings,
                devices,
                *span,
                self._priced.signal,
                self._priced.scope,
            )
            for device in devices:
                _, rows = roller.rows(device)
                own = [row for row in rows if row.workload in self._own]
                if rows:
                    energy_mj, ng = found.get(device, (0, 0))
                    energy_mj += sum(row.energy_mj for row in own)
                    found[device] = energy_mj, ng + sum(row.operational_ng for row in own)
        return found
