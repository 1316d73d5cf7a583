"""GET, POST /v1/pools."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.jobs.pools import list_pools, set_pool
from carbon.wire.decode import decode
from carbon.wire.jobs import PoolBody

router = APIRouter(prefix="/v1/pools", tags=["jobs"])

Submitter = Annotated[Principal, Depends(requires(Scope.JOBS_WRITE))]


@router.get("")
def get_pools(context: ContextOf, _principal: Reader) -> Response:
    return answer(list_pools(context))


@router.post("", status_code=201)
async def post_pool(request: Request, context: ContextOf, principal: Submitter) -> Response:
    body = decode(await read_json(request), PoolBody)
    return answer(await run_in_threadpool(set_pool, context, principal, body), 201)
