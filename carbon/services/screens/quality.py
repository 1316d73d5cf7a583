"""How sure the figures of a time range are: what was measured, what was priced with what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct

from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.units import MJ_PER_KWH
from carbon.services.context import Context
from carbon.services.fleet.hosts import list_hosts
from carbon.services.ingest.import_quality import troubles_in
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.score_columns import exact_sum, exact_sums, first_seen
from carbon.services.sci.time_range import TimeRange
from carbon.storage.columns import Ints
from carbon.storage.engine import reading
from carbon.storage.identities import workload_names
from carbon.storage.period_sums import PeriodSums, period_sums
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
        timezone = ZoneInfo(context.settings.timezone)
        span = (window.start_ms, window.end_ms, window.whole_ms)
        rows = period_sums(connection, *span, timezone, window.is_daily, chosen)
        priced_by = ratings(connection)
        conflicts = troubles = None
        if own is None:
            troubles = troubles_in(connection, window.start_ms, window.end_ms)
            conflicts = count_conflicts(connection, window.start_ms, window.end_ms)
        refused = count_quarantined(connection)
    whole = exact_sum(rows.energy_mj)
    by_method = {Method(id_): mj for id_, mj in _energy(rows, rows.method).items()}
    by_rating, by_workload = _energy(rows, rows.rating), _energy(rows, rows.workload)
    hosts = _hosts(context, window) if own is None else None

    def share(found: Iterable[int]) -> float | None:
        return sum(found) / whole if whole else None

    return Quality(
        window.start_ms,
        window.end_ms,
        context.settings.timezone,
        whole / MJ_PER_KWH,
        share(mj for method, mj in by_method.items() if method.is_measured),
        share(mj for id_, mj in by_rating.items() if priced_by[id_].kind == "yearly"),
        share(
            mj for id_, mj in by_rating.items() if priced_by[id_].kind not in ("yearly", "actual")
        ),
        share(mj for id_, mj in by_workload.items() if id_ not in names),
        _methods(by_method, whole),
        _prices(by_rating, priced_by, whole),
        _modelled(rows, by_workload, names),
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


def _energy(rows: PeriodSums, key: Ints, where: Any = slice(None)) -> dict[int, int]:
    """mJ of the rows of each value of a column, in order of the first row of each."""
    number, firsts = first_seen(key[where])
    sums = exact_sums(rows.energy_mj[where], number, len(firsts))
    return dict(zip(key[where][firsts].tolist(), sums, strict=True))


def _methods(energy: Mapping[Method, int], whole_mj: int) -> list[Part]:
    return [
        Part(method.label, mj / MJ_PER_KWH, mj / whole_mj, method.is_measured)
        for method, mj in sorted(energy.items())
        if mj
    ]


def _prices(
    energy: Mapping[int, int], priced_by: Mapping[int, Rating], whole_mj: int
) -> list[Price]:
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


def _modelled(
    rows: PeriodSums, energy: Mapping[int, int], names: Mapping[int, str]
) -> list[Modelled]:
    measured = [method for method in Method if method.is_measured]
    modelled_mj = _energy(rows, rows.workload, ~np.isin(rows.method, measured))
    lines = [
        Modelled(names[workload], whole / MJ_PER_KWH, modelled_mj[workload] / whole)
        for workload, whole in energy.items()
        if workload in names and modelled_mj.get(workload)
    ]
    return sorted(lines, key=lambda line: -line.energy_kwh * line.modelled_share)[:50]
