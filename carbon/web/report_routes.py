"""Screens of reports: the archive, one report, what it would say now, two beside each other."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from carbon.auth.access import ContextOf, Reader
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.exports.formats import FORMS
from carbon.exports.issued import Issued
from carbon.services.context import Context
from carbon.services.reports.comparison import ReportComparison, compare_reports
from carbon.services.reports.reports import issue_report, list_reports, read_report
from carbon.services.reports.restatement import restate_report
from carbon.services.screens.workload_view import known_names
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.web.time_query import TimeQuery
from carbon.wire.reports import ReportBody, ReportList, RestateAnswer, RestateBody

router = APIRouter(include_in_schema=False)
After = Annotated[str | None, Query(max_length=100)]
#: The two reports of a comparison.
Id = Annotated[str, Query(max_length=100)]
_REPORTS_AT_ONCE: Final = 50


def _reports(principal: Reader, context: ContextOf, after: After = None) -> ReportList:
    return list_reports(context, principal, _REPORTS_AT_ONCE, after)


def _comparison(principal: Reader, context: ContextOf, a: Id, b: Id) -> ReportComparison:
    return compare_reports(context, principal, a, b)


#: What JSON and CSV say alike. A page asks for itself, since it shows errors as a page.
ReportsOf = Annotated[ReportList, Depends(_reports)]
ComparisonOf = Annotated[ReportComparison, Depends(_comparison)]


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
        title=form.get("title", "").strip()[:200] or _named(form),
    )


def _named(form: dict[str, str]) -> str:
    """Of a report that nobody gave a title: what it is of, and of which days."""
    return f"{form.get('workload', '')}, {form.get('start', '')} to {form.get('end', '')}"[:200]


@router.get("/reports/compare")
def comparison_screen(request: Request, context: ContextOf, a: Id, b: Id) -> Response:
    def render(principal: Principal) -> Response:
        answer = compare_reports(context, principal, a, b)
        return screen_page(
            request, principal, "report_comparison", answer, timezone=context.settings.timezone
        )

    return show_screen(request, render)


@router.get("/web/report_comparison.json")
def comparison_json(answer: ComparisonOf) -> Response:
    return screen_json(answer)


@router.get("/web/report_comparison.csv")
def comparison_csv(answer: ComparisonOf) -> Response:
    figures = ("sci_g_per_unit", "low", "high", "count", "total_g")
    return screen_csv(
        "report-comparison",
        (
            *("workload", "unit"),
            *(f"{side}_{name}" for side in "ab" for name in figures),
            *("sci_change", "total_change"),
        ),
        (
            (
                *(line.workload, line.unit),
                *(getattr(side, name, None) for side in (line.a, line.b) for name in figures),
                *(line.sci_change, line.total_change),
            )
            for line in answer.lines
        ),
    )


@router.get("/reports/{report_id}")
def report_screen(request: Request, context: ContextOf, report_id: str) -> Response:
    return show_screen(request, lambda principal: _page(request, context, principal, report_id))


@router.post("/reports/{report_id}/restate")
async def restate(request: Request, context: ContextOf, report_id: str) -> Response:
    """Without `sure` it shows what the report would say now; with it, that is issued."""

    def act(principal: Principal, form: dict[str, str]) -> Response:
        principal.require(Scope.WORKLOADS_WRITE)
        reason = form.get("reason", "").strip()[:2000]
        body = RestateBody(commit="sure" in form, reason=reason)
        told = restate_report(context, principal, report_id, body)
        if told.restated is not None:
            return seen_at(f"/reports/{told.restated.id}")
        return _page(request, context, principal, report_id, told, reason)

    return await answer_form(request, act)


def _page(
    request: Request,
    context: Context,
    principal: Principal,
    report_id: str,
    tried: RestateAnswer | None = None,
    reason: str = "",
) -> Response:
    answer = read_report(context, principal, report_id)
    may_restate = Scope.WORKLOADS_WRITE in principal.scopes and not answer.superseded_by
    others = [
        report
        for report in list_reports(context, principal, _REPORTS_AT_ONCE, None).reports
        if report.id != report_id
    ]
    return screen_page(
        request,
        principal,
        "report",
        answer,
        data=f"/v1/reports/{report_id}",
        statement=Issued.of(answer).statement,
        formats=list(FORMS),
        may_restate=may_restate,
        tried=tried,
        reason=reason,
        others=others,
        timezone=context.settings.timezone,
    )
