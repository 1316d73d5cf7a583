"""Budgets: set, ended, and how each stands today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.budget import Budget, Measure, Standing, projected, standing
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.domain.uncertainty import Interval
from carbon.domain.units import MS_PER_DAY
from carbon.errors import Forbidden, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.sci.civil_period import CivilPeriod, period_around
from carbon.services.sci.question import Question, known_workload
from carbon.services.sci.sci import workload_sci
from carbon.services.sci.time_range import TimeRange, midnight_ms
from carbon.services.screens.breakdown import Breakdown, BreakdownLine, By, breakdown
from carbon.services.screens.burn_down import ahead, course
from carbon.storage import audit
from carbon.storage.budgets import end_budget, find_budget, insert_budget, standing_budgets
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id
from carbon.wire.answer import SciAnswer
from carbon.wire.budgets import (
    Bounds,
    BudgetAnswer,
    BudgetBody,
    BudgetList,
    CourseAhead,
    CoursePoint,
)

BUDGET_SET: Final = "budget.set"
BUDGET_ENDED: Final = "budget.ended"
#: Days that a forecast rests on: four whole weeks, so that each weekday counts alike.
LEARNED_DAYS: Final = 28


def set_budget(context: Context, principal: Principal, body: BudgetBody) -> BudgetAnswer:
    """Sets a budget in place of a standing one of the same subject, measure and period.

    Raises InvalidInput (`invalid_amount`, `workload_required`, `unit_not_of_sci`, `unit_required`,
    `unknown_unit`), NotFound (`unknown_workload`), Forbidden (`team_forbidden`).
    """
    principal.require(Scope.WORKLOADS_WRITE)
    made = _asked(context, principal, body)
    with writing(context.engine) as connection:
        workload_id = None
        if made.workload is not None:
            name = principal.workload(f"{made.team}/{made.workload}")
            workload_id = known_workload(connection, principal, name)
        team = None if made.team is None else team_id(connection, made.team, made.created_ms)
        budget_id = insert_budget(connection, made, team, workload_id)
        told = {"measure": str(made.measure), "amount": made.amount, "period": str(made.period)}
        audit.append(
            connection, made.created_ms, principal.key_id, BUDGET_SET, str(budget_id), told
        )
        stored = find_budget(connection, budget_id)
    assert stored is not None
    [answer] = _Standings(context, principal).answers([stored])
    return answer


def _asked(context: Context, principal: Principal, body: BudgetBody) -> Budget:
    """The budget as its body means it."""
    if not 0 < body.amount < float("inf"):
        raise InvalidInput("invalid_amount", "a budget is a positive number")
    team, workload = body.team, None
    if body.workload is not None:
        name = principal.workload(body.workload)
        if team not in (None, name.team):
            raise InvalidInput("two_teams", "the workload is another team's than the one named")
        team, workload = name.team, name.name
    elif team is None and not principal.sees_all_teams:
        team = principal.team
    if team != principal.team and not principal.sees_all_teams:
        raise Forbidden("team_forbidden", "this key sets budgets of its own team alone")
    return Budget(
        0,
        body.measure,
        body.amount,
        body.period,
        team,
        workload,
        _unit(context, principal, body),
        context.clock.now_ms(),
        principal.key_id,
    )


def _unit(context: Context, principal: Principal, body: BudgetBody) -> str | None:
    """The functional unit of a limit on SCI: the only one, where none is named."""
    if body.measure.adds_up:
        if body.unit is not None:
            raise InvalidInput("unit_not_of_sci", "only a budget of SCI has a functional unit")
        return None
    if body.workload is None:
        raise InvalidInput("workload_required", "a budget of SCI is a workload's: name one")
    return workload_sci(context, principal, Question(body.workload, unit=body.unit)).unit


def list_budgets(context: Context, principal: Principal) -> BudgetList:
    """Those in force that the principal may see, and how each stands."""
    with reading(context.engine) as connection:
        team = None if principal.sees_all_teams else principal.team
        found = standing_budgets(connection, team)
    return BudgetList(_Standings(context, principal).answers(found))


#: The most pressing first.
_BY_URGENCY: Final = (
    Standing.EXCEEDED,
    Standing.MISSED,
    Standing.AT_RISK,
    Standing.UNKNOWN,
    Standing.KEPT,
)


def worst_budgets(context: Context, principal: Principal, limit: int) -> list[BudgetAnswer]:
    """As `list_budgets`, the most pressing first."""
    found = list_budgets(context, principal).budgets
    return sorted(found, key=lambda known: _BY_URGENCY.index(Standing(known.standing)))[:limit]


def read_budget(context: Context, principal: Principal, budget_id: int) -> BudgetAnswer:
    """Raises NotFound(`unknown_budget`), also for another team's."""
    with reading(context.engine) as connection:
        found = _own(connection, principal, budget_id)
    [answer] = _Standings(context, principal).answers([found])
    return answer


def drop_budget(context: Context, principal: Principal, budget_id: int) -> None:
    """Ends it from now on. Raises NotFound(`unknown_budget`)."""
    principal.require(Scope.WORKLOADS_WRITE)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        _own(connection, principal, budget_id)
        end_budget(connection, budget_id, now_ms)
        audit.append(connection, now_ms, principal.key_id, BUDGET_ENDED, str(budget_id), {})


def _own(connection: Connection, principal: Principal, budget_id: int) -> Budget:
    found = find_budget(connection, budget_id)
    if found is None or (found.team != principal.team and not principal.sees_all_teams):
        raise NotFound("unknown_budget", f"no budget {budget_id}")
    return found


class _Standings:
    """Reads each stretch of the ledger once, however many budgets rest on it."""

    def __init__(self, context: Context, principal: Principal) -> None:
        self._context = context
        self._principal = principal
        self._now_ms = context.clock.now_ms()
        self._timezone = ZoneInfo(context.settings.timezone)
        today = datetime.fromtimestamp(self._now_ms / 1000, self._timezone).date()
        self._today_ms = midnight_ms(today, self._timezone)
        self._tomorrow_ms = midnight_ms(today + timedelta(days=1), self._timezone)
        first = today - timedelta(days=LEARNED_DAYS)
        self._learned = TimeRange(midnight_ms(first, self._timezone), self._today_ms, "")
        self._told_of: dict[TimeRange, Breakdown] = {}

    def answers(self, budgets: Sequence[Budget]) -> list[BudgetAnswer]:
        return [self._answer(budget) for budget in budgets]

    def _answer(self, budget: Budget) -> BudgetAnswer:
        period = period_around(self._now_ms, budget.period, self._timezone)
        days_left = (period.end_ms - self._now_ms) / MS_PER_DAY
        if budget.measure.adds_up:
            return self._summed(budget, period, days_left)
        return self._rated(budget, period, days_left)

    def _summed(self, budget: Budget, period: CivilPeriod, days_left: float) -> BudgetAnswer:
        """What is used so far, by step too, and where the whole days just past lead."""
        so_far = TimeRange(period.start_ms, self._tomorrow_ms, "")
        lines = self._of(budget, so_far)
        daily = [day for day in self._by_step(budget, self._learned) if day is not None]
        if not lines:
            return self._told(budget, period, None, None, len(daily))
        used = sum(_used(line, budget.measure) for line in lines)
        forecast = projected(used, daily, days_left)
        whole = self._told_of[so_far]
        steps = [amount or 0.0 for amount in self._by_step(budget, so_far)]
        return self._told(
            budget,
            period,
            used,
            forecast,
            len(daily),
            course(whole.steps_ms, so_far.step_ms, steps, used, period, self._now_ms),
            ahead(used, daily, period, self._now_ms, self._timezone),
        )

    def _by_step(self, budget: Budget, window: TimeRange) -> list[float | None]:
        """Null where nothing was read."""
        columns = zip(
            *(_steps(line, budget.measure) for line in self._of(budget, window)), strict=True
        )
        return [
            sum(filter(None, step)) if any(v is not None for v in step) else None
            for step in columns
        ]

    def _of(self, budget: Budget, window: TimeRange) -> Sequence[BreakdownLine]:
        if window not in self._told_of:
            self._told_of[window] = breakdown(self._context, self._principal, window, By.WORKLOAD)
        return [line for line in self._told_of[window].lines if _is_of(line.name, budget)]

    def _rated(self, budget: Budget, period: CivilPeriod, days_left: float) -> BudgetAnswer:
        """Of SCI: the carbon and the units of the days left come as those of the last 28."""
        so_far = self._sci(budget, period.start_ms, self._now_ms)
        learned = self._sci(budget, self._learned.start_ms, self._today_ms)
        weight = days_left / LEARNED_DAYS
        count = so_far.count + learned.count * weight
        forecast = None
        if (
            count
            and learned.sci_g_per_unit
            and learned.low is not None
            and learned.high is not None
        ):
            value = (so_far.total_g + learned.total_g * weight) / count
            low, high = (
                value * bound / learned.sci_g_per_unit for bound in (learned.low, learned.high)
            )
            forecast = Interval(value, low, high)
        return self._told(
            budget, period, so_far.sci_g_per_unit, forecast, LEARNED_DAYS if forecast else 0
        )

    def _sci(self, budget: Budget, start_ms: int, end_ms: int) -> SciAnswer:
        question = Question(f"{budget.team}/{budget.workload}", start_ms, end_ms, budget.unit)
        return workload_sci(self._context, self._principal, question)

    def _told(
        self,
        budget: Budget,
        period: CivilPeriod,
        used: float | None,
        forecast: Interval | None,
        days_known: int,
        course_so_far: list[CoursePoint] | None = None,
        course_ahead: list[CourseAhead] | None = None,
    ) -> BudgetAnswer:
        stands = standing(budget.amount, used, forecast)
        return BudgetAnswer(
            id=budget.id,
            team=budget.team,
            workload=None if budget.workload is None else f"{budget.team}/{budget.workload}",
            measure=str(budget.measure),
            unit=budget.unit,
            amount=budget.amount,
            period=str(budget.period),
            start=to_rfc3339(period.start_ms),
            end=to_rfc3339(period.end_ms),
            used=used,
            elapsed=(self._now_ms - period.start_ms) / (period.end_ms - period.start_ms),
            forecast=None
            if forecast is None
            else Bounds(forecast.value, forecast.low, forecast.high),
            standing=str(stands),
            reason=_reason(used, forecast),
            days_known=days_known,
            created_at=to_rfc3339(budget.created_ms),
            course=course_so_far or [],
            ahead=course_ahead or [],
        )


def _is_of(line: str, budget: Budget) -> bool:
    if budget.team is None:
        return True
    team, _, workload = line.partition("/")
    return team == budget.team and budget.workload in (None, workload)


def _used(line: BreakdownLine, measure: Measure) -> float:
    return line.energy_kwh if measure is Measure.ENERGY_KWH else line.total_g.value


def _steps(line: BreakdownLine, measure: Measure) -> list[float | None]:
    is_energy = measure is Measure.ENERGY_KWH
    return line.energy_kwh_by_step if is_energy else line.total_g_by_step


def _reason(used: float | None, forecast: Interval | None) -> str | None:
    if used is None:
        return "nothing_measured"
    return "too_few_days" if forecast is None else None
