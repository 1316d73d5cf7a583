"""Screens of the sustainability lead: breakdown, avoided carbon, shadow mode, data quality."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from carbon.auth.access import ContextOf, Reader
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.services.jobs.shadow import shadow_of_ledger
from carbon.services.screens.avoided import Avoided, avoided
from carbon.services.screens.breakdown import Breakdown, By, breakdown
from carbon.services.screens.quality import Quality, quality
from carbon.web.chart_specs import avoided_chart, breakdown_chart
from carbon.web.screens import screen_csv, screen_json, screen_page, show_screen
from carbon.web.time_query import Times
from carbon.wire.shadow import ShadowAnswer

router = APIRouter(include_in_schema=False)
ByQuery = Annotated[By, Query(alias="by")]
TeamQuery = Annotated[str | None, Query(max_length=100)]


def _breakdown(
    principal: Reader,
    context: ContextOf,
    times: Times,
    by: ByQuery = By.WORKLOAD,
    team: TeamQuery = None,
) -> Breakdown:
    return breakdown(context, principal, times.resolve(context), by, team)


def _avoided(principal: Reader, context: ContextOf, times: Times) -> Avoided:
    return avoided(context, principal, times.resolve(context))


def _quality(principal: Reader, context: ContextOf, times: Times) -> Quality:
    return quality(context, principal, times.resolve(context))


def _shadow(principal: Reader, context: ContextOf, times: Times) -> ShadowAnswer:
    window = times.resolve(context)
    return shadow_of_ledger(context, principal, window.start_ms, window.end_ms)


#: What JSON and CSV say alike. A page asks for itself, since it shows errors as a page.
BreakdownOf = Annotated[Breakdown, Depends(_breakdown)]
AvoidedOf = Annotated[Avoided, Depends(_avoided)]
ShadowOf = Annotated[ShadowAnswer, Depends(_shadow)]
QualityOf = Annotated[Quality, Depends(_quality)]


@router.get("/breakdown")
def breakdown_screen(
    request: Request,
    context: ContextOf,
    times: Times,
    by: ByQuery = By.WORKLOAD,
    team: TeamQuery = None,
) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = breakdown(context, principal, window, by, team)
        charts = [breakdown_chart(answer)]
        return screen_page(
            request, principal, "breakdown", answer, charts=charts, window=window, groups=list(By)
        )

    return show_screen(request, render)


@router.get("/web/breakdown.json")
def breakdown_json(answer: BreakdownOf) -> Response:
    return screen_json(answer)


@router.get("/web/breakdown.csv")
def breakdown_csv(answer: BreakdownOf) -> Response:
    head = (
        *(answer.by, "start", "end", "energy_kwh", "operational_g", "embodied_g", "total_g"),
        *("total_low_g", "total_high_g", "share", "measured_share", "device_hours"),
    )
    span = (to_rfc3339(answer.start_ms), to_rfc3339(answer.end_ms))
    return screen_csv(
        "breakdown",
        head,
        (
            (
                *(line.name, *span, line.energy_kwh, line.operational_g, line.embodied_g),
                *(line.total_g.value, line.total_g.low, line.total_g.high, line.share),
                *(line.measured_share, line.device_hours),
            )
            for line in answer.lines
        ),
    )


@router.get("/avoided")
def avoided_screen(request: Request, context: ContextOf, times: Times) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = avoided(context, principal, window)
        charts = [avoided_chart(answer)]
        return screen_page(request, principal, "avoided", answer, charts=charts, window=window)

    return show_screen(request, render)


@router.get("/web/avoided.json")
def avoided_json(answer: AvoidedOf) -> Response:
    return screen_json(answer)


@router.get("/web/avoided.csv")
def avoided_csv(answer: AvoidedOf) -> Response:
    head = (
        *("job", "name", "workload", "booked", "energy_kwh", "actual_g", "counterfactual_g"),
        *("saving_g", "credited_g", "expected_saving_g", "delay_h", "flags"),
    )
    return screen_csv(
        "avoided",
        head,
        (
            (
                *(j.job, j.name, j.workload, to_rfc3339(j.booked_ms), j.energy_kwh, j.actual_g),
                *(j.counterfactual_g, j.saving_g, j.credited_g, j.expected_saving_g, j.delay_h),
                " ".join(j.flags),
            )
            for j in answer.jobs
        ),
    )


@router.get("/quality")
def quality_screen(request: Request, context: ContextOf, times: Times) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = quality(context, principal, window)
        return screen_page(request, principal, "quality", answer, window=window)

    return show_screen(request, render)


@router.get("/web/quality.json")
def quality_json(answer: QualityOf) -> Response:
    return screen_json(answer)


@router.get("/web/quality.csv")
def quality_csv(answer: QualityOf) -> Response:
    return screen_csv(
        "quality",
        ("method", "is_measured", "energy_kwh", "share"),
        ((part.name, part.is_measured, part.energy_kwh, part.share) for part in answer.methods),
    )


@router.get("/shadow")
def shadow_screen(request: Request, context: ContextOf, times: Times) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = shadow_of_ledger(context, principal, window.start_ms, window.end_ms)
        timezone = context.settings.timezone
        return screen_page(request, principal, "shadow", answer, window=window, timezone=timezone)

    return show_screen(request, render)


@router.get("/web/shadow.json")
def shadow_json(answer: ShadowOf) -> Response:
    return screen_json(answer)


@router.get("/web/shadow.csv")
def shadow_csv(answer: ShadowOf) -> Response:
    head = ("team", "jobs", "as_they_came_g", "saving_g")
    rows = ((t.team, t.jobs, t.as_they_came_g, t.saving_g) for t in answer.teams)
    return screen_csv("shadow", head, rows)
