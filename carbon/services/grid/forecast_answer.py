"""The answer of `GET /v1/intensity/{zone}/forecast`, from texts that are written once.

Asked for far more often than a source publishes: each point is encoded once, and as long as
nothing is stored and the hour runs, a question costs the two points that its window cuts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from carbon.clock import to_rfc3339
from carbon.domain.intensity import EmissionScope, RatedPoint, Signal
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.services.grid.intensity import HELD_MS, known_zone, rated_points
from carbon.services.grid.intensity_provenance import sources_of
from carbon.services.grid.rated_ahead import at_hand, held, held_or_made, look
from carbon.storage.engine import reading
from carbon.wire.intensity import IntensityAnswer, PointAnswer, SourceAnswer

_ENCODER: Final = msgspec.json.Encoder()
#: Windows of a zone and hour that are kept written; most ask for the same few hours ahead.
_MOST_WINDOWS: Final = 32


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: the `hours` from `now_ms` on."""

    zone: str
    now_ms: int
    hours: int
    signal: Signal
    scope: EmissionScope | None

    @property
    def end_ms(self) -> int:
        return self.now_ms + self.hours * MS_PER_HOUR

    @property
    def hour_ms(self) -> int:
        return floor_to(self.now_ms, MS_PER_HOUR)

    @property
    def span_ms(self) -> int:
        return HELD_MS if self.end_ms <= self.hour_ms + HELD_MS else 2 * HELD_MS

    @property
    def key(self) -> Hashable:
        """The same for all questions that one `_Told` answers."""
        return ("answer", self.zone, self.signal, self.scope, self.hour_ms, self.span_ms)


@dataclass(frozen=True, slots=True)
class _Window:
    """The points from `lo` to before `hi` of what is told."""

    lo: int
    hi: int
    #: Those between the first and the last, written, with commas.
    between: bytes
    sources: list[SourceAnswer]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """All that holds from the hour that runs on, and what has been written of it."""

    zone: str
    points: list[RatedPoint]
    starts_ms: list[int]
    ends_ms: list[int]
    windows: dict[tuple[int, int], _Window] = field(default_factory=dict)

    def places(self, asked: _Asked) -> tuple[int, int]:
        """The first point of the question's window, and the one behind its last."""
        lo = bisect_right(self.ends_ms, asked.now_ms)
        return lo, max(lo, bisect_left(self.starts_ms, asked.end_ms))


def forecast_answer(
    context: Context, zone: str, hours: int, signal: Signal, scope: EmissionScope | None
) -> IntensityAnswer:
    """The next `hours`, with what their owners ask. Raises NotFound(`unknown_zone`)."""
    asked = _Asked(zone, context.clock.now_ms(), hours, signal, scope)
    looked = look(context.engine)
    told = held_or_made(context.engine, asked.key, looked.newest, lambda: _told(context, asked))
    places = told.places(asked)
    window = told.windows.get(places) or _window(context, told, *places)
    return _answer(told, asked, window)


def forecast_at_hand(
    context: Context, zone: str, hours: int, signal: Signal, scope: EmissionScope | None
) -> IntensityAnswer | None:
    """The same where it is known without waiting for anything; else None."""
    looked = at_hand(context.engine)
    if looked is None:
        return None
    asked = _Asked(zone, context.clock.now_ms(), hours, signal, scope)
    told = held(context.engine, asked.key, looked.newest)
    if told is None:
        return None
    window = told.windows.get(told.places(asked))
    return _answer(told, asked, window) if window else None


def _told(context: Context, asked: _Asked) -> _Told:
    with reading(context.engine) as connection:
        name = known_zone(connection, asked.zone)
    end_ms = asked.hour_ms + asked.span_ms
    points = rated_points(context, name, asked.hour_ms, end_ms, asked.signal, asked.scope)
    starts_ms, ends_ms = [p.start_ms for p in points], [p.end_ms for p in points]
    return _Told(name, points, starts_ms, ends_ms)


def _window(context: Context, told: _Told, lo: int, hi: int) -> _Window:
    between = b",".join(_encoded(point) for point in told.points[lo + 1 : hi - 1])
    window = _Window(lo, hi, between, sources_of(context, told.zone, told.points[lo:hi]))
    if len(told.windows) >= _MOST_WINDOWS:
        told.windows.clear()
    told.windows[lo, hi] = window
    return window


def _answer(told: _Told, asked: _Asked, window: _Window) -> IntensityAnswer:
    """The first point and the last are written as the window cuts them."""
    edges = sorted({window.lo, window.hi - 1}) if window.lo < window.hi else []
    texts = [_encoded(_cut(told.points[place], asked)) for place in edges]
    if window.between:
        texts.insert(1, window.between)
    shown = [msgspec.Raw(text) for text in texts]
    start, end = to_rfc3339(asked.now_ms), to_rfc3339(asked.end_ms)
    return IntensityAnswer(told.zone, start, end, shown, window.sources)


def _cut(point: RatedPoint, asked: _Asked) -> RatedPoint:
    start_ms, end_ms = max(point.start_ms, asked.now_ms), min(point.end_ms, asked.end_ms)
    if (start_ms, end_ms) == (point.start_ms, point.end_ms):
        return point
    return replace(point, start_ms=start_ms, end_ms=end_ms)


def _encoded(point: RatedPoint) -> bytes:
    return _ENCODER.encode(point_answer(point))


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
