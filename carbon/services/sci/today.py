"""Energy and carbon of a civil day so far: by hour and workload, with bounds and coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.civil import civil_days
from carbon.domain.claims import NO_WORKLOAD
from carbon.domain.intensity import PointKind
from carbon.domain.uncertainty import Term, energy_source, intensity_source, propagate
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, floor_to, grams, kwh
from carbon.storage.ratings import Rating, ratings
from carbon.storage.recent import HourSum, covered_device_ms, known_devices, sums_by_hour

#: So many workloads are shown by name; the rest is one row.
MOST_NAMED: Final = 7


class Figure(Struct, frozen=True):
    """A value and its central 95 %."""

    value: float
    low: float
    high: float


class Share(Struct, frozen=True):
    """One line of the day: a workload, the rest of them, or what is nobody's."""

    #: `team/name`; empty for the other kinds.
    name: str
    kind: str  # workload | others | idle | unattributed
    energy_kwh: float
    operational_g: float
    measured_kwh: float
    #: kWh per hour of the day; null where the hour has no reading.
    measured_kwh_by_hour: list[float | None]
    modelled_kwh_by_hour: list[float | None]


class Priced(Struct, frozen=True):
    """Where the day's carbon prices came from."""

    zone: str
    source: str
    signal: str
    scope: str
    kind: str
    flags: list[str]
    energy_share: float


class Today(Struct, frozen=True):
    start_ms: int
    #: Midnight at the day's end.
    end_ms: int
    #: Start of each hour of the day, also of those to come; 23 to 25.
    hours_ms: list[int]
    #: Null where there is no reading today.
    energy_kwh: Figure | None
    operational_g: Figure | None
    measured_share: float | None
    #: Device-time backed by readings / device-time expected, up to `coverage_until_ms`; null
    #: before the first 5 minutes are over and for a single team.
    coverage: float | None
    coverage_until_ms: int
    shares: list[Share]
    priced: list[Priced]


def today(
    connection: Connection,
    now_ms: int,
    timezone: ZoneInfo,
    names: Mapping[int, str],
    sees_all: bool,
) -> Today:
    """The civil day around now. `names` are the workloads that the reader may see."""
    [(start_ms, end_ms)] = civil_days(now_ms, now_ms + 1, timezone)
    sums = sums_by_hour(connection, start_ms, end_ms, None if sees_all else list(names))
    priced_by = ratings(connection)
    hours_ms = list(range(start_ms, end_ms, MS_PER_HOUR))
    energy_mj = sum(s.energy_mj for s in sums)
    measured_mj = sum(s.energy_mj for s in sums if s.method.is_measured)
    until_ms = max(start_ms, floor_to(now_ms, BUCKET_MS))
    return Today(
        start_ms,
        end_ms,
        hours_ms,
        energy_figure(sums) if sums else None,
        carbon_figure(sums, priced_by) if sums else None,
        measured_mj / energy_mj if energy_mj else None,
        _coverage(connection, start_ms, until_ms) if sees_all else None,
        until_ms,
        _shares(sums, names, len(hours_ms)),
        _priced(sums, priced_by),
    )


def energy_figure(sums: Iterable[HourSum]) -> Figure:
    """kWh. All sensors are taken to err together, which overstates the width of many."""
    return _figure(Term(kwh(s.energy_mj), (energy_source(s.method, "all"),)) for s in sums)


def carbon_figure(sums: Iterable[HourSum], priced_by: Mapping[int, Rating]) -> Figure:
    """gCO2e."""
    return _figure(
        Term(
            grams(s.operational_ng),
            (
                energy_source(s.method, "all"),
                intensity_source(priced_by[s.rating].zone, PointKind(priced_by[s.rating].kind)),
            ),
        )
        for s in sums
    )


def _figure(terms: Iterable[Term]) -> Figure:
    interval = propagate(terms).not_below_zero()
    return Figure(interval.value, interval.low, interval.high)


def _coverage(connection: Connection, start_ms: int, until_ms: int) -> float | None:
    since_ms = [max(start_ms, d.created_ms) for d in known_devices(connection)]
    expected_ms = sum(max(0, until_ms - since) for since in since_ms)
    if not expected_ms:
        return None
    return min(1.0, covered_device_ms(connection, start_ms, until_ms) / expected_ms)


def _shares(sums: Sequence[HourSum], names: Mapping[int, str], hours: int) -> list[Share]:
    """Workloads by energy, the rest of them as one, then idle and unattributed."""
    by_workload: dict[int, int] = defaultdict(int)
    for s in sums:
        if s.workload != NO_WORKLOAD:
            by_workload[s.workload] += s.energy_mj
    ranked = sorted(by_workload, key=lambda w: (-by_workload[w], names.get(w, "")))
    named = ranked[:MOST_NAMED]
    lines: dict[tuple[str, int], list[HourSum]] = {("workload", w): [] for w in named}
    for kind in ("others", "idle", "unattributed"):
        lines[kind, NO_WORKLOAD] = []
    for s in sums:
        lines[_line_of(s, named)].append(s)
    heard = {s.hour for s in sums}
    return [
        _share(names.get(workload, ""), kind, own, heard, hours)
        for (kind, workload), own in lines.items()
        if own
    ]


def _line_of(s: HourSum, named: Sequence[int]) -> tuple[str, int]:
    if s.workload == NO_WORKLOAD:
        return ("idle" if s.is_idle else "unattributed", NO_WORKLOAD)
    return ("workload", s.workload) if s.workload in named else ("others", NO_WORKLOAD)


def _share(name: str, kind: str, own: Sequence[HourSum], heard: set[int], hours: int) -> Share:
    measured: list[float | None] = [0.0 if h in heard else None for h in range(hours)]
    modelled = list(measured)
    for s in own:
        series = measured if s.method.is_measured else modelled
        series[s.hour] = (series[s.hour] or 0.0) + kwh(s.energy_mj)
    return Share(
        name,
        kind,
        kwh(sum(s.energy_mj for s in own)),
        grams(sum(s.operational_ng for s in own)),
        kwh(sum(s.energy_mj for s in own if s.method.is_measured)),
        measured,
        modelled,
    )


def _priced(sums: Sequence[HourSum], priced_by: Mapping[int, Rating]) -> list[Priced]:
    by_rating: dict[int, int] = defaultdict(int)
    for s in sums:
        by_rating[s.rating] += s.energy_mj
    total = sum(by_rating.values())
    return [
        Priced(
            (r := priced_by[rating]).zone,
            r.source,
            r.signal,
            r.scope,
            r.kind,
            list(r.flags),
            energy_mj / total if total else 0.0,
        )
        for rating, energy_mj in sorted(by_rating.items(), key=lambda item: -item[1])
    ]
