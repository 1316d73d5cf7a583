"""GET, POST /v1/periods."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.reports.periods import close_period, list_periods
from carbon.wire.decode import decode
from carbon.wire.periods import PeriodBody

router = APIRouter(prefix="/v1/periods", tags=["reports"])

Signer = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.get("")
def get_periods(context: ContextOf, principal: Reader) -> Response:
    """What was closed, by whom, with which reports."""
    return answer(list_periods(context, principal))


@router.post("", status_code=201)
async def post_period(request: Request, context: ContextOf, principal: Signer) -> Response:
    """Closes and signs a period of the key's team."""
    body = decode(await read_json(request), PeriodBody)
    return answer(await run_in_threadpool(close_period, context, principal, body), 201)
