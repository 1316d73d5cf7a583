"""Grid intensity as the rest of the service asks for it: one ladder, always an answer."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from carbon.domain.intensity import (
    EmissionScope,
    PointKind,
    RatedPoint,
    Signal,
    Vintage,
    select,
)
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, floor_to
from carbon.domain.yearly import normal_zone, yearly_intensity
from carbon.errors import NotFound
from carbon.grid.forecast import OWN_FORECAST, forecast
from carbon.grid.ladder import source_rank
from carbon.grid.validation import Quarantined, validate
from carbon.services.context import Context
from carbon.storage.energy import mark_dirty
from carbon.storage.engine import reading, writing
from carbon.storage.intensity import has_zone, points_between, quarantine, save_vintage
from carbon.storage.rollups import buckets_of_zone

#: How much history the own forecaster is given.
_HISTORY_MS = 15 * MS_PER_DAY


def known_zone(connection: Connection, zone: str) -> str:
    """The zone in its normal spelling.

    Raises NotFound(`unknown_zone`) where neither a stored vintage nor the bundled table has it.
    """
    name = normal_zone(zone)
    if not has_zone(connection, name):
        yearly_intensity(name)
    return name


def points_of(
    connection: Connection,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
    as_of_ms: int | None = None,
) -> list[RatedPoint]:
    """The points that hold over [start, end): stored ones, then the bundled yearly figure.

    Without a scope the zone's best source decides it. The yearly figure is an average; where
    the signal is marginal, or the scope one that the table lacks, gaps stay gaps.
    """
    stored = [
        replace(point, source_rank=_rank(zone, point))
        for point in points_between(connection, zone, start_ms, end_ms, signal, scope, as_of_ms)
    ]
    yearly = _yearly(zone, start_ms, end_ms, scope) if signal is Signal.AVERAGE else []
    return select([*stored, *yearly], start_ms, end_ms)


def _rank(zone: str, point: RatedPoint) -> int:
    """Place in the zone's ladder; of one source, life-cycle before direct."""
    return 2 * source_rank(zone, point.source) + (point.scope is EmissionScope.DIRECT)


def _yearly(zone: str, start_ms: int, end_ms: int, scope: EmissionScope | None) -> list[RatedPoint]:
    try:
        figure = yearly_intensity(zone, scope)
    except NotFound:
        try:
            figure = yearly_intensity(None, scope)
        except NotFound:
            return []
    return [
        RatedPoint(
            start_ms,
            end_ms,
            figure.g_per_kwh,
            PointKind.YEARLY,
            f"bundled-{figure.year}",
            Signal.AVERAGE,
            figure.scope,
            flags=figure.flags,
        )
    ]


def rated_points(
    context: Context,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
) -> list[RatedPoint]:
    """As `points_of`, with the own forecast where the future has no feed's forecast.

    What the planner and the pages read. Never empty for the average signal.
    """
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        points = points_of(connection, zone, start_ms, end_ms, signal, scope)
        if not _future_is_bare(points, now_ms):
            return points
        history = points_of(connection, zone, now_ms - _HISTORY_MS, now_ms, signal, scope)
    own = _own_forecast(history, now_ms, end_ms)
    return select([*points, *own], start_ms, end_ms)


def _future_is_bare(points: list[RatedPoint], now_ms: int) -> bool:
    return any(p.kind is PointKind.YEARLY and p.end_ms > now_ms for p in points)


def _own_forecast(history: list[RatedPoint], now_ms: int, end_ms: int) -> list[RatedPoint]:
    known = [p for p in history if p.kind.may_credit]
    if not known or end_ms <= now_ms:
        return []
    hours = min(96, -(-(end_ms - now_ms) // 3_600_000) + 1)
    last = known[-1]
    return [
        RatedPoint(
            point.start_ms,
            point.end_ms,
            point.g_per_kwh,
            point.kind,
            OWN_FORECAST,
            last.signal,
            last.scope,
            published_ms=now_ms,
            source_rank=1_000,
        )
        for point in forecast(known, now_ms, hours)
    ]


def record_vintage(context: Context, vintage: Vintage) -> list[Quarantined]:
    """Checks a publication, stores what is sound, and marks what it prices for a new roll-up.

    Answers the points that were refused; they are kept in quarantine.
    """
    now_ms = context.clock.now_ms()
    vintage = replace(vintage, zone=normal_zone(vintage.zone))
    checked = validate(vintage, now_ms)
    with writing(context.engine) as connection:
        quarantine(
            connection,
            vintage.zone,
            vintage.source,
            [(q.point, q.reason) for q in checked.quarantined],
            now_ms,
        )
        points = checked.vintage.points
        if points and save_vintage(connection, checked.vintage, now_ms) is not None:
            start_ms = floor_to(min(p.start_ms for p in points), BUCKET_MS)
            end_ms = max(p.end_ms for p in points)
            mark_dirty(
                connection, buckets_of_zone(connection, vintage.zone, start_ms, end_ms), now_ms
            )
    return list(checked.quarantined)
