"""GET, POST /v1/components."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.sci import components
from carbon.wire.components import ComponentBody
from carbon.wire.decode import decode

router = APIRouter(prefix="/v1/components", tags=["workloads"])

Writer = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.get("")
def get_components(context: ContextOf, principal: Reader, workload: str) -> Response:
    """What is counted per unit of the workload, and metered by nobody."""
    return answer(components.list_components(context, principal, workload))


@router.post("", status_code=201)
async def post_component(request: Request, context: ContextOf, principal: Writer) -> Response:
    """Network, storage or another's API: always `modelled`, with its own bounds."""
    body = decode(await read_json(request), ComponentBody)
    done = await run_in_threadpool(components.record_component, context, principal, body)
    return answer(done, 201)
