"""Civil days and months of a time zone, as [start, end) in epoch ms."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


def civil_days(start_ms: int, end_ms: int, timezone: ZoneInfo) -> list[tuple[int, int]]:
    """The civil days that [start, end) touches; 23 to 25 h long."""
    days: list[tuple[int, int]] = []
    at = datetime.fromtimestamp(start_ms / 1000, timezone).date()
    lo = _midnight_ms(at, timezone)
    while lo < end_ms:
        at += timedelta(days=1)
        hi = _midnight_ms(at, timezone)
        days.append((lo, hi))
        lo = hi
    return days


def civil_month(at_ms: int, timezone: ZoneInfo) -> tuple[int, int]:
    """The civil month that a moment lies in."""
    first = datetime.fromtimestamp(at_ms / 1000, timezone).date().replace(day=1)
    next_first = (first + timedelta(days=32)).replace(day=1)
    return _midnight_ms(first, timezone), _midnight_ms(next_first, timezone)


def is_midnight(at_ms: int, timezone: ZoneInfo) -> bool:
    """Whether a civil day begins at a moment."""
    return _midnight_ms(datetime.fromtimestamp(at_ms / 1000, timezone).date(), timezone) == at_ms


@lru_cache(maxsize=8192)
def _midnight_ms(day: date, timezone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=timezone).timestamp() * 1000)
