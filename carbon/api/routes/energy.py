"""POST /v1/energy and POST /v1/units."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from carbon.api.bodies import answer, read_json
from carbon.auth.access import energy_writer, principal_of
from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.services.host_addresses import HostAddresses
from carbon.services.ingest import Ingest
from carbon.services.units import UnitIngest
from carbon.wire.decode import decode_energy, decode_units

router = APIRouter(prefix="/v1", tags=["ingest"])


@router.post("/energy", status_code=202)
async def post_energy(request: Request) -> Response:
    """Energy intervals of one source. 202 after the commit, also when all are rejected."""
    principal = energy_writer(request)
    body = await read_json(request)
    ingest: Ingest = request.app.state.ingest
    decoded = decode_energy(body)
    if decoded.body.is_import:
        principal = principal.as_importer()
    future = ingest.submit(principal, decoded, body)
    _note_address(request, principal, decoded.body.host)
    return answer(await asyncio.wrap_future(future), 202)


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
    units: UnitIngest = request.app.state.unit_ingest
    future = units.submit(principal, decode_units(await read_json(request)))
    return answer(await asyncio.wrap_future(future), 202)
