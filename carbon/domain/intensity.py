"""Grid intensity: what a point is, which point holds at a moment, and means over a window."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Signal(StrEnum):
    AVERAGE = "average"  #: the mix that feeds the zone
    MARGINAL = "marginal"  #: the plant that answers one more kWh


class EmissionScope(StrEnum):
    LIFECYCLE = "lifecycle"  #: with building, fuel supply and decommissioning
    DIRECT = "direct"  #: combustion alone


class PointKind(StrEnum):
    """How a point is known, best first."""

    ACTUAL = "actual"
    ESTIMATED = "estimated"  #: the source itself calls it an estimate
    FORECAST = "forecast"
    TYPICAL = "typical"  #: a shape learned from history
    YEARLY = "yearly"  #: one figure for a whole year; never shifts a job

    @property
    def rank(self) -> int:
        return _KIND_ORDER.index(self)

    @property
    def may_shift(self) -> bool:
        """Whether a job may be moved because of such a point."""
        return self is not PointKind.YEARLY

    @property
    def may_credit(self) -> bool:
        """Whether a saving may be booked on such a point."""
        return self in (PointKind.ACTUAL, PointKind.ESTIMATED)


_KIND_ORDER = list(PointKind)

#: Readings outside are taken for missing, never for green: no zone of a real grid has ever
#: been seen outside, while feeds have sent zeros for ten hours and 117 000 g/kWh.
PLAUSIBLE_G_PER_KWH = (0.0, 2000.0)


def is_plausible(g_per_kwh: float) -> bool:
    """True in (0, 2000] g/kWh; NaN and infinities are not plausible."""
    lowest, highest = PLAUSIBLE_G_PER_KWH
    return lowest < g_per_kwh <= highest


@dataclass(frozen=True, slots=True)
class IntensityPoint:
    """gCO2e per kWh of a zone over [start, end), UTC epoch ms."""

    start_ms: int
    end_ms: int
    g_per_kwh: float
    kind: PointKind = PointKind.ACTUAL


@dataclass(frozen=True, slots=True)
class Vintage:
    """One publication of a source at one moment; never overwritten."""

    zone: str
    source: str
    signal: Signal
    scope: EmissionScope
    published_ms: int
    points: tuple[IntensityPoint, ...]
    licence: str = ""
    #: Shown with every figure, such as `zone_guessed` or `world_figure`.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RatedPoint:
    """A point with where it came from: what an answer shows and what a bucket is rated with."""

    start_ms: int
    end_ms: int
    g_per_kwh: float
    kind: PointKind
    source: str
    signal: Signal
    scope: EmissionScope
    #: The row of the vintage in the store; 0 for the bundled table.
    vintage: int = 0
    published_ms: int = 0
    #: Place of the source in the zone's ladder; 0 is the primary feed.
    source_rank: int = 0
    flags: tuple[str, ...] = field(default=())

    @property
    def preference(self) -> tuple[int, int, int, int]:
        """Lower is better: actual before forecast, primary before secondary, newest first."""
        return (self.kind.rank, self.source_rank, -self.published_ms, -self.vintage)


def select(points: Iterable[RatedPoint], start_ms: int, end_ms: int) -> list[RatedPoint]:
    """The points that hold over [start, end): ordered, without overlap, gaps left as gaps.

    At each instant the most preferred of the given points holds. O(n log n).
    """
    chosen: list[RatedPoint] = []
    starts: list[int] = []
    for point in sorted(points, key=lambda p: (p.preference, p.start_ms)):
        for lo, hi in _free(
            chosen, starts, max(point.start_ms, start_ms), min(point.end_ms, end_ms)
        ):
            at = bisect_right(starts, lo)
            starts.insert(at, lo)
            chosen.insert(at, _between(point, lo, hi))
    return _joined(chosen)


def _between(point: RatedPoint, start_ms: int, end_ms: int) -> RatedPoint:
    if (start_ms, end_ms) == (point.start_ms, point.end_ms):
        return point
    return RatedPoint(
        start_ms,
        end_ms,
        point.g_per_kwh,
        point.kind,
        point.source,
        point.signal,
        point.scope,
        point.vintage,
        point.published_ms,
        point.source_rank,
        point.flags,
    )


def _free(
    chosen: Sequence[RatedPoint], starts: Sequence[int], start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    free, at = [], start_ms
    index = max(0, bisect_right(starts, start_ms) - 1)
    for taken in chosen[index:]:
        if taken.start_ms >= end_ms:
            break
        if taken.end_ms <= at:
            continue
        if taken.start_ms > at:
            free.append((at, taken.start_ms))
        at = max(at, taken.end_ms)
    if at < end_ms:
        free.append((at, end_ms))
    return free


def _joined(points: Sequence[RatedPoint]) -> list[RatedPoint]:
    """Neighbours cut from one point grow together again."""
    joined: list[RatedPoint] = []
    for point in points:
        last = joined[-1] if joined else None
        if last and last.end_ms == point.start_ms and _between(last, 0, 0) == _between(point, 0, 0):
            joined[-1] = _between(last, last.start_ms, point.end_ms)
        else:
            joined.append(point)
    return joined


def mean_g_per_kwh(points: Sequence[RatedPoint], start_ms: int, end_ms: int) -> float | None:
    """Time-weighted mean over [start, end); None where the points leave any of it uncovered."""
    weighted, covered = 0.0, 0
    for point in points:
        overlap = min(point.end_ms, end_ms) - max(point.start_ms, start_ms)
        if overlap > 0:
            weighted += point.g_per_kwh * overlap
            covered += overlap
    return weighted / covered if covered == end_ms - start_ms and covered > 0 else None
