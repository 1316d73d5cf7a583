"""POST /v1/energy and POST /v1/units."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.routing import Route

from carbon.api.bodies import answer, media_type, read_json, read_plain
from carbon.api.parameters import refuse_unknown
from carbon.auth.access import energy_writer, principal_of
from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.arrow_energy import decode_arrow
from carbon.services.host_addresses import HostAddresses
from carbon.services.ingest import Ingest
from carbon.services.sent_columns import SentBatch
from carbon.services.units import UnitIngest
from carbon.services.writer import Writer
from carbon.wire.decode import decode_energy, decode_units

router = APIRouter(prefix="/v1", tags=["ingest"])

ARROW = "application/vnd.apache.arrow.stream"


@router.post("/energy", status_code=202)
async def post_energy(request: Request) -> Response:
    """Energy intervals of one source. 202 after the commit, also when all are rejected."""
    principal = energy_writer(request)
    refuse_unknown(request, frozenset())
    ingest: Ingest = request.app.state.ingest
    ingest.check_room()
    if media_type(request) == ARROW:
        body = await read_plain(request)
        sent = decode_arrow(body)
    else:
        body = await read_json(request)
        sent = SentBatch.of(decode_energy(body))
    if sent.batch.is_import:
        principal = principal.as_importer()
    writing = _writer(request).post(ingest.write(principal, sent, body), len(sent.intervals))
    _note_address(request, principal, sent.batch.host)
    return answer(await writing, 202)


def _note_address(request: Request, principal: Principal, host: str | None) -> None:
    """Trackers behind an agent's address are known by it."""
    if host is not None and principal.meter_kind is MeterKind.AGENT and request.client is not None:
        addresses: HostAddresses = request.app.state.host_addresses
        addresses.note(host, request.client.host)


@router.post("/units", status_code=202)
async def post_units(request: Request) -> Response:
    """Unit counts: R of SCI."""
    principal = principal_of(request)
    principal.require(Scope.UNITS_WRITE)
    refuse_unknown(request, frozenset())
    units: UnitIngest = request.app.state.unit_ingest
    counts = units.work(principal, decode_units(await read_json(request)))
    return answer(await _writer(request).post(counts), 202)


#: Both in front of FastAPI's own (`api.straight`).
straight = [
    Route("/v1/energy", post_energy, methods=["POST"]),
    Route("/v1/units", post_units, methods=["POST"]),
]


def _writer(request: Request) -> Writer:
    writer: Writer = request.app.state.writer
    return writer
