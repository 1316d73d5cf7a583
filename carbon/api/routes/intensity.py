"""GET, POST /v1/intensity/{zone}, GET …/forecast and …/quarantine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.api.straight import Asked
from carbon.api.times import moment
from carbon.auth.access import ContextOf, Reader, context_of, requires
from carbon.clock import to_rfc3339
from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    Signal,
    Vintage,
)
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.domain.units import MS_PER_DAY
from carbon.domain.yearly import normal_zone
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.grid.forecast_answer import forecast_answer, forecast_at_hand, point_answer
from carbon.services.grid.intensity import known_zone, rated_points, record_vintage
from carbon.services.grid.intensity_provenance import quarantined_points, sources_of
from carbon.storage.engine import reading
from carbon.wire.decode import decode
from carbon.wire.intensity import (
    IntensityAnswer,
    IntensityBody,
    IntensityStored,
    QuarantinedPoint,
)

router = APIRouter(prefix="/v1/intensity", tags=["intensity"])

Writer = Annotated[Principal, Depends(requires(Scope.INTENSITY_WRITE))]
_LONGEST_MS = 400 * MS_PER_DAY


@router.get("/{zone}")
def get_intensity(
    context: ContextOf,
    _principal: Reader,
    zone: str,
    start: str | None = None,
    end: str | None = None,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
    as_of: str | None = None,
    to_others: bool = False,
) -> Response:
    """Points that hold over a window; without one, over the last 24 h.

    With `as_of`, those that held by what had been recorded at that moment. With `to_others`, only
    what its owner lets be passed on; the next step of the ladder takes the place of the rest.
    """
    start_ms, end_ms = moment(start, "start"), moment(end, "end")
    end_ms = context.clock.now_ms() if end_ms is None else end_ms
    start_ms = end_ms - MS_PER_DAY if start_ms is None else start_ms
    as_of_ms = moment(as_of, "as_of")
    return _window(context, zone, start_ms, end_ms, signal, scope, as_of_ms, to_others)


@router.get("/{zone}/forecast")
def get_forecast(
    context: ContextOf,
    _principal: Reader,
    zone: str,
    hours: int = 24,
    signal: Signal = Signal.AVERAGE,
    scope: EmissionScope | None = None,
) -> Response:
    """Points from now on: a feed's forecast, else the own one, else the yearly figure."""
    if not 1 <= hours <= 168:
        raise InvalidInput("invalid_parameter", "hours lies between 1 and 168")
    return answer(forecast_answer(context, zone, hours, signal, scope))


async def _forecast_at_once(request: Request, zone: str) -> Response | None:
    """The same, of a question that is well put; all others are FastAPI's to judge."""
    query = dict(request.query_params)
    if len(query) < len(request.query_params.multi_items()):
        return None
    hours = query.pop("hours", "24")
    signal = _SIGNALS.get(query.pop("signal", "average"))
    named = query.pop("scope", None)
    scope = None if named is None else _SCOPES.get(named)
    is_known = signal is not None and (scope is not None) is (named is not None)
    is_whole = hours.isascii() and hours.isdecimal() and 1 <= int(hours[:4]) <= 168
    if signal is None or not is_known or not is_whole or query:
        return None
    context = context_of(request)
    await _read_by(request)
    asked = (context, zone, int(hours), signal, scope)
    return answer(forecast_at_hand(*asked) or await run_in_threadpool(forecast_answer, *asked))


_read_by = requires(Scope.REPORTS_READ)
_SIGNALS = {str(signal): signal for signal in Signal}
_SCOPES = {str(scope): scope for scope in EmissionScope}
#: In front of FastAPI's own (`api.straight`): planners and pages ask it all the time.
asked = Asked("/v1/intensity/", "/forecast", _forecast_at_once)


def _window(
    context: Context,
    zone: str,
    start_ms: int,
    end_ms: int,
    signal: Signal,
    scope: EmissionScope | None,
    as_of_ms: int | None,
    to_others: bool,
) -> Response:
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    if end_ms - start_ms > _LONGEST_MS:
        raise InvalidInput("window_too_long", "ask for 400 days at most")
    with reading(context.engine) as connection:
        name = known_zone(connection, zone)
    points = rated_points(context, name, start_ms, end_ms, signal, scope, to_others, as_of_ms)
    shown = [point_answer(point) for point in points]
    sources = sources_of(context, name, points)
    return answer(IntensityAnswer(name, to_rfc3339(start_ms), to_rfc3339(end_ms), shown, sources))


@router.get("/{zone}/quarantine")
def get_quarantine(
    context: ContextOf, _principal: Reader, zone: str, limit: int = 100, after: str | None = None
) -> Response:
    """Points of a zone that were not believed, latest first, each with the reason."""
    if not 1 <= limit <= 1000:
        raise InvalidInput("invalid_parameter", "limit lies between 1 and 1000")
    if after is not None and not after.isdecimal():
        raise InvalidInput("invalid_parameter", "after is the `next` of an earlier answer")
    return answer(quarantined_points(context, zone, limit, int(after) if after else None))


@router.post("/{zone}", status_code=201)
async def post_intensity(
    request: Request, context: ContextOf, _principal: Writer, zone: str
) -> Response:
    """One publication of a source: a vintage, never overwritten."""
    body = decode(await read_json(request), IntensityBody)
    vintage = _vintage(zone, body)
    refused = await run_in_threadpool(record_vintage, context, vintage)
    quarantined = [
        QuarantinedPoint(to_rfc3339(q.point.start_ms), to_rfc3339(q.point.end_ms), str(q.reason))
        for q in refused
    ]
    accepted = len(vintage.points) - len(refused)
    return answer(IntensityStored(vintage.zone, accepted, quarantined), 201)


def _vintage(zone: str, body: IntensityBody) -> Vintage:
    published_ms = moment(body.published_at, "published_at") or 0
    return Vintage(
        normal_zone(zone),
        body.source,
        body.signal,
        body.scope,
        published_ms,
        tuple(
            IntensityPoint(
                point.start_ms,
                point.end_ms,
                point.g_per_kwh,
                PointKind.ACTUAL if point.end_ms <= published_ms else PointKind.FORECAST,
            )
            for point in body.points
        ),
        body.licence,
    )
