"""Screens of the team: its workloads, two compared, a job planned, jobs."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import Struct

from carbon.auth.access import ContextOf, Reader
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_HOUR
from carbon.domain.yearly import WORLD
from carbon.errors import InvalidInput
from carbon.executors.registry import build_executors
from carbon.services.background.polling import zones_in_use
from carbon.services.context import Context
from carbon.services.grid.intensity import known_zone
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.outlook import JobOutlook, job_outlook
from carbon.services.sci.time_range import TimeRange
from carbon.services.screens.breakdown import Breakdown, By, breakdown
from carbon.services.screens.overview import JobLine, job_lines
from carbon.services.screens.workload_view import WorkloadView, known_names, workload_view
from carbon.storage.engine import reading
from carbon.web.chart_specs import change_told, comparison_chart, plan_chart, workload_chart
from carbon.web.screens import screen_csv, screen_json, screen_page, show_screen
from carbon.web.time_query import Times
from carbon.wire.durations import parse_duration_ms, resolve_moment_ms

router = APIRouter(include_in_schema=False)
_Text = Annotated[str | None, Query(max_length=210)]


def _workloads(principal: Reader, context: ContextOf, times: Times) -> Breakdown:
    return breakdown(context, principal, times.resolve(context), By.WORKLOAD)


def _workload(
    principal: Reader, context: ContextOf, times: Times, workload: Annotated[str, Query()]
) -> WorkloadView:
    return workload_view(context, principal, workload, times.resolve(context))


#: What JSON and CSV say alike. A page asks for itself, since it shows errors as a page.
WorkloadsOf = Annotated[Breakdown, Depends(_workloads)]
WorkloadOf = Annotated[WorkloadView, Depends(_workload)]


@router.get("/workloads")
def workloads_screen(request: Request, context: ContextOf, times: Times) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = breakdown(context, principal, window, By.WORKLOAD)
        silent = _silent(context, principal, {line.name for line in answer.lines})
        return screen_page(request, principal, "workloads", answer, window=window, silent=silent)

    return show_screen(request, render)


def _silent(context: Context, principal: Principal, heard: set[str]) -> list[str]:
    """Workloads known that drew nothing in the range."""
    return [name for name in known_names(context, principal) if name not in heard]


@router.get("/web/workloads.json")
def workloads_json(answer: WorkloadsOf) -> Response:
    return screen_json(answer)


@router.get("/web/workloads.csv")
def workloads_csv(answer: WorkloadsOf) -> Response:
    return screen_csv(
        "workloads",
        ("workload", "energy_kwh", "total_g", "total_low_g", "total_high_g", "measured_share"),
        (
            (
                *(line.name, line.energy_kwh, line.total_g.value, line.total_g.low),
                *(line.total_g.high, line.measured_share),
            )
            for line in answer.lines
        ),
    )


@router.get("/workloads/{team}/{name}")
def workload_screen(
    request: Request, context: ContextOf, times: Times, team: str, name: str
) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        answer = workload_view(context, principal, f"{team}/{name}", window)
        return screen_page(
            request,
            principal,
            "workload",
            answer,
            charts=[workload_chart(answer)],
            query=urlencode({"workload": answer.workload, **request.query_params}),
            window=window,
            change_told=change_told,
        )

    return show_screen(request, render)


@router.get("/web/workload.json")
def workload_json(answer: WorkloadOf) -> Response:
    return screen_json(answer)


@router.get("/web/workload.csv")
def workload_csv(answer: WorkloadOf) -> Response:
    return screen_csv(
        "workload",
        (
            *("start", "end", "unit", "count", "energy_mj", "operational_g", "embodied_g"),
            *("total_g", "sci_g_per_unit", "low", "high", "coverage"),
        ),
        (
            (
                *(p.start, p.end, p.unit, p.count, p.energy_mj, p.operational_g, p.embodied_g),
                *(p.total_g, p.sci_g_per_unit, p.low, p.high, p.coverage),
            )
            for p in answer.points
        ),
    )


class Comparison(Struct, frozen=True):
    """Two workloads over one time range; null where a side was not chosen."""

    a: WorkloadView | None
    b: WorkloadView | None
    #: b against a in their first unit, where both have a rate of the same unit.
    rate_change: float | None
    total_change: float | None


def _compared(
    context: Context, principal: Principal, window: TimeRange, a: str | None, b: str | None
) -> Comparison:
    first = workload_view(context, principal, a, window) if a else None
    second = workload_view(context, principal, b, window) if b else None
    if first is None or second is None:
        return Comparison(first, second, None, None)
    one, two = first.answers[0], second.answers[0]
    is_alike = one.unit == two.unit and one.sci_g_per_unit and two.sci_g_per_unit is not None
    return Comparison(
        first,
        second,
        (two.sci_g_per_unit or 0.0) / (one.sci_g_per_unit or 1.0) - 1 if is_alike else None,
        two.total_g / one.total_g - 1 if one.total_g else None,
    )


def _comparison(
    principal: Reader, context: ContextOf, times: Times, a: _Text = None, b: _Text = None
) -> Comparison:
    return _compared(context, principal, times.resolve(context), a, b)


ComparisonOf = Annotated[Comparison, Depends(_comparison)]


@router.get("/compare")
def compare_screen(
    request: Request, context: ContextOf, times: Times, a: _Text = None, b: _Text = None
) -> Response:
    def render(principal: Principal) -> Response:
        window = times.resolve(context)
        names = known_names(context, principal)
        answer = _compared(context, principal, window, a, b)
        drawn = comparison_chart(answer.a, answer.b) if answer.a and answer.b else None
        return screen_page(
            request,
            principal,
            "compare",
            answer,
            charts=[drawn] if drawn else [],
            window=window,
            names=names,
            a=a,
            b=b,
        )

    return show_screen(request, render)


@router.get("/web/compare.json")
def compare_json(answer: ComparisonOf) -> Response:
    return screen_json(answer)


@router.get("/web/compare.csv")
def compare_csv(answer: ComparisonOf) -> Response:
    answers = [view.answers[0] for view in (answer.a, answer.b) if view]
    return screen_csv(
        "compare",
        ("workload", "unit", "count", "energy_mj", "total_g", "sci_g_per_unit", "low", "high"),
        (
            (x.workload, x.unit, x.count, x.energy_mj, x.total_g, x.sci_g_per_unit, x.low, x.high)
            for x in answers
        ),
    )


_DEFAULT_LENGTH: Final = "2h"
_DEFAULT_DEADLINE: Final = "24h"
_DEFAULT_POWER_W: Final = 300.0


def _planned(
    context: Context, zone: str | None, length: str, deadline: str, power_w: float
) -> JobOutlook:
    now_ms = context.clock.now_ms()
    length_ms = parse_duration_ms(length)
    deadline_ms = resolve_moment_ms(deadline, now_ms)
    if deadline_ms - now_ms > 14 * 24 * MS_PER_HOUR:
        raise InvalidInput("deadline_too_far", "nothing foretells the grid 14 days ahead")
    with reading(context.engine) as connection:
        known = known_zone(connection, zone) if zone else None
    return job_outlook(context, known or _own_zone(context), length_ms, deadline_ms, power_w)


def _own_zone(context: Context) -> str:
    zones = zones_in_use(context)
    return context.settings.zone or (zones[0] if zones else WORLD)


def _plan(
    _principal: Reader,
    context: ContextOf,
    zone: _Text = None,
    length: str = _DEFAULT_LENGTH,
    deadline: str = _DEFAULT_DEADLINE,
    power_w: float = _DEFAULT_POWER_W,
) -> JobOutlook:
    return _planned(context, zone, length, deadline, power_w)


PlanOf = Annotated[JobOutlook, Depends(_plan)]


@router.get("/plan")
def plan_screen(
    request: Request,
    context: ContextOf,
    zone: _Text = None,
    length: str = _DEFAULT_LENGTH,
    deadline: str = _DEFAULT_DEADLINE,
    power_w: float = _DEFAULT_POWER_W,
) -> Response:
    def render(principal: Principal) -> Response:
        answer = _planned(context, zone, length, deadline, power_w)
        asked = {"length": length, "deadline": deadline}
        return screen_page(
            request,
            principal,
            "plan",
            answer,
            charts=[plan_chart(answer)],
            asked=asked,
            zones=zones_in_use(context),
        )

    return show_screen(request, render)


@router.get("/web/plan.json")
def plan_json(answer: PlanOf) -> Response:
    return screen_json(answer)


@router.get("/web/plan.csv")
def plan_csv(answer: PlanOf) -> Response:
    return screen_csv(
        "plan",
        ("start", "end", "g_per_kwh", "kind", "source"),
        (
            (to_rfc3339(p.start_ms), to_rfc3339(p.end_ms), p.g_per_kwh, p.kind, p.source)
            for p in answer.points
        ),
    )


class JobList(Struct, frozen=True):
    generated_ms: int
    timezone: str
    jobs: list[JobLine]


def _jobs(principal: Reader, context: ContextOf) -> JobList:
    return JobList(
        context.clock.now_ms(), context.settings.timezone, job_lines(context, principal, 200)
    )


JobsOf = Annotated[JobList, Depends(_jobs)]


@router.get("/jobs")
def jobs_screen(request: Request, context: ContextOf) -> Response:
    def render(principal: Principal) -> Response:
        return screen_page(request, principal, "jobs_list", _jobs(principal, context))

    return show_screen(request, render)


@router.get("/web/jobs_list.json")
def jobs_json(answer: JobsOf) -> Response:
    return screen_json(answer)


@router.get("/web/jobs_list.csv")
def jobs_csv(answer: JobsOf) -> Response:
    return screen_csv(
        "jobs",
        ("job", "name", "workload", "state", "reason", "deadline", "zone", "credited_g"),
        (
            (
                *(j.job, j.name, j.workload, j.state, j.reason, to_rfc3339(j.deadline_ms)),
                *(j.zone, j.credited_g),
            )
            for j in answer.jobs
        ),
    )


@router.get("/jobs/{job_id}")
def job_screen(request: Request, context: ContextOf, job_id: str) -> Response:
    def render(principal: Principal) -> Response:
        jobs = Jobs(context, build_executors(context.settings, context.clock))
        answer = jobs.get(principal, job_id)
        return screen_page(
            request,
            principal,
            "job",
            answer,
            data=f"/v1/jobs/{job_id}",
            result=jobs.result(principal, job_id),
            timezone=context.settings.timezone,
        )

    return show_screen(request, render)
