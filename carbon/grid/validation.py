"""What may be believed of a vintage: good points, and a quarantine with a reason for each other.

Each rule has been broken by a real feed. A point in quarantine is missing, never green.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import Final

from carbon.domain.intensity import (
    PLAUSIBLE_G_PER_KWH,
    EmissionScope,
    IntensityPoint,
    PointKind,
    Signal,
    Vintage,
)
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR
from carbon.domain.yearly import yearly_intensity
from carbon.errors import NotFound


class Reason(StrEnum):
    """Why a point is not believed."""

    NOT_A_NUMBER = "not_a_number"
    ZERO = "zero"
    #: Zero, as is every other point of the forecast.
    ALL_ZERO_FORECAST = "all_zero_forecast"
    NEGATIVE = "negative"
    TOO_HIGH = "too_high"
    EMPTY_SPAN = "empty_span"
    DUPLICATE = "duplicate"
    OVERLAP = "overlap"
    FROM_THE_FUTURE = "from_the_future"
    UNIT_JUMP = "unit_jump"


#: A point this many times above or below the usual is in another unit (kg, g/MWh, a share).
#: In a year of 66 zones the widest real ratio to the median of three days is 22.
UNIT_JUMP_RATIO: Final = 50.0
#: A publication whose median lies this many times off the zone's bundled year is all in another
#: unit. No zone of a country is: Tasmania's hours lie 50 times below Australia's year at most.
YEARLY_RATIO: Final = 100.0
#: A reference of fewer points than this says nothing about the usual level.
FEWEST_FOR_LEVEL: Final = 6
#: A forecast that reaches less than this share of what its source promises is short.
SHORT_HORIZON_SHARE: Final = 0.75
#: Forecasts whose median lies this far from that of the day just measured, either way, are
#: suspected of a wrong level. Wind does that too at times: it is told, and nothing is refused.
LEVEL_SHIFT_RATIO: Final = 1.5
#: Points on each side below which no level is compared.
FEWEST_FOR_SHIFT: Final = 24
#: How far a clock may be ahead before a measurement is from the future.
CLOCK_SKEW_MS: Final = BUCKET_MS


@dataclass(frozen=True, slots=True)
class Quarantined:
    point: IntensityPoint
    reason: Reason


@dataclass(frozen=True, slots=True)
class Checked:
    """`vintage` keeps the good points alone, ordered, and the flags that it earned.

    Flags: `stale` (live, but silent about the last two steps), `short_horizon`, `gaps`,
    `level_shift` (foretells half as much again as was just measured, or less than two thirds),
    and `quarantine` where points were taken out.
    """

    vintage: Vintage
    quarantined: tuple[Quarantined, ...]


def validate(
    vintage: Vintage,
    now_ms: int,
    *,
    horizon_ms: int | None = None,
) -> Checked:
    """Judges a vintage as it was at `now_ms`. Every point comes out, on one side or the other.

    `horizon_ms` is how far ahead a live source promises to look, 0 where it promises nothing;
    None for history, which is allowed to be old. A change of unit shows against the vintage's
    own median and against the zone's bundled year.
    """
    bad: list[Quarantined] = []
    good = _settled(_plausible(vintage.points, now_ms, bad), bad)
    good = _in_one_unit(good, bad)
    good = _like_its_year(good, vintage, bad)
    earned = _flags(good, now_ms, horizon_ms) + (["quarantine"] if bad else [])
    flags = tuple(dict.fromkeys([*vintage.flags, *earned]))
    return Checked(replace(vintage, points=tuple(good), flags=flags), tuple(bad))


def _plausible(
    points: Iterable[IntensityPoint], now_ms: int, bad: list[Quarantined]
) -> list[IntensityPoint]:
    points = list(points)
    ahead = [point for point in points if point.kind is PointKind.FORECAST]
    zero = Reason.ALL_ZERO_FORECAST if _all_zero(ahead) else Reason.ZERO
    good = []
    for point in points:
        reason = _flaw(point, now_ms)
        if reason is Reason.ZERO and point.kind is PointKind.FORECAST:
            reason = zero
        if reason:
            bad.append(Quarantined(point, reason))
        else:
            good.append(point)
    return good


def _all_zero(points: Sequence[IntensityPoint]) -> bool:
    return len(points) > 1 and all(point.g_per_kwh == 0 for point in points)


def _flaw(point: IntensityPoint, now_ms: int) -> Reason | None:
    """What is wrong with a point taken by itself."""
    value = point.g_per_kwh
    if not isfinite(value):
        return Reason.NOT_A_NUMBER
    if value == 0:
        return Reason.ZERO
    if value < 0:
        return Reason.NEGATIVE
    if value > PLAUSIBLE_G_PER_KWH[1]:
        return Reason.TOO_HIGH
    if point.end_ms <= point.start_ms:
        return Reason.EMPTY_SPAN
    if point.kind.may_credit and point.start_ms > now_ms + CLOCK_SKEW_MS:
        return Reason.FROM_THE_FUTURE
    return None


def _settled(points: Sequence[IntensityPoint], bad: list[Quarantined]) -> list[IntensityPoint]:
    """Without overlap: of equal spans the better kind counts, then the one sent last; of
    others the one that starts first, then the shorter."""
    order = sorted(
        range(len(points)),
        key=lambda i: (points[i].start_ms, points[i].end_ms, points[i].kind.rank, -i),
    )
    good: list[IntensityPoint] = []
    for point in (points[i] for i in order):
        last = good[-1] if good else None
        if last is None or point.start_ms >= last.end_ms:
            good.append(point)
        elif (point.start_ms, point.end_ms) == (last.start_ms, last.end_ms):
            bad.append(Quarantined(point, Reason.DUPLICATE))
        else:
            bad.append(Quarantined(point, Reason.OVERLAP))
    return good


def _in_one_unit(points: Sequence[IntensityPoint], bad: list[Quarantined]) -> list[IntensityPoint]:
    usual = _level(points)
    if usual is None:
        return list(points)
    good = []
    for point in points:
        if usual / UNIT_JUMP_RATIO <= point.g_per_kwh <= usual * UNIT_JUMP_RATIO:
            good.append(point)
        else:
            bad.append(Quarantined(point, Reason.UNIT_JUMP))
    return good


def _like_its_year(
    points: Sequence[IntensityPoint], vintage: Vintage, bad: list[Quarantined]
) -> list[IntensityPoint]:
    """All or nothing. Only average life-cycle points are judged: a marginal or direct figure may
    truly be next to nothing."""
    if (vintage.signal, vintage.scope) != (Signal.AVERAGE, EmissionScope.LIFECYCLE) or not points:
        return list(points)
    try:
        year = yearly_intensity(vintage.zone).g_per_kwh
    except NotFound:
        return list(points)
    level = median(point.g_per_kwh for point in points)
    if year / YEARLY_RATIO <= level <= year * YEARLY_RATIO:
        return list(points)
    bad.extend(Quarantined(point, Reason.UNIT_JUMP) for point in points)
    return []


def _level(points: Sequence[IntensityPoint]) -> float | None:
    if len(points) < FEWEST_FOR_LEVEL:
        return None
    return median(point.g_per_kwh for point in points)


def _flags(points: Sequence[IntensityPoint], now_ms: int, horizon_ms: int | None) -> list[str]:
    flags = []
    if any(a.end_ms != b.start_ms for a, b in pairwise(points)):
        flags.append("gaps")
    if horizon_ms is None:
        return flags
    last_ms = points[-1].end_ms if points else 0
    if last_ms + 2 * _step_ms(points) <= now_ms:
        flags.append("stale")
    if last_ms < now_ms + horizon_ms * SHORT_HORIZON_SHARE:
        flags.append("short_horizon")
    if _is_shifted(points):
        flags.append("level_shift")
    return flags


def _is_shifted(points: Sequence[IntensityPoint]) -> bool:
    """Of a vintage that holds a day of both: by the first day foretold and the last measured."""
    measured = [p.g_per_kwh for p in points if p.kind.may_credit]
    foretold = [p for p in points if p.kind is PointKind.FORECAST]
    if min(len(measured), len(foretold)) < FEWEST_FOR_SHIFT:
        return False
    day_ms = 24 * MS_PER_HOUR
    turn_ms = foretold[0].start_ms
    before = [p.g_per_kwh for p in points if p.kind.may_credit and p.start_ms >= turn_ms - day_ms]
    after = [p.g_per_kwh for p in foretold if p.end_ms <= turn_ms + day_ms]
    if not before or not after:
        return False
    ratio = median(after) / median(before)
    return not 1 / LEVEL_SHIFT_RATIO < ratio < LEVEL_SHIFT_RATIO


def _step_ms(points: Sequence[IntensityPoint]) -> int:
    """The most common length of a point; 0 for none."""
    lengths = Counter(point.end_ms - point.start_ms for point in points)
    return lengths.most_common(1)[0][0] if lengths else 0
