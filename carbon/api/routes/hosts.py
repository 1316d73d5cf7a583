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
from carbon.domain.units import MS_PER_DAY
from carbon.services.fleet.hosts import HostTimes, list_hosts, record_host
from carbon.wire.decode import decode
from carbon.wire.hosts import HostBody

router = APIRouter(prefix="/v1/hosts", tags=["hosts"])

Keeper = Annotated[Principal, Depends(requires(Scope.HOSTS_WRITE))]


@router.get("")
def get_hosts(
    context: ContextOf, _principal: Keeper, start: str | None = None, end: str | None = None
) -> Response:
    """With the completeness of a window, by default of the last 24 h."""
    end_ms = moment(end, "end") or context.clock.now_ms()
    return answer(list_hosts(context, moment(start, "start") or end_ms - MS_PER_DAY, end_ms))


@router.post("", status_code=201)
async def post_host(request: Request, context: ContextOf, _principal: Keeper) -> Response:
    body = decode(await read_json(request), HostBody)
    times = HostTimes(
        moment(body.valid_from, "valid_from") or 0,
        moment(body.commissioned, "commissioned"),
        moment(body.retired, "retired"),
    )
    return answer(await run_in_threadpool(record_host, context, body, times), 201)
