"""POST /v1/metrics: OTLP/HTTP, protobuf and JSON, answered as that protocol says.

200 with what was refused as a partial success; errors are a `google.rpc.Status` in the body's
own format, and 429 and 503 ask to send again.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import inflated, read_body
from carbon.api.problems import error_headers
from carbon.auth.access import context_of, energy_writer
from carbon.errors import CarbonError, UnsupportedMedia
from carbon.imports.otlp import read_otlp
from carbon.imports.protobuf import message
from carbon.services.ingest.importing import Imported, Importing

router = APIRouter(tags=["compat"])

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"


@router.post("/v1/metrics")
async def post_metrics(request: Request) -> Response:
    """Energy, power and tokens of the OpenTelemetry conventions, by the mapping."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        imported = await _take(request, media)
    except CarbonError as error:
        status = message("Status")(code=_grpc_code(error), message=error.detail)
        headers = error_headers(error)
        return _in(media, status, error.status, headers)
    return _in(media, _answer(imported), 200, {})


async def _take(request: Request, media: str) -> Imported:
    principal = energy_writer(request)
    if media not in (_JSON, _PROTOBUF):
        raise UnsupportedMedia("content_type", f"send {_PROTOBUF} or {_JSON}, not {media}")
    settings = context_of(request).settings
    sent = await read_body(request, settings.max_body_bytes)
    body = inflated(request, sent, settings.max_decoded_bytes)
    series = await run_in_threadpool(read_otlp, body, media == _JSON)
    importing: Importing = request.app.state.importing
    return await asyncio.wrap_future(importing.submit(principal, "otlp", series, body))


def _answer(imported: Imported) -> Message:
    response = ExportMetricsServiceResponse()
    if imported.rejected or imported.troubles:
        told = "; ".join(f"{t.about}: {t.detail}" for t in imported.troubles[:5])
        faulty = sum(trouble.count for trouble in imported.troubles)
        response.partial_success.CopyFrom(
            ExportMetricsPartialSuccess(rejected_data_points=faulty, error_message=told)
        )
    return response


def _in(media: str, body: Message, status: int, headers: dict[str, str]) -> Response:
    if media == _JSON:
        return Response(MessageToJson(body, indent=None), status, headers, _JSON)
    return Response(body.SerializeToString(), status, headers, _PROTOBUF)


def _grpc_code(error: CarbonError) -> int:
    """The nearest of google.rpc.Code."""
    return {401: 16, 403: 7, 404: 5, 413: 3, 429: 8, 503: 14}.get(error.status, 3)
