"""GET /healthz, /readyz and /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from carbon.api.bodies import answer
from carbon.api.metrics import registry_of
from carbon.auth.access import ContextOf, is_local, principal_of
from carbon.domain.tenancy import Scope
from carbon.services.rollup.roll_up_lag import lag_of
from carbon.storage.engine import reading

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz(context: ContextOf) -> Response:
    """The process answers; where it rolls up, how far that is behind, in seconds."""
    lag_s = lag_of(context.engine, context.clock).seconds
    return answer({"status": "ok", **({} if lag_s is None else {"roll_up_lag_s": lag_s})})


@router.get("/readyz")
def readyz(context: ContextOf) -> Response:
    """The database answers too; 503 where it does not."""
    with reading(context.engine) as connection:
        connection.execute(text("SELECT 1"))
    return answer({"status": "ready"})


@router.get("/metrics")
def metrics(request: Request, context: ContextOf) -> Response:
    """Prometheus' text format. Key-less on loopback: it names workloads of every team."""
    if not is_local(request):
        principal_of(request).require(Scope.METRICS_READ)
    return Response(generate_latest(registry_of(context)), media_type=CONTENT_TYPE_LATEST)
