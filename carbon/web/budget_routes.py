"""The screen of budgets: how each stands, and a form to set and to end them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from carbon.auth.access import ContextOf, Reader
from carbon.domain.budget import Measure, Period
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.services.screens.budgets import drop_budget, list_budgets, read_budget, set_budget
from carbon.services.screens.workload_view import known_names
from carbon.web.burn import burn_chart
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.wire.budgets import BudgetBody, BudgetList

router = APIRouter(include_in_schema=False)
#: What the form's amount is in, and how many of the ledger's unit that is.
_SIZES: Final = {Measure.TOTAL_G: 1000.0, Measure.ENERGY_KWH: 1.0, Measure.SCI_G_PER_UNIT: 1.0}


def _budgets(principal: Reader, context: ContextOf) -> BudgetList:
    return list_budgets(context, principal)


BudgetsOf = Annotated[BudgetList, Depends(_budgets)]


@router.get("/budgets")
def budgets_screen(request: Request, context: ContextOf) -> Response:
    def render(principal: Principal) -> Response:
        answer = list_budgets(context, principal)
        timezone = context.settings.timezone
        return screen_page(
            request,
            principal,
            "budgets",
            answer,
            charts=[burn_chart(b, timezone) for b in answer.budgets if b.course],
            workloads=known_names(context, principal),
            may_set=Scope.WORKLOADS_WRITE in principal.scopes,
            measures=list(Measure),
            periods=list(Period),
        )

    return show_screen(request, render)


@router.get("/web/budgets.json")
def budgets_json(answer: BudgetsOf) -> Response:
    return screen_json(answer)


@router.get("/web/budgets.csv")
def budgets_csv(answer: BudgetsOf) -> Response:
    head = (
        *("id", "team", "workload", "measure", "unit", "amount", "period", "start", "end"),
        *("used", "elapsed", "forecast", "forecast_low", "forecast_high", "standing", "reason"),
    )
    return screen_csv(
        "budgets",
        head,
        (
            (
                *(b.id, b.team, b.workload, b.measure, b.unit, b.amount, b.period),
                *(b.start, b.end, b.used, b.elapsed),
                *(
                    (b.forecast.value, b.forecast.low, b.forecast.high)
                    if b.forecast
                    else [None] * 3
                ),
                *(b.standing, b.reason),
            )
            for b in answer.budgets
        ),
    )


@router.get("/web/budgets/{budget_id}.csv")
def course_csv(principal: Reader, context: ContextOf, budget_id: int) -> Response:
    """What a budget's chart draws: use until now, then the forecast with its bounds."""
    found = read_budget(context, principal, budget_id)
    used = ((p.at, p.used, None, None, None) for p in found.course)
    ahead = ((p.at, None, p.value, p.low, p.high) for p in found.ahead)
    head = ("at", "used", "forecast", "forecast_low", "forecast_high")
    return screen_csv(f"budget-{budget_id}", head, (*used, *ahead))


@router.post("/budgets")
async def set_from_form(request: Request, context: ContextOf) -> Response:
    def act(principal: Principal, form: dict[str, str]) -> Response:
        set_budget(context, principal, _asked(principal, form))
        return seen_at("/budgets")

    return await answer_form(request, act)


@router.post("/budgets/{budget_id}/end")
async def end_from_form(request: Request, context: ContextOf, budget_id: int) -> Response:
    def act(principal: Principal, _form: dict[str, str]) -> Response:
        drop_budget(context, principal, budget_id)
        return seen_at("/budgets")

    return await answer_form(request, act)


def _asked(principal: Principal, form: dict[str, str]) -> BudgetBody:
    """Raises InvalidInput: `invalid_amount`, `invalid_choice`."""
    try:
        measure, period = Measure(form.get("measure", "")), Period(form.get("period", ""))
    except ValueError:
        raise InvalidInput("invalid_choice", "choose what is limited, and for how long") from None
    try:
        amount = float(form.get("amount", "")) * _SIZES[measure]
    except ValueError:
        raise InvalidInput("invalid_amount", "a budget is a positive number") from None
    of = form.get("of", "")
    team = None if of or principal.sees_all_teams else principal.team
    return BudgetBody(
        measure, amount, period, team=team, workload=of or None, unit=form.get("unit") or None
    )
