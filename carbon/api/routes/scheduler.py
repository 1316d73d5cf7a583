"""GET /v1/scheduler, POST …/pause and …/resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.jobs.scheduler_pause import pause_scheduler, resume_scheduler, scheduler_status
from carbon.wire.decode import decode
from carbon.wire.scheduler import PauseBody

router = APIRouter(prefix="/v1/scheduler", tags=["jobs"])

Operator = Annotated[Principal, Depends(requires(Scope.JOBS_WRITE))]


@router.get("")
def get_scheduler(context: ContextOf, _principal: Reader) -> Response:
    """Who leads, and whether jobs are moved at all."""
    return answer(scheduler_status(context))


@router.post("/pause")
async def post_pause(request: Request, context: ContextOf, principal: Operator) -> Response:
    """Hands every waiting job its start at once, and moves none until it is resumed."""
    body = decode(await read_json(request), PauseBody)
    return answer(await run_in_threadpool(pause_scheduler, context, principal, body.reason))


@router.post("/resume")
def post_resume(context: ContextOf, principal: Operator) -> Response:
    return answer(resume_scheduler(context, principal))
