"""POST /v1/energy and POST /v1/units."""

from __future__ import annotations

from asyncio import Future

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.routing import Route

from carbon.api.bodies import answer, media_type, read_json, read_plain
from carbon.api.parameters import refuse_unknown
from carbon.api.short_posts import PACKED, Posted, ShortPost
from carbon.auth.access import allowed_to_write_energy, energy_writer, principal_of
from carbon.auth.keys import principal_of_key, remembered_principal
from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError
from carbon.services.context import Context
from carbon.services.ingest.arrow_energy import decode_arrow
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.sent_columns import SentBatch
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.services.trackers.host_addresses import HostAddresses
from carbon.wire.decode import decode_energy, decode_units
from carbon.wire.energy import IngestAnswer

router = APIRouter(prefix="/v1", tags=["ingest"])

ARROW = "application/vnd.apache.arrow.stream"


@router.post("/energy", status_code=202)
async def post_energy(request: Request) -> Response:
    """Energy intervals of one source. 202 after the commit, also when all are rejected."""
    principal = energy_writer(request)
    refuse_unknown(request, frozenset())
    ingest: Ingest = request.app.state.ingest
    ingest.check_room()
    is_arrow = media_type(request) == ARROW
    body = await (read_plain if is_arrow else read_json)(request)
    address = request.client.host if request.client else ""
    return answer(await _written(request.app, principal, is_arrow, body, address), 202)


def _short_energy(app: FastAPI, posted: Posted) -> Future[IngestAnswer]:
    """As `post_energy`, of a plain request."""
    context: Context = app.state.context
    principal = allowed_to_write_energy(principal_of_key(context, posted.key))
    app.state.ingest.check_room()
    body = posted.plain(context.settings.max_decoded_bytes)
    is_arrow = posted.media == ARROW.encode()
    return _written(app, principal, is_arrow, body, posted.address)


def _is_writer(app: FastAPI, key: str) -> bool:
    """Whether a key is known to be an energy writer's, and its batch would be taken now."""
    ingest: Ingest = app.state.ingest
    try:
        principal = remembered_principal(app.state.context, key)
        if principal is not None:
            allowed_to_write_energy(principal)
            ingest.check_room()
    except CarbonError:
        return False
    return principal is not None


def _written(
    app: FastAPI, principal: Principal, is_arrow: bool, body: bytes, address: str
) -> Future[IngestAnswer]:
    sent = decode_arrow(body) if is_arrow else SentBatch.of(decode_energy(body))
    if sent.batch.is_import:
        principal = principal.as_importer()
    ingest: Ingest = app.state.ingest
    writer: Writer = app.state.writer
    writing = writer.post(ingest.write(principal, sent, body), len(sent.intervals))
    host = sent.batch.host
    if host is not None and address and principal.meter_kind is MeterKind.AGENT:
        addresses: HostAddresses = app.state.host_addresses
        addresses.note(host, address)  # trackers behind an agent's address are known by it
    return writing


@router.post("/units", status_code=202)
async def post_units(request: Request) -> Response:
    """Unit counts: R of SCI."""
    principal = principal_of(request)
    principal.require(Scope.UNITS_WRITE)
    refuse_unknown(request, frozenset())
    units: UnitIngest = request.app.state.unit_ingest
    counts = units.work(principal, decode_units(await read_json(request)))
    writer: Writer = request.app.state.writer
    return answer(await writer.post(counts), 202)


#: Both in front of FastAPI's own (`api.straight`).
straight = [
    Route("/v1/energy", post_energy, methods=["POST"]),
    Route("/v1/units", post_units, methods=["POST"]),
]
#: Answered at the socket where they are plain (`api.short_posts`).
short = [
    ShortPost(
        "/v1/energy",
        202,
        _short_energy,
        media=frozenset({b"application/json", ARROW.encode()}),
        encodings=PACKED,
        is_welcome=_is_writer,
    )
]
