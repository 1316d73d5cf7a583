"""GET, POST /v1/shadow: what shifting would have saved, with nothing moved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader
from carbon.services.jobs.shadow import shadow_of_jobs, shadow_of_ledger
from carbon.wire.decode import decode
from carbon.wire.shadow import ShadowBody

router = APIRouter(prefix="/v1/shadow", tags=["jobs"])
WaitQuery = Annotated[float, Query(ge=0, le=336)]


@router.post("")
async def post_shadow(request: Request, context: ContextOf, _principal: Reader) -> Response:
    """Of the jobs in the body; nothing is stored."""
    body = decode(await read_json(request), ShadowBody)
    return answer(await run_in_threadpool(shadow_of_jobs, context, body))


@router.get("")
def get_shadow(
    context: ContextOf,
    principal: Reader,
    start: str,
    end: str,
    zone: str | None = None,
    short_wait_h: WaitQuery = 6.0,
    long_wait_h: WaitQuery = 24.0,
) -> Response:
    """Of the jobs that Slurm's accounts brought."""
    start_ms, end_ms = moment(start, "start"), moment(end, "end")
    assert start_ms is not None
    assert end_ms is not None
    waits_h = short_wait_h, long_wait_h
    return answer(shadow_of_ledger(context, principal, start_ms, end_ms, zone, waits_h))
