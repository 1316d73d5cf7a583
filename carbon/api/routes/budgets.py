"""GET, POST /v1/budgets; GET, DELETE /v1/budgets/{id}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, Reader, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.screens.budgets import drop_budget, list_budgets, read_budget, set_budget
from carbon.wire.budgets import BudgetBody
from carbon.wire.decode import decode

router = APIRouter(prefix="/v1/budgets", tags=["budgets"])

Setter = Annotated[Principal, Depends(requires(Scope.WORKLOADS_WRITE))]


@router.get("")
def get_budgets(context: ContextOf, principal: Reader) -> Response:
    """Budgets in force, and where each leads at its period's end."""
    return answer(list_budgets(context, principal))


@router.post("", status_code=201)
async def post_budget(request: Request, context: ContextOf, principal: Setter) -> Response:
    """Sets a budget in place of the same one that stands."""
    body = decode(await read_json(request), BudgetBody)
    return answer(await run_in_threadpool(set_budget, context, principal, body), 201)


@router.get("/{budget_id}")
def get_budget(context: ContextOf, principal: Reader, budget_id: int) -> Response:
    return answer(read_budget(context, principal, budget_id))


@router.delete("/{budget_id}", status_code=204)
def delete_budget(context: ContextOf, principal: Setter, budget_id: int) -> Response:
    """Ends it; what it was stays in the ledger."""
    drop_budget(context, principal, budget_id)
    return Response(status_code=204)
