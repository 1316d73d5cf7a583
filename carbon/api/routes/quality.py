"""GET and POST /v1/quality: what was wrong with what was sent and imported."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, energy_writer
from carbon.domain.tenancy import Scope
from carbon.domain.units import MS_PER_DAY
from carbon.errors import InvalidInput
from carbon.services.ingest.import_quality import import_quality, note_troubles
from carbon.wire.decode import decode
from carbon.wire.quality import TroublesBody

router = APIRouter(prefix="/v1/quality", tags=["ingest"])


@router.get("")
def get_quality(
    context: ContextOf, principal: Reader, start: str | None = None, end: str | None = None
) -> Response:
    """The last 7 days by default. Of all teams, so that it takes the scope `teams:all`."""
    principal.require(Scope.ALL_TEAMS)
    until_ms = moment(end, "end") or context.clock.now_ms() + 1
    since_ms = moment(start, "start")
    since_ms = until_ms - 7 * MS_PER_DAY if since_ms is None else since_ms
    if until_ms <= since_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    return answer(import_quality(context, since_ms, until_ms))


@router.post("", status_code=204)
async def post_quality(request: Request, context: ContextOf) -> Response:
    """What an importer met and left out."""
    principal = energy_writer(request)
    principal.require(Scope.ALL_TEAMS)
    body = decode(await read_json(request), TroublesBody)
    await run_in_threadpool(note_troubles, context, body)
    return Response(status_code=204)
