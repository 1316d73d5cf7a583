"""GET, POST /v1/hosts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.hosts import list_hosts, record_host
from carbon.wire.decode import decode
from carbon.wire.hosts import HostBody, HostList

router = APIRouter(prefix="/v1/hosts", tags=["hosts"])

Keeper = Annotated[Principal, Depends(requires(Scope.HOSTS_WRITE))]


@router.get("")
def get_hosts(context: ContextOf, _principal: Keeper) -> Response:
    return answer(HostList(list_hosts(context)))


@router.post("", status_code=201)
async def post_host(request: Request, context: ContextOf, _principal: Keeper) -> Response:
    body = decode(await read_json(request), HostBody)
    valid_from_ms = moment(body.valid_from, "valid_from") or 0
    return answer(await run_in_threadpool(record_host, context, body, valid_from_ms), 201)
