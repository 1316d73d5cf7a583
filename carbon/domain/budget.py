"""Budgets: what may be used in a civil period, and where the use of today leads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from carbon.domain.uncertainty import Interval

#: Fewer days than these tell no spread.
FEWEST_DAYS = 3
#: Central 95 % of a normal distribution, in standard deviations.
_SIGMAS_95 = 1.96


class Measure(StrEnum):
    """What is limited, by the names that answers use. The first two add up over a period."""

    TOTAL_G = "total_g"
    ENERGY_KWH = "energy_kwh"
    SCI_G_PER_UNIT = "sci_g_per_unit"

    @property
    def adds_up(self) -> bool:
        return self is not Measure.SCI_G_PER_UNIT


class Period(StrEnum):
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Standing(StrEnum):
    """How a budget stands; `AT_RISK` where its amount lies within the forecast's interval."""

    KEPT = "kept"
    AT_RISK = "at_risk"
    MISSED = "missed"
    EXCEEDED = "exceeded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount of a measure per civil period; of a workload, a team, or with neither of all."""

    id: int
    measure: Measure
    amount: float
    period: Period
    team: str | None
    workload: str | None
    #: Of SCI: grams per one of these.
    unit: str | None
    created_ms: int
    created_by: str


def projected(used: float, daily: Sequence[float], days_left: float) -> Interval | None:
    """Use at the period's end: what is used, and the mean day once for each day left.

    `daily` are whole days just past. Their scatter makes the interval: that of the days to come,
    and that of the mean learned from so few days. It knows of no growth and no weekday. None
    where too few days are known; never below what is used already.
    """
    if days_left <= 0:
        return Interval.exact(used)
    if len(daily) < FEWEST_DAYS:
        return None
    spread = stdev(daily) * math.sqrt(days_left + days_left**2 / len(daily))
    value = used + fmean(daily) * days_left
    return Interval(value, max(used, value - _SIGMAS_95 * spread), value + _SIGMAS_95 * spread)


def standing(amount: float, used: float | None, forecast: Interval | None) -> Standing:
    """Of a measure that adds up what is over is over; a rate may still come down again."""
    if used is not None and used > amount and (forecast is None or forecast.low > amount):
        return Standing.EXCEEDED
    if forecast is None:
        return Standing.UNKNOWN
    if forecast.high <= amount:
        return Standing.KEPT
    return Standing.MISSED if forecast.low > amount else Standing.AT_RISK
