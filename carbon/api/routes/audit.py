"""GET /v1/audit and /v1/audit/verify."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from carbon.api.bodies import answer
from carbon.auth.access import ContextOf, requires
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.audit import audit_page, verify_audit

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Auditor = Annotated[Principal, Depends(requires(Scope.AUDIT_READ))]


@router.get("")
def get_audit(
    context: ContextOf,
    _principal: Auditor,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Entries, oldest first; ids and hashes alone."""
    return answer(audit_page(context, after, limit))


@router.get("/verify")
def get_proof(context: ContextOf, _principal: Auditor, head: str | None = None) -> Response:
    """Walks the whole chain; `head` is a hash noted earlier, which must still stand in it."""
    return answer(verify_audit(context, head))
