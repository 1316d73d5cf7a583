"""GET and POST of /v1/budgets."""

from __future__ import annotations

from msgspec import Struct

from carbon.domain.budget import Measure, Period
from carbon.wire.energy import Text


class BudgetBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An amount that a workload, a team, or with neither the whole deployment may use."""

    measure: Measure
    amount: float
    period: Period
    team: Text | None = None
    #: `name` or `team/name`; SCI is limited of a workload alone.
    workload: Text | None = None
    #: Of SCI; may be left out where the workload has but one.
    unit: Text | None = None


class Bounds(Struct, frozen=True):
    """A value and its central 95 %."""

    value: float
    low: float
    high: float


class CoursePoint(Struct, frozen=True):
    """What was used from the period's start to a moment."""

    at: str
    used: float


class CourseAhead(Struct, frozen=True):
    """What will be used up to a moment, with its central 95 %."""

    at: str
    value: float
    low: float
    high: float


class BudgetAnswer(Struct, frozen=True):
    id: int
    #: Null for the whole deployment.
    team: str | None
    #: `team/name`, or null for all of the team.
    workload: str | None
    measure: str
    unit: str | None
    amount: float
    period: str
    start: str
    end: str
    #: So far in the period; null where nothing is known.
    used: float | None
    #: Of the period that is over; between 0 and 1.
    elapsed: float
    #: At the period's end, if the days to come are like the last 28.
    forecast: Bounds | None
    #: kept, at_risk, missed, exceeded or unknown.
    standing: str
    #: Why something is null.
    reason: str | None
    #: Whole days with readings that the forecast rests on.
    days_known: int
    created_at: str
    #: Of a measure that adds up: from 0 at the start to `used` now, by day or, in a year, by week.
    course: list[CoursePoint]
    #: From now to the period's end, which is `forecast`.
    ahead: list[CourseAhead]


class BudgetList(Struct, frozen=True):
    budgets: list[BudgetAnswer]
