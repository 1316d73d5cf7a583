"""The typical hours of a zone as a step of its ladder: where nothing is foretold at all.

Where some measurements are known, the shape is drawn to their level, so that the hour that runs
and those ahead can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from carbon.domain.intensity import (
    EmissionScope,
    RatedPoint,
    Signal,
    is_plausible,
    mean_g_per_kwh,
)
from carbon.domain.typical import TYPICAL, typical_points
from carbon.domain.typical_table import MIX_SOURCE
from carbon.domain.units import MS_PER_DAY
from carbon.domain.yearly import yearly_intensity
from carbon.grid.feed import CC_BY_4, CC_BY_4_URL, Licence

LICENCE: Final = Licence(
    CC_BY_4,
    CC_BY_4_URL,
    f"Typical hours: {MIX_SOURCE}",
    may_store=True,
    may_redistribute=True,
    commercial=True,
)
#: No saving could ever be booked on such hours: they are shown, and move nothing.
UNMEASURED: Final = "zone_unmeasured"
#: Measurements older than this say nothing of the level.
LEVEL_MS: Final = MS_PER_DAY


def typical_ahead(
    zone: str,
    start_ms: int,
    end_ms: int,
    known: Sequence[RatedPoint],
    scope: EmissionScope | None,
    rank: int,
) -> list[RatedPoint]:
    """TYPICAL points of [start, end), average, of `scope` or of the known points' where None;
    flagged `zone_unmeasured` where none are known.

    `known` are measured points before `end_ms`, in order of time. Empty for a zone whose mix
    is unknown, the world among them.
    """
    scope = known[-1].scope if scope is None and known else scope
    shape = _rated(zone, start_ms, end_ms, scope, rank)
    recent = [point for point in known if point.end_ms > known[-1].end_ms - LEVEL_MS]
    level = _level(zone, recent, scope, rank) if recent and shape else 1.0
    mark = () if known else (UNMEASURED,)
    scaled = [
        replace(point, g_per_kwh=round(point.g_per_kwh * level, 3), flags=point.flags + mark)
        for point in shape
    ]
    return [point for point in scaled if is_plausible(point.g_per_kwh)]


def _rated(
    zone: str, start_ms: int, end_ms: int, scope: EmissionScope | None, rank: int
) -> list[RatedPoint]:
    points = typical_points(zone, start_ms, end_ms, scope)
    if not points:
        return []
    figure = yearly_intensity(zone, scope)
    flags = ("typical_shape",) if figure.exact else ("typical_shape", "country_figure")
    return [
        RatedPoint(
            point.start_ms,
            point.end_ms,
            point.g_per_kwh,
            point.kind,
            TYPICAL,
            Signal.AVERAGE,
            figure.scope,
            source_rank=rank,
            flags=flags,
        )
        for point in points
    ]


def _level(
    zone: str, recent: Sequence[RatedPoint], scope: EmissionScope | None, rank: int
) -> float:
    """Measured over typical, in the same moments."""
    measured = typical = 0.0
    shape = _rated(zone, recent[0].start_ms, recent[-1].end_ms, scope, rank)
    for point in recent:
        usual = mean_g_per_kwh(shape, point.start_ms, point.end_ms)
        if usual is not None:
            measured += point.g_per_kwh * (point.end_ms - point.start_ms)
            typical += usual * (point.end_ms - point.start_ms)
    return measured / typical if typical > 0 else 1.0
