"""GET /v1/inventory and its frames; GET, POST /v1/inventory/contracts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.frames import Operated
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.services.reports import inventory
from carbon.wire.decode import decode
from carbon.wire.inventory import ContractBody

router = APIRouter(prefix="/v1/inventory", tags=["inventory"])

#: Contracts hold for the whole deployment, as factors do.
Keeper = Annotated[Principal, Depends(requires(Scope.INTENSITY_WRITE))]


@router.get("")
def get_inventory(context: ContextOf, principal: Reader, start: str, end: str) -> Response:
    """By location and by market, beside SCI and never in it."""
    return answer(inventory.inventory(context, principal, *_window(start, end)))


@router.get("/contracts")
def get_contracts(context: ContextOf, _principal: Reader) -> Response:
    return answer(inventory.list_contracts(context))


@router.post("/contracts", status_code=201)
async def post_contract(request: Request, context: ContextOf, principal: Keeper) -> Response:
    body = decode(await read_json(request), ContractBody)
    made = await run_in_threadpool(inventory.record_contract, context, principal, body)
    return answer(made, 201)


@router.get("/frames/{frame}")
def get_frame(
    context: ContextOf,
    principal: Reader,
    frame: str,
    start: str,
    end: str,
    operated: Operated = Operated.OWN,
) -> Response:
    """`ghg-protocol` or `esrs-e1`: the standard's own rows."""
    return answer(inventory.frame(context, principal, frame, operated, *_window(start, end)))


def _window(start: str, end: str) -> tuple[int, int]:
    first, last = moment(start, "start"), moment(end, "end")
    if first is None or last is None:
        raise InvalidInput("invalid_time", "state start and end")
    return first, last
