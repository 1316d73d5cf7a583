"""POST /api/v1/write: Prometheus remote write 1.0, answered as that protocol says.

204 once committed. What cannot be read or may not be written is 4xx, which senders drop and
log; 429 and 5xx they send again. Errors are one line of text.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import read_body
from carbon.api.problems import error_headers
from carbon.auth.access import context_of, energy_writer
from carbon.errors import CarbonError
from carbon.imports.remote_write import check_protocol, read_remote_write
from carbon.services.ingest.importing import Importing

router = APIRouter(tags=["compat"])


@router.post("/api/v1/write", status_code=204)
async def remote_write(request: Request) -> Response:
    """Energy, power and counts of a Prometheus server, by the mapping."""
    try:
        await _take(request)
    except CarbonError as error:
        return PlainTextResponse(f"{error.detail}\n", error.status, headers=error_headers(error))
    return Response(status_code=204)


async def _take(request: Request) -> None:
    principal = energy_writer(request)
    headers = request.headers
    check_protocol(headers.get("content-type", ""), headers.get("content-encoding", ""))
    settings = context_of(request).settings
    body = await read_body(request, settings.max_body_bytes)
    series = await run_in_threadpool(read_remote_write, body, settings.max_decoded_bytes)
    importing: Importing = request.app.state.importing
    await asyncio.wrap_future(importing.submit(principal, "remote-write", series, body))
