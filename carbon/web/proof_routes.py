"""Screens of proofs: experiments, one of them, and recommendations."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import Struct

from carbon.auth.access import ContextOf, Reader
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.proofs.experiments import list_experiments, read_experiment
from carbon.services.proofs.recommendations import mark_recommendation, recommendations
from carbon.web.screens import (
    answer_form,
    screen_csv,
    screen_json,
    screen_page,
    seen_at,
    show_screen,
)
from carbon.wire.decode import decode
from carbon.wire.experiments import ExperimentList
from carbon.wire.recommendations import MarkBody, RecommendationList

router = APIRouter(include_in_schema=False)
After = Annotated[str | None, Query(max_length=100)]
WorkloadQuery = Annotated[str | None, Query(max_length=200)]
_AT_ONCE: Final = 50


class ExperimentPage(Struct, frozen=True):
    """An experiment as the API tells it; numbers have their path in that answer."""

    told: dict[str, Any]


def _experiments(
    principal: Reader, context: ContextOf, after: After = None, workload: WorkloadQuery = None
) -> ExperimentList:
    return list_experiments(context, principal, _AT_ONCE, after, workload)


def _recommendations(principal: Reader, context: ContextOf) -> RecommendationList:
    return recommendations(context, principal, None)


ExperimentsOf = Annotated[ExperimentList, Depends(_experiments)]
RecommendationsOf = Annotated[RecommendationList, Depends(_recommendations)]


@router.get("/experiments")
def experiments_screen(
    request: Request, context: ContextOf, after: After = None, workload: WorkloadQuery = None
) -> Response:
    def render(principal: Principal) -> Response:
        answer = list_experiments(context, principal, _AT_ONCE, after, workload)
        return screen_page(request, principal, "experiments", answer)

    return show_screen(request, render)


@router.get("/web/experiments.json")
def experiments_json(answer: ExperimentsOf) -> Response:
    return screen_json(answer)


@router.get("/web/experiments.csv")
def experiments_csv(answer: ExperimentsOf) -> Response:
    return screen_csv(
        "experiments",
        ("experiment", "workload", "technique", "recorded", "verdict", "passed", "unit",
         "before_g_per_unit", "after_g_per_unit", "relative_low", "relative_high"),
        (
            (e.id, e.workload, e.technique, e.recorded, e.verdict, e.passed, e.unit,
             e.before_g_per_unit, e.after_g_per_unit, e.relative_low, e.relative_high)
            for e in answer.experiments
        ),
    )  # fmt: skip


@router.get("/experiments/{experiment_id}")
def experiment_screen(request: Request, context: ContextOf, experiment_id: str) -> Response:
    def render(principal: Principal) -> Response:
        answer = ExperimentPage(read_experiment(context, principal, experiment_id))
        data = f"/v1/experiments/{experiment_id}"
        return screen_page(request, principal, "experiment", answer, data=data)

    return show_screen(request, render)


@router.get("/recommendations")
def recommendations_screen(request: Request, context: ContextOf) -> Response:
    def render(principal: Principal) -> Response:
        answer = recommendations(context, principal, None)
        may_decide = Scope.WORKLOADS_WRITE in principal.scopes
        return screen_page(request, principal, "recommendations", answer, may_decide=may_decide)

    return show_screen(request, render)


@router.get("/web/recommendations.json")
def recommendations_json(answer: RecommendationsOf) -> Response:
    return screen_json(answer)


@router.get("/web/recommendations.csv")
def recommendations_csv(answer: RecommendationsOf) -> Response:
    return screen_csv(
        "recommendations",
        ("recommendation", "kind", "workload", "device", "saving_g", "low", "high", "technique",
         "state"),
        (
            (r.id, r.kind, r.workload, r.device, r.saving_g, r.low, r.high, r.technique, r.state)
            for r in answer.recommendations
        ),
    )  # fmt: skip


@router.post("/recommendations/{recommendation_id}/{state}")
async def decide(
    request: Request, context: ContextOf, recommendation_id: str, state: str
) -> Response:
    """Dismisses, adopts or opens again, from the page's buttons."""

    def act(principal: Principal, _form: dict[str, str]) -> Response:
        principal.require(Scope.WORKLOADS_WRITE)
        body = decode(f'{{"state": "{state}"}}'.encode(), MarkBody)
        mark_recommendation(context, principal, recommendation_id, body)
        return seen_at("/recommendations")

    return await answer_form(request, act)
