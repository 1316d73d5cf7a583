"""GET /v1/workloads/{name}/sci and POST /v1/sci/calculate."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.routing import Route

from carbon.api.bodies import answer, read_json
from carbon.api.parameters import refuse_unknown
from carbon.api.times import moment, required_moment
from carbon.auth.access import ContextOf, Reader, is_local, principal_of
from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.reports import GapPolicy, HostPolicy, IdlePolicy
from carbon.services.proofs.site_totals import site_totals
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.wire.decode import decode
from carbon.wire.sci import CalculateRequest, calculated

router = APIRouter(prefix="/v1", tags=["sci"])


@router.get("/workloads/{name}/sci")
@router.get("/workloads/{team}/{name}/sci")
def get_sci(
    context: ContextOf,
    principal: Reader,
    name: str,
    team: str | None = None,
    start: str | None = None,
    end: str | None = None,
    unit: str | None = None,
    run: str | None = None,
    signal: Signal | None = None,
    scope: EmissionScope | None = None,
    gaps: GapPolicy = GapPolicy.SHOW,
    idle: IdlePolicy = IdlePolicy.RESERVER,
    host_parts: HostPolicy = HostPolicy.ENERGY,
) -> Response:
    """SCI of a workload; without a window, over its whole recorded life."""
    question = Question(
        f"{team}/{name}" if team else name,
        moment(start, "start"),
        moment(end, "end"),
        unit,
        run,
        signal,
        scope,
        gaps is GapPolicy.FILL,
        idle,
        host_parts,
    )
    return answer(workload_sci(context, principal, question))


@router.get("/workloads/{name}/totals")
@router.get("/workloads/{team}/{name}/totals")
def get_totals(
    context: ContextOf,
    principal: Reader,
    name: str,
    start: str,
    end: str,
    site: str,
    team: str | None = None,
    unit: str | None = None,
) -> Response:
    """Quarter-hours of a workload as an arm of an experiment in another ledger."""
    workload = f"{team}/{name}" if team else name
    window = required_moment(start, "start"), required_moment(end, "end")
    return answer(site_totals(context, principal, workload, *window, unit, site))


@router.post("/sci/calculate")
async def post_calculate(request: Request) -> Response:
    """SCI of stated figures; stores nothing. Key-less on loopback."""
    if not is_local(request):
        principal_of(request)
    refuse_unknown(request, frozenset())
    return answer(calculated(decode(await read_json(request), CalculateRequest)))


#: The same call in front of FastAPI's own: it is asked thousands of times a second, and to be
#: matched and solved there costs three times as much as to be answered.
straight = Route("/v1/sci/calculate", post_calculate, methods=["POST"])
