"""GET, POST /v1/prices/{zone}: what energy costs beside what it emits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.domain.units import MS_PER_DAY
from carbon.errors import InvalidInput
from carbon.services.jobs.energy_prices import price_answer, record_prices
from carbon.wire.decode import decode
from carbon.wire.prices import PricesBody

router = APIRouter(prefix="/v1/prices", tags=["intensity"])

Writer = Annotated[Principal, Depends(requires(Scope.INTENSITY_WRITE))]
_LONGEST_MS = 400 * MS_PER_DAY


@router.get("/{zone}")
def get_prices(
    context: ContextOf,
    _principal: Reader,
    zone: str,
    start: str | None = None,
    end: str | None = None,
) -> Response:
    """Prices that hold over a window; without one, over the next 24 h."""
    start_ms, end_ms = moment(start, "start"), moment(end, "end")
    start_ms = context.clock.now_ms() if start_ms is None else start_ms
    end_ms = start_ms + MS_PER_DAY if end_ms is None else end_ms
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    if end_ms - start_ms > _LONGEST_MS:
        raise InvalidInput("window_too_long", "ask for 400 days at most")
    return answer(price_answer(context, zone, start_ms, end_ms))


@router.post("/{zone}", status_code=201)
async def post_prices(
    request: Request, context: ContextOf, _principal: Writer, zone: str
) -> Response:
    """One publication of a source; none is ever overwritten, the last one holds."""
    body = decode(await read_json(request), PricesBody)
    published_ms = moment(body.published_at, "published_at") or 0
    stored = await run_in_threadpool(record_prices, context, zone, body, published_ms)
    return answer(stored, 201)
