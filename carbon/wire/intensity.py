"""GET and POST of /v1/intensity/{zone}, and its forecast."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, Struct

from carbon.domain.intensity import EmissionScope, Signal
from carbon.wire.energy import Ms, Text


class PointBody(Struct, frozen=True):
    start_ms: Ms
    end_ms: Ms
    g_per_kwh: float


class IntensityBody(Struct, frozen=True):
    """One publication. Points that end by `published_at` are actuals, later ones forecast."""

    source: Text
    published_at: Text
    points: list[PointBody]
    signal: Signal = Signal.AVERAGE
    scope: EmissionScope = EmissionScope.LIFECYCLE
    licence: str = ""


class QuarantinedPoint(Struct, frozen=True):
    start: str
    end: str
    reason: str


class IntensityStored(Struct, frozen=True):
    zone: str
    accepted: int
    quarantined: list[QuarantinedPoint]


class PointAnswer(Struct, frozen=True):
    start: str
    end: str
    g_per_kwh: float
    #: actual, estimated, forecast, typical or yearly.
    kind: str
    source: str
    signal: str
    scope: str
    #: When the source published it; null for the bundled table.
    vintage: str | None
    flags: list[str]


class SourceAnswer(Struct, frozen=True):
    """What the owner of a source's figures asks of those who show or pass them on."""

    source: str
    #: The line to be shown beside its figures; empty where nobody stated one.
    attribution: str
    licence: str | None
    url: str | None
    may_redistribute: bool


class IntensityAnswer(Struct, frozen=True):
    zone: str
    start: str
    end: str
    #: Some are written already: each is asked for far more often than it changes.
    points: Sequence[PointAnswer | Raw]
    sources: list[SourceAnswer]


class PlacedZone(Struct, frozen=True):
    """Which zone feeds a place, and the source that says so."""

    zone: str
    source: str


class QuarantineRow(Struct, frozen=True):
    """A point that was not believed: kept, shown, never used."""

    zone: str
    source: str
    start: str
    end: str
    #: Null where it was no number.
    g_per_kwh: float | None
    reason: str
    recorded_at: str


class QuarantineAnswer(Struct, frozen=True):
    zone: str
    points: list[QuarantineRow]
    next: str | None
