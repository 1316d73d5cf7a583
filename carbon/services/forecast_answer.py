"""The answer of `GET /v1/intensity/{zone}/forecast`, from texts that are written once.

Asked for far more often than a source publishes: each point is encoded once, and as long as
nothing is stored and the hour runs, a question costs one look at the newest vintage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from carbon.clock import to_rfc3339
from carbon.domain.intensity import EmissionScope, RatedPoint, Signal
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.services.intensity import HELD_MS, known_zone, rated_points
from carbon.services.intensity_provenance import sources_of
from carbon.services.rated_ahead import cut, held_or_made, newest_vintage
from carbon.storage.engine import reading
from carbon.wire.intensity import IntensityAnswer, PointAnswer, SourceAnswer

_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """All that holds from the hour that runs on, and what has been written of it."""

    zone: str
    points: list[RatedPoint]
    texts: dict[RatedPoint, msgspec.Raw] = field(default_factory=dict)
    sources: dict[tuple[str, ...], list[SourceAnswer]] = field(default_factory=dict)


def forecast_answer(
    context: Context, zone: str, hours: int, signal: Signal, scope: EmissionScope | None
) -> IntensityAnswer:
    """The next `hours`, with what their owners ask. Raises NotFound(`unknown_zone`)."""
    now_ms = context.clock.now_ms()
    hour_ms, end_ms = floor_to(now_ms, MS_PER_HOUR), now_ms + hours * MS_PER_HOUR
    span_ms = HELD_MS if end_ms <= hour_ms + HELD_MS else 2 * HELD_MS
    with reading(context.engine) as connection:
        newest = newest_vintage(connection)
    told = held_or_made(
        context.engine,
        ("answer", zone, signal, scope, hour_ms, span_ms),
        newest,
        lambda: _told(context, zone, signal, scope, hour_ms, hour_ms + span_ms),
    )
    points = cut(told.points, now_ms, end_ms)
    shown = [_text(told, point) for point in points]
    names = tuple(dict.fromkeys(point.source for point in points))
    sources = told.sources.get(names)
    if sources is None:
        sources = told.sources[names] = sources_of(context, told.zone, points)
    return IntensityAnswer(told.zone, to_rfc3339(now_ms), to_rfc3339(end_ms), shown, sources)


def _told(
    context: Context,
    zone: str,
    signal: Signal,
    scope: EmissionScope | None,
    start_ms: int,
    end_ms: int,
) -> _Told:
    with reading(context.engine) as connection:
        name = known_zone(connection, zone)
    points = rated_points(context, name, start_ms, end_ms, signal, scope)
    told = _Told(name, points)
    for point in points:
        told.texts[point] = _encoded(point)
    return told


def _text(told: _Told, point: RatedPoint) -> msgspec.Raw:
    """Of a whole point as it was written before; one that the window cuts is written anew."""
    return told.texts.get(point) or _encoded(point)


def _encoded(point: RatedPoint) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(point_answer(point)))


def point_answer(point: RatedPoint) -> PointAnswer:
    return PointAnswer(
        to_rfc3339(point.start_ms),
        to_rfc3339(point.end_ms),
        point.g_per_kwh,
        str(point.kind),
        point.source,
        str(point.signal),
        str(point.scope),
        to_rfc3339(point.published_ms) if point.published_ms else None,
        list(point.flags),
    )
