"""GET /v1/recommendations and PATCH /v1/recommendations/{id}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.proofs.recommendations import mark_recommendation, recommendations
from carbon.wire.decode import decode
from carbon.wire.recommendations import MarkBody

router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])

Decider = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.get("")
def get_recommendations(
    context: ContextOf,
    principal: Reader,
    state: Annotated[str, Query()] = "open",
) -> Response:
    """Of the last 28 days, greatest saving first; `state=all` shows what was decided, too."""
    return answer(recommendations(context, principal, None if state == "all" else state))


@router.patch("/{recommendation_id}")
async def patch_recommendation(
    request: Request, context: ContextOf, principal: Decider, recommendation_id: str
) -> Response:
    body = decode(await read_json(request), MarkBody)
    done = await run_in_threadpool(mark_recommendation, context, principal, recommendation_id, body)
    return answer(done)
