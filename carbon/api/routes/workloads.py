"""POST, GET /v1/workloads; GET, PATCH /v1/workloads/{name}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.sci import workloads
from carbon.wire.decode import decode
from carbon.wire.workloads import WorkloadBody, WorkloadChange, WorkloadList

router = APIRouter(prefix="/v1/workloads", tags=["workloads"])

Writer = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.post("", status_code=201)
async def post_workload(request: Request, context: ContextOf, principal: Writer) -> Response:
    body = decode(await read_json(request), WorkloadBody)
    created = await run_in_threadpool(workloads.create_workload, context, principal, body)
    return answer(created, 201)


@router.get("")
def get_workloads(context: ContextOf, principal: Reader) -> Response:
    return answer(WorkloadList(workloads.list_workloads(context, principal)))


@router.get("/{name}")
@router.get("/{team}/{name}")
def get_workload(
    context: ContextOf, principal: Reader, name: str, team: str | None = None
) -> Response:
    return answer(workloads.get_workload(context, principal, f"{team}/{name}" if team else name))


@router.patch("/{name}")
@router.patch("/{team}/{name}")
async def patch_workload(
    request: Request, context: ContextOf, principal: Writer, name: str, team: str | None = None
) -> Response:
    change = decode(await read_json(request), WorkloadChange)
    text = f"{team}/{name}" if team else name
    changed = await run_in_threadpool(workloads.change_workload, context, principal, text, change)
    return answer(changed)
