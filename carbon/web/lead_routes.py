"""Screens of the sustainability lead: breakdown, reports, avoided carbon, data quality."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from carbon.auth.access import ContextOf, Reader
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.exports.formats import FORMS
from carbon.exports.issued import Issued
from carbon.services.avoided import Avoided, avoided
from carbon.services.breakdown import Breakdown, By, breakdown
from carbon.services.context import Context
from carbon.services.quality import Quality, quality
from carbon.services.reports import issue_report, list_reports, read_report
from carbon.services.workload_view import known_names
from carbon.web.chart_specs import breakdown_chart
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.web.time_query import TimeQuery, Times
from carbon.wire.reports import ReportBody, ReportList

router = APIRouter(include_in_schema=False)
ByQuery = Annotated[By, Query(alias="by")]
TeamQuery = Annotated[str | None, Query(max_length=100)]
After = Annotated[str | None, Query(max_length=100)]
_REPORTS_AT_ONCE: Final = 50


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


def _reports(principal: Reader, context: ContextOf, after: After = None) -> ReportList:
    return list_reports(context, principal, _REPORTS_AT_ONCE, after)


#: What JSON and CSV say alike. A page asks for itself, since it shows errors as a page.
BreakdownOf = Annotated[Breakdown, Depends(_breakdown)]
AvoidedOf = Annotated[Avoided, Depends(_avoided)]
QualityOf = Annotated[Quality, Depends(_quality)]
ReportsOf = Annotated[ReportList, Depends(_reports)]


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
        return screen_page(request, principal, "avoided", answer, window=window)

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


@router.get("/reports")
def reports_screen(request: Request, context: ContextOf, after: After = None) -> Response:
    def render(principal: Principal) -> Response:
        answer = list_reports(context, principal, _REPORTS_AT_ONCE, after)
        workloads = known_names(context, principal)
        may_issue = Scope.WORKLOADS_WRITE in principal.scopes
        return screen_page(
            request, principal, "reports", answer, workloads=workloads, may_issue=may_issue
        )

    return show_screen(request, render)


@router.get("/web/reports.json")
def reports_json(answer: ReportsOf) -> Response:
    return screen_json(answer)


@router.get("/web/reports.csv")
def reports_csv(answer: ReportsOf) -> Response:
    return screen_csv(
        "reports",
        ("id", "title", "team", "issued_at", "statement_hash", "restates"),
        (
            (r.id, r.title, r.team, r.issued_at, r.statement_hash, r.restates)
            for r in answer.reports
        ),
    )


@router.post("/reports")
async def issue(request: Request, context: ContextOf) -> Response:
    """Issues a report from the form, and shows it."""

    def act(principal: Principal, form: dict[str, str]) -> Response:
        principal.require(Scope.WORKLOADS_WRITE)
        report = issue_report(context, principal, _asked(context, form))
        return seen_at(f"/reports/{report.id}")

    return await answer_form(request, act)


def _asked(context: Context, form: dict[str, str]) -> ReportBody:
    """Days are whole civil days, the last one included."""
    times = TimeQuery(None, form.get("start"), form.get("end"))
    window = times.resolve(context)
    return ReportBody(
        start=to_rfc3339(window.start_ms),
        end=to_rfc3339(min(window.end_ms, context.clock.now_ms())),
        workloads=[form.get("workload", "")],
        title=form.get("title", "")[:200],
    )


@router.get("/reports/{report_id}")
def report_screen(request: Request, context: ContextOf, report_id: str) -> Response:
    def render(principal: Principal) -> Response:
        answer = read_report(context, principal, report_id)
        return screen_page(
            request,
            principal,
            "report",
            answer,
            data=f"/v1/reports/{report_id}",
            statement=Issued.of(answer).statement,
            formats=list(FORMS),
        )

    return show_screen(request, render)
