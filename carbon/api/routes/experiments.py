"""POST, GET /v1/experiments and GET /v1/experiments/{id}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.proofs.experiments import list_experiments, read_experiment, record_experiment
from carbon.wire.decode import decode
from carbon.wire.experiments import ExperimentBody

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

#: As with reports: who may define a workload's boundary may state what was done to it.
Recorder = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.post("", status_code=201)
async def post_experiment(request: Request, context: ContextOf, principal: Recorder) -> Response:
    body = decode(await read_json(request), ExperimentBody)
    return answer(await run_in_threadpool(record_experiment, context, principal, body), 201)


@router.get("")
def get_experiments(
    context: ContextOf,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: str | None = None,
    workload: str | None = None,
    technique: str | None = None,
) -> Response:
    """The optimisation log, newest first."""
    return answer(list_experiments(context, principal, limit, after, workload, technique))


@router.get("/{experiment_id}")
def get_experiment(context: ContextOf, principal: Reader, experiment_id: str) -> Response:
    return answer(read_experiment(context, principal, experiment_id))
