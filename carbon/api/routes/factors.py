"""GET, POST /v1/factors and GET /v1/factors/{kind}/{subject}/{name}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.factor import FactorKind
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.context import Context
from carbon.services.reports.restatement import affected_by
from carbon.services.sci import factors
from carbon.wire.decode import decode
from carbon.wire.factors import FactorBody, FactorRecorded

router = APIRouter(prefix="/v1/factors", tags=["factors"])

#: Factors hold for the whole deployment, as intensities do.
Keeper = Annotated[Principal, Depends(requires(Scope.INTENSITY_WRITE))]


@router.get("")
def get_factors(
    context: ContextOf,
    _principal: Reader,
    kind: FactorKind | None = None,
    subject: str | None = None,
    as_of: str | None = None,
) -> Response:
    """What ships and what was recorded, disagreeing sources side by side."""
    return answer(factors.list_factors(context, kind, subject, moment(as_of, "as_of")))


@router.get("/{kind}/{name}")
@router.get("/{kind}/{subject}/{name}")
def get_factor(
    context: ContextOf, _principal: Reader, kind: str, name: str, subject: str | None = None
) -> Response:
    """By its id, which is a path: `lifespan/default`, `embodied/gpu/h100@nvidia-pcf-2025`."""
    return answer(factors.get_factor(context, "/".join(filter(None, (kind, subject, name)))))


@router.post("", status_code=201)
async def post_factor(request: Request, context: ContextOf, principal: Keeper) -> Response:
    """Records a factor, with the reports that it would change; `dry_run` records nothing."""
    body = decode(await read_json(request), FactorBody)
    recorded = await run_in_threadpool(_record, context, principal, body)
    return answer(recorded, 201 if recorded.recorded else 200)


def _record(context: Context, principal: Principal, body: FactorBody) -> FactorRecorded:
    valid_from_ms = moment(body.valid_from, "valid_from")
    valid_to_ms = moment(body.valid_to, "valid_to")
    factor, book = factors.proposed_factor(context, body, valid_from_ms, valid_to_ms)
    affected = affected_by(context, principal, book)
    if body.dry_run:
        return FactorRecorded(factors.factor_answer(book, factor), False, affected)
    return FactorRecorded(factors.record_factor(context, principal, factor), True, affected)
