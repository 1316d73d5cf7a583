"""/v1/jobs: submit, look, change, cancel, start now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.executors.registry import build_executors
from carbon.services.ingest.ingest import Ingest
from carbon.services.jobs.events import note_event
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.plan_records import decisions
from carbon.services.jobs.savings import saving
from carbon.wire.decode import decode
from carbon.wire.jobs import JobBatch, JobBody, JobChange, JobEvent

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Submitter = Annotated[Principal, Depends(requires(Scope.JOBS_WRITE))]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]


def jobs_of(context: ContextOf) -> Jobs:
    return Jobs(context, build_executors(context.settings, context.clock))


JobsOf = Annotated[Jobs, Depends(jobs_of)]


@router.post("", status_code=201)
async def post_job(
    request: Request, jobs: JobsOf, principal: Submitter, key: IdempotencyKey = None
) -> Response:
    body = decode(await read_json(request), JobBody)
    return answer(await run_in_threadpool(jobs.submit, principal, body, key), 201)


@router.post("/batch", status_code=201)
async def post_jobs(
    request: Request, jobs: JobsOf, principal: Submitter, key: IdempotencyKey = None
) -> Response:
    batch = decode(await read_json(request), JobBatch)
    return answer(await run_in_threadpool(jobs.submit_batch, principal, batch, key), 201)


@router.get("")
def get_jobs(
    jobs: JobsOf,
    principal: Reader,
    state: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: str | None = None,
) -> Response:
    """`state` may name several, with commas."""
    states = [name for name in (state or "").split(",") if name]
    return answer(jobs.page(principal, states, limit, after))


@router.get("/{job_id}")
def get_job(jobs: JobsOf, principal: Reader, job_id: str) -> Response:
    return answer(jobs.get(principal, job_id))


@router.get("/{job_id}/logs")
def get_logs(jobs: JobsOf, principal: Reader, job_id: str) -> Response:
    return answer(jobs.logs(principal, job_id))


@router.get("/{job_id}/result")
def get_result(jobs: JobsOf, principal: Reader, job_id: str) -> Response:
    return answer(jobs.result(principal, job_id))


@router.get("/{job_id}/saving")
def get_saving(context: ContextOf, principal: Reader, job_id: str) -> Response:
    return answer(saving(context, principal, job_id))


@router.get("/{job_id}/decisions")
def get_decisions(
    context: ContextOf, principal: Reader, job_id: str, replay: bool = False
) -> Response:
    return answer(decisions(context, principal, job_id, replay))


@router.patch("/{job_id}")
async def patch_job(request: Request, jobs: JobsOf, principal: Submitter, job_id: str) -> Response:
    change = decode(await read_json(request), JobChange)
    return answer(await run_in_threadpool(jobs.change, principal, job_id, change))


@router.delete("/{job_id}")
def delete_job(jobs: JobsOf, principal: Submitter, job_id: str) -> Response:
    return answer(jobs.cancel(principal, job_id))


@router.post("/{job_id}/start")
def start_job(jobs: JobsOf, principal: Submitter, job_id: str) -> Response:
    return answer(jobs.start(principal, job_id))


@router.post("/{job_id}/events", status_code=202)
async def post_event(
    request: Request, context: ContextOf, principal: Submitter, job_id: str
) -> Response:
    event = decode(await read_json(request), JobEvent)
    ingest: Ingest = request.app.state.ingest
    told = await run_in_threadpool(note_event, context, ingest, principal, job_id, event)
    return answer(told, 202)
