"""The stretch of time that a page shows, from its address; civil days of CARBON_TIMEZONE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from carbon.clock import from_rfc3339
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.errors import InvalidInput

#: What a page offers by one click, in civil days up to and with today.
PRESETS: Final = {"today": 1, "7d": 7, "30d": 30, "90d": 90, "365d": 365}
DEFAULT_PRESET: Final = "7d"
LONGEST_DAYS: Final = 3660
#: Up to so many days are drawn hour by hour, and up to so many day by day; then week by week.
_HOURLY_DAYS, _DAILY_DAYS = 2, 92


@dataclass(frozen=True, slots=True)
class TimeRange:
    """[start, end) on midnights; the last day may not be over."""

    start_ms: int
    end_ms: int
    #: As the address says it: a preset, or empty where start and end were given.
    preset: str

    @property
    def days(self) -> int:
        return round((self.end_ms - self.start_ms) / MS_PER_DAY)

    @property
    def is_daily(self) -> bool:
        """Whether the roll-up of days serves it."""
        return self.days > _HOURLY_DAYS

    @property
    def step_ms(self) -> int:
        if not self.is_daily:
            return MS_PER_HOUR
        return MS_PER_DAY if self.days <= _DAILY_DAYS else 7 * MS_PER_DAY

    @property
    def whole_ms(self) -> int:
        """A step that all of it falls into, its last day too."""
        return self.end_ms - self.start_ms + MS_PER_DAY

    def before(self) -> TimeRange:
        """The stretch of the same length before it, to compare with."""
        return TimeRange(self.start_ms - (self.end_ms - self.start_ms), self.start_ms, "")


def time_range(
    last: str | None, start: str | None, end: str | None, now_ms: int, timezone: ZoneInfo
) -> TimeRange:
    """From `last=7d`, or `start=` and `end=` as dates (the end included) or moments.

    Raises InvalidInput: `unknown_range`, `invalid_date`, `end_before_start`, `range_in_future`,
    `range_too_long`.
    """
    today = datetime.fromtimestamp(now_ms / 1000, timezone).date()
    if not start and not end:
        preset = last or DEFAULT_PRESET
        if preset not in PRESETS:
            raise InvalidInput("unknown_range", f"last takes one of {', '.join(PRESETS)}")
        first = today - timedelta(days=PRESETS[preset] - 1)
        return TimeRange(
            midnight_ms(first, timezone), midnight_ms(today + timedelta(days=1), timezone), preset
        )
    start_ms = _day_ms(start, timezone, 0) if start else midnight_ms(today, timezone)
    end_ms = _day_ms(end, timezone, 1) if end else midnight_ms(today + timedelta(days=1), timezone)
    if start_ms > now_ms:
        raise InvalidInput("range_in_future", "nothing is measured yet of days to come")
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "the last day must not lie before the first")
    if end_ms - start_ms > LONGEST_DAYS * MS_PER_DAY:
        raise InvalidInput("range_too_long", "a page shows ten years at most")
    return TimeRange(start_ms, end_ms, "")


def _day_ms(text: str, timezone: ZoneInfo, days_on: int) -> int:
    """Midnight of a date `days_on` later; of a moment, of the day it lies in."""
    try:
        if "T" in text:
            at = datetime.fromtimestamp(from_rfc3339(text) / 1000, timezone)
        else:
            at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone)
        return midnight_ms(at.date() + timedelta(days=days_on), timezone)
    except (ValueError, OverflowError, OSError):
        raise InvalidInput("invalid_date", f"{text!r} is no date: write 2026-05-31") from None


def midnight_ms(date: Date, timezone: ZoneInfo) -> int:
    """When a civil day begins."""
    day = datetime(date.year, date.month, date.day, tzinfo=timezone)
    return round(day.timestamp() * 1000)
