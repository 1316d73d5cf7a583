"""Grid intensity as the rest of the service asks for it: one ladder, always an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    RatedPoint,
    Signal,
    Vintage,
    select,
)
from carbon.domain.typical import TYPICAL
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.domain.yearly import normal_zone, yearly_intensity
from carbon.errors import InvalidInput, NotFound
from carbon.grid.feed import OWN_FORECAST
from carbon.grid.forecast import own_vintage
from carbon.grid.ladder import EVERY
from carbon.grid.licences import allowed_of, may_pass_on
from carbon.grid.typical import typical_ahead
from carbon.grid.validation import CLOCK_SKEW_MS, Quarantined, validate
from carbon.services.context import Context
from carbon.services.grid.rated_ahead import cut, held_or_made, newest_vintage
from carbon.storage.dirty import mark_dirty
from carbon.storage.engine import reading, writing
from carbon.storage.intensity import (
    LONGEST_POINT_MS,
    has_zone,
    points_between,
    quarantine,
    save_vintage,
)
from carbon.storage.repricing import mark_price
from carbon.storage.rollups import buckets_of_zone

#: How far ahead of now typical hours are told: a job may wait for years.
_TYPICAL_MS = 28 * MS_PER_DAY
#: How much history the own forecaster is given.
_HISTORY_MS = 28 * MS_PER_DAY
#: Answers within so much from the hour that runs are kept (`rated_ahead`).
HELD_MS = 97 * MS_PER_HOUR
_FORETELLS = (PointKind.FORECAST, PointKind.TYPICAL)
#: Behind every source that publishes.
_LAST_RANK = 1_000


def known_zone(connection: Connection, zone: str) -> str:
    """The zone in its normal spelling.

    Raises NotFound(`unknown_zone`) where neither a stored vintage nor the bundled table has it.
    """
    name = bundled_zone(zone)
    if name is None:
        name = normal_zone(zone)
        if not has_zone(connection, name):
            yearly_intensity(name)  # says that there is none
    return name


def bundled_zone(zone: str) -> str | None:
    """The zone in its normal spelling where the bundled table, which is in memory, has it: nearly
    every one. None for others."""
    name = normal_zone(zone)
    try:
        yearly_intensity(name)
    except NotFound:
        return None
    return name


def stated_zone(connection: Connection, zone: str) -> str:
    """As `known_zone`, of a zone in a body: an unknown one is InvalidInput(`unknown_zone`)."""
    try:
        return known_zone(connection, zone)
    except NotFound as error:
        raise InvalidInput(error.code, error.detail, **error.extra) from None


def points_of(
    connection: Connection,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
    as_of_ms: int | None = None,
    passed_on: frozenset[str] | None = None,
) -> list[RatedPoint]:
    """The points that hold over [start, end): stored ones, then the bundled yearly figure.

    Without a scope the zone's best source decides it, for the whole window: life-cycle and
    direct points do not alternate. The yearly figure is an average; where the signal is
    marginal, or the scope one that the table lacks, gaps stay gaps. With `passed_on`, points
    of sources that may not be redistributed are left out, but for those it names.
    """
    stored = [
        point
        for point in ranked_points(connection, zone, start_ms, end_ms, signal, scope, as_of_ms)
        if passed_on is None or may_pass_on(point.source, point.flags, passed_on)
    ]
    return held_points(zone, stored, start_ms, end_ms, signal, scope)


def ranked_points(
    connection: Connection,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
    as_of_ms: int | None = None,
) -> list[RatedPoint]:
    """All stored points that reach into [start, end), with their place in the zone's ladder."""
    found = points_between(connection, zone, start_ms, end_ms, signal, scope, as_of_ms)
    return [replace(point, source_rank=_rank(zone, point)) for point in found]


def held_points(
    zone: str,
    stored: Sequence[RatedPoint],
    start_ms: int,
    end_ms: int,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
) -> list[RatedPoint]:
    """As `points_of`, of the stored points that reach into [start, end)."""
    if scope is None and stored:
        best = min(stored, key=lambda point: (point.source == OWN_FORECAST, point.source_rank))
        stored = [point for point in stored if point.scope is best.scope]
    yearly = _yearly(zone, start_ms, end_ms, scope) if signal is Signal.AVERAGE else []
    return select([*stored, *yearly], start_ms, end_ms)


def _rank(zone: str, point: RatedPoint) -> int:
    """Place in the zone's ladder; of one source, life-cycle before direct."""
    return 2 * EVERY.source_rank(zone, point.source) + (point.scope is EmissionScope.DIRECT)


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
    to_others: bool = False,
    as_of_ms: int | None = None,
) -> list[RatedPoint]:
    """As `points_of`, with the own forecast where the future has no feed's forecast, and the
    zone's typical hours where nothing at all is foretold.

    What the planner and the pages read. Never empty for the average signal. `to_others` keeps
    to what may be passed on (`grid.licences`). `as_of_ms` keeps to what had been recorded by
    then: nothing is foretold anew.
    """
    passed_on = allowed_of(context.settings.redistribute) if to_others else None
    if as_of_ms is not None:
        with reading(context.engine) as connection:
            known = zone, start_ms, end_ms, signal, scope, as_of_ms, passed_on
            return points_of(connection, *known)
    hour_ms = floor_to(context.clock.now_ms(), MS_PER_HOUR)
    asked = (zone, signal, scope, passed_on)
    if start_ms < hour_ms or end_ms > hour_ms + HELD_MS:
        return _rated(context, *asked, start_ms, end_ms)
    with reading(context.engine) as connection:
        newest = newest_vintage(connection)
    ahead = held_or_made(
        context.engine,
        (*asked, hour_ms),
        newest,
        lambda: _rated(context, *asked, hour_ms, hour_ms + HELD_MS),
    )
    return cut(ahead, start_ms, end_ms)


def _rated(
    context: Context,
    zone: str,
    signal: Signal,
    scope: EmissionScope | None,
    passed_on: frozenset[str] | None,
    start_ms: int,
    end_ms: int,
) -> list[RatedPoint]:
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        points = points_of(connection, zone, start_ms, end_ms, signal, scope, passed_on=passed_on)
        if not _future_is_bare(points, now_ms):
            return points
        since_ms = now_ms - _HISTORY_MS
        history = points_of(connection, zone, since_ms, now_ms, signal, scope, passed_on=passed_on)
    known = [p for p in history if p.kind.may_credit]
    told = _own_forecast(zone, known, now_ms, end_ms)
    if not told and signal is Signal.AVERAGE and not _is_foretold(points, now_ms):
        first_ms = max(start_ms, floor_to(now_ms, MS_PER_HOUR))
        rank = 2 * EVERY.source_rank(zone, TYPICAL)
        last_ms = min(end_ms, now_ms + _TYPICAL_MS)
        told = typical_ahead(zone, first_ms, last_ms, known, scope, rank)
    return select([*points, *told], start_ms, end_ms)


def _is_foretold(points: list[RatedPoint], now_ms: int) -> bool:
    """Whether anybody says anything of what lies ahead: a shape beside it, of another level,
    would look like a clean or a dirty hour."""
    return any(p.kind in _FORETELLS and p.end_ms > now_ms for p in points)


def _future_is_bare(points: list[RatedPoint], now_ms: int) -> bool:
    return any(p.kind is PointKind.YEARLY and p.end_ms > now_ms for p in points)


def _own_forecast(zone: str, known: list[RatedPoint], now_ms: int, end_ms: int) -> list[RatedPoint]:
    if not known or end_ms <= now_ms:
        return []
    hours = min(96, -(-(end_ms - now_ms) // MS_PER_HOUR) + 1)
    points = (IntensityPoint(p.start_ms, p.end_ms, p.g_per_kwh, p.kind) for p in known)
    own = own_vintage(zone, points, now_ms, known[-1].signal, known[-1].scope, hours)
    if own is None:
        return []
    return [
        RatedPoint(
            point.start_ms,
            point.end_ms,
            point.g_per_kwh,
            point.kind,
            own.source,
            own.signal,
            own.scope,
            published_ms=now_ms,
            source_rank=_LAST_RANK,
            flags=own.flags,
        )
        for point in own.points
    ]


def record_vintage(context: Context, vintage: Vintage) -> list[Quarantined]:
    """Checks a publication that people brought, stores what is sound of it, and answers the
    points that were refused; these are kept in quarantine.

    Raises InvalidInput: `from_the_future`, since it would outweigh every later publication,
    and `point_too_long`, since no window would find it.
    """
    now_ms = context.clock.now_ms()
    if vintage.published_ms > now_ms + CLOCK_SKEW_MS:
        raise InvalidInput("from_the_future", "published_at lies over 5 minutes ahead")
    if any(point.end_ms - point.start_ms > LONGEST_POINT_MS for point in vintage.points):
        raise InvalidInput("point_too_long", "a point spans 25 h at most; cut longer ones")
    vintage = replace(vintage, zone=normal_zone(vintage.zone))
    checked = validate(vintage, now_ms, horizon_ms=None)
    store_quarantine(context, checked.vintage, checked.quarantined)
    store_vintage(context, checked.vintage)
    return list(checked.quarantined)


def store_vintage(context: Context, vintage: Vintage) -> None:
    """Stores what a checked publication changes, and marks what it may price anew.

    A source repeats most of what it said a quarter of an hour ago. A point that it still holds
    to stays with the vintage that said it first; the answer to any question is the same.
    """
    if not vintage.points:
        return
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        vintage = replace(vintage, points=_changed(connection, vintage))
        if not vintage.points:
            return
        if save_vintage(connection, vintage, now_ms) is None:
            return
        start_ms = floor_to(min(p.start_ms for p in vintage.points), BUCKET_MS)
        end_ms = max(p.end_ms for p in vintage.points)
        hot_ms = context.hot_from_ms
        mark_price(connection, vintage.zone, start_ms, min(end_ms, hot_ms))
        touched = buckets_of_zone(connection, vintage.zone, max(start_ms, hot_ms), end_ms)
        mark_dirty(connection, touched)


def _changed(connection: Connection, vintage: Vintage) -> tuple[IntensityPoint, ...]:
    """The points that differ from what the same source said last of their span."""
    start_ms = min(point.start_ms for point in vintage.points)
    end_ms = max(point.end_ms for point in vintage.points)
    last: dict[tuple[int, int, bool], RatedPoint] = {}
    stored = points_between(
        connection, vintage.zone, start_ms, end_ms, vintage.signal, vintage.scope
    )
    for point in stored:
        if point.source == vintage.source:
            key = (point.start_ms, point.end_ms, point.kind.may_credit)
            if key not in last or _stamp(point) > _stamp(last[key]):
                last[key] = point
    return tuple(p for p in vintage.points if not _repeats(p, vintage, last))


def _repeats(
    point: IntensityPoint, vintage: Vintage, last: Mapping[tuple[int, int, bool], RatedPoint]
) -> bool:
    said = last.get((point.start_ms, point.end_ms, point.kind.may_credit))
    return said is not None and (said.g_per_kwh, said.kind, said.flags) == (
        point.g_per_kwh,
        point.kind,
        vintage.flags,
    )


def _stamp(point: RatedPoint) -> tuple[int, int]:
    return point.published_ms, point.vintage


def store_quarantine(context: Context, vintage: Vintage, refused: Sequence[Quarantined]) -> None:
    points = [(q.point, str(q.reason)) for q in refused]
    with writing(context.engine) as connection:
        quarantine(connection, vintage.zone, vintage.source, points, context.clock.now_ms())
