"""Months, quarters and years as the deployment's civil calendar has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from carbon.domain.budget import Period
from carbon.services.sci.time_range import midnight_ms

_MONTHS: Final = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


@dataclass(frozen=True, slots=True)
class CivilPeriod:
    """[start, end) on midnights of the time zone."""

    start_ms: int
    end_ms: int


def period_around(at_ms: int, period: Period, timezone: ZoneInfo) -> CivilPeriod:
    """The month, quarter or year that holds a moment."""
    today = datetime.fromtimestamp(at_ms / 1000, timezone).date()
    months = _MONTHS[period]
    first = (today.month - 1) // months * months
    last = first + months
    return CivilPeriod(
        midnight_ms(Date(today.year, first + 1, 1), timezone),
        midnight_ms(Date(today.year + last // 12, last % 12 + 1, 1), timezone),
    )
