"""How sure the figures of a time range are: what was measured, what was priced with what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.units import MJ_PER_KWH
from carbon.services.context import Context
from carbon.services.fleet.hosts import list_hosts
from carbon.services.ingest.import_quality import troubles_in
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.held_sums import held_sums
from carbon.services.sci.time_range import TimeRange
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.period_sums import PeriodSum
from carbon.storage.ratings import Rating, ratings
from carbon.storage.screens import count_conflicts, count_quarantined
from carbon.wire.hosts import HostList
from carbon.wire.quality import TroubleLine


class Part(Struct, frozen=True):
    """A share of the energy of a time range."""

    name: str
    energy_kwh: float
    share: float
    is_measured: bool


class Price(Struct, frozen=True):
    zone: str
    source: str
    kind: str
    signal: str
    scope: str
    flags: list[str]
    share: float


class Modelled(Struct, frozen=True):
    """A workload with energy that no sensor backs."""

    workload: str
    energy_kwh: float
    modelled_share: float


class Quality(Struct, frozen=True):
    start_ms: int
    end_ms: int
    timezone: str
    energy_kwh: float
    measured_share: float | None
    #: Of the energy: priced with a yearly figure, or with a typical or foretold one.
    yearly_share: float | None
    unsettled_share: float | None
    #: Of the energy: claimed by no workload.
    unclaimed_share: float | None
    methods: list[Part]
    prices: list[Price]
    modelled: list[Modelled]
    #: Intervals kept aside because they contradict what was acknowledged first; null for a team.
    conflicts: int | None
    #: Intensity points refused by validation, ever.
    quarantined: int
    #: What was wrong with what other tools sent, and is in no total; null for a team.
    troubles: list[TroubleLine] | None
    #: Of what registered hosts should have reported; null for a team, or where none is registered.
    completeness: float | None
    silent_hosts: int | None


def quality(context: Context, principal: Principal, window: TimeRange) -> Quality:
    roll_up(context, end_ms=window.end_ms)
    own = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        names = {id_: str(name) for id_, name in workload_names(connection, own)}
        chosen = None if own is None else list(names)
        rows = held_sums(connection, window, window.whole_ms, chosen)
        priced_by = ratings(connection)
        conflicts = troubles = None
        if own is None:
            troubles = troubles_in(connection, window.start_ms, window.end_ms)
            conflicts = count_conflicts(connection, window.start_ms, window.end_ms)
        refused = count_quarantined(connection)
    whole = sum(row.energy_mj for row in rows)
    hosts = _hosts(context, window) if own is None else None

    def share(found: Iterable[PeriodSum]) -> float | None:
        return sum(row.energy_mj for row in found) / whole if whole else None

    return Quality(
        window.start_ms,
        window.end_ms,
        context.settings.timezone,
        whole / MJ_PER_KWH,
        share(row for row in rows if Method(row.method).is_measured),
        share(row for row in rows if priced_by[row.rating].kind == "yearly"),
        share(row for row in rows if priced_by[row.rating].kind not in ("yearly", "actual")),
        share(row for row in rows if row.workload not in names),
        _methods(rows, whole),
        _prices(rows, priced_by, whole),
        _modelled(rows, names),
        conflicts,
        refused,
        troubles,
        hosts.completeness if hosts else None,
        hosts.silent if hosts else None,
    )


def _hosts(context: Context, window: TimeRange) -> HostList:
    """Of the part of the window that is over: nobody can have reported the rest."""
    end_ms = min(window.end_ms, context.clock.now_ms())
    return list_hosts(context, window.start_ms, max(end_ms, window.start_ms + 1), from_settled=True)


def _methods(rows: list[PeriodSum], whole_mj: int) -> list[Part]:
    energy: dict[Method, int] = defaultdict(int)
    for row in rows:
        energy[Method(row.method)] += row.energy_mj
    return [
        Part(method.label, mj / MJ_PER_KWH, mj / whole_mj, method.is_measured)
        for method, mj in sorted(energy.items())
        if mj
    ]


def _prices(rows: list[PeriodSum], priced_by: dict[int, Rating], whole_mj: int) -> list[Price]:
    energy: dict[int, int] = defaultdict(int)
    for row in rows:
        energy[row.rating] += row.energy_mj
    return [
        Price(
            (r := priced_by[rating]).zone,
            r.source,
            r.kind,
            r.signal,
            r.scope,
            list(r.flags),
            mj / whole_mj,
        )
        for rating, mj in sorted(energy.items(), key=lambda item: -item[1])
        if mj
    ]


def _modelled(rows: list[PeriodSum], names: dict[int, str]) -> list[Modelled]:
    energy: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.workload in names:
            energy[row.workload][0] += row.energy_mj
            energy[row.workload][1] += 0 if Method(row.method).is_measured else row.energy_mj
    lines = [
        Modelled(names[workload], whole / MJ_PER_KWH, modelled / whole)
        for workload, (whole, modelled) in energy.items()
        if modelled
    ]
    return sorted(lines, key=lambda line: -line.energy_kwh * line.modelled_share)[:50]
