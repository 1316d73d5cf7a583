"""GET, POST /v1/corrections."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.fleet.correction_change import Period
from carbon.services.fleet.corrections import correct, list_corrections, undo
from carbon.storage.names import FOR_EVER_MS
from carbon.wire.corrections import CorrectionBody, UndoBody
from carbon.wire.decode import decode

router = APIRouter(prefix="/v1/corrections", tags=["corrections"])

Writer = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.get("")
def get_corrections(context: ContextOf, principal: Reader) -> Response:
    """The latest first, with those that were undone."""
    return answer(list_corrections(context, principal))


@router.post("", status_code=201)
async def post_correction(request: Request, context: ContextOf, principal: Writer) -> Response:
    """201, or 200 for a dry run."""
    body = decode(await read_json(request), CorrectionBody)
    end_ms = moment(body.end, "end")
    period = Period(moment(body.start, "start") or 0, FOR_EVER_MS if end_ms is None else end_ms)
    told = await run_in_threadpool(correct, context, principal, body, period)
    return answer(told, 200 if told.dry_run else 201)


@router.post("/{correction}/undo", status_code=201)
async def post_undo(
    request: Request, context: ContextOf, principal: Writer, correction: int
) -> Response:
    """By another correction, which can be undone too."""
    body = decode(await read_json(request), UndoBody)
    told = await run_in_threadpool(undo, context, principal, correction, body)
    return answer(told, 200 if told.dry_run else 201)
