"""The course of a budget over its period: what was used by when, and where that leads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from carbon.clock import to_rfc3339
from carbon.domain.budget import projected
from carbon.domain.units import MS_PER_DAY
from carbon.services.sci.civil_period import CivilPeriod
from carbon.services.sci.time_range import midnight_ms
from carbon.wire.budgets import CourseAhead, CoursePoint

#: Points of a forecast at most: a year's is told by the week.
_MOST_AHEAD: Final = 100


def course(
    steps_ms: Sequence[int],
    step_ms: int,
    used_by_step: Sequence[float],
    used: float,
    period: CivilPeriod,
    now_ms: int,
) -> list[CoursePoint]:
    """Used up to the end of each step that is over: from 0 at the period's start to `used` now."""
    told = [CoursePoint(to_rfc3339(period.start_ms), 0.0)]
    so_far = 0.0
    for start_ms, amount in zip(steps_ms, used_by_step, strict=True):
        so_far += amount
        if start_ms + step_ms < now_ms:
            told.append(CoursePoint(to_rfc3339(start_ms + step_ms), so_far))
    told.append(CoursePoint(to_rfc3339(now_ms), used))
    return told


def ahead(
    used: float, daily: Sequence[float], period: CivilPeriod, now_ms: int, timezone: ZoneInfo
) -> list[CourseAhead]:
    """The forecast from now to each midnight left; its last is that of the period's end. Empty
    where too few days are known."""
    told = []
    for at_ms in [now_ms, *_midnights(now_ms, period.end_ms, timezone)]:
        found = projected(used, daily, (at_ms - now_ms) / MS_PER_DAY)
        if found is None:
            return []
        told.append(CourseAhead(to_rfc3339(at_ms), found.value, found.low, found.high))
    return told


def _midnights(after_ms: int, end_ms: int, timezone: ZoneInfo) -> list[int]:
    """Of each day up to the end, or of each week where that is long; always the end itself."""
    left = (end_ms - after_ms) // MS_PER_DAY + 1
    every = 1 if left <= _MOST_AHEAD else 7
    end = datetime.fromtimestamp(end_ms / 1000, timezone).date()
    found = (midnight_ms(end - timedelta(days=n), timezone) for n in range(0, left + 1, every))
    return sorted(at for at in found if at > after_ms)
