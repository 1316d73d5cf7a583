"""The REST paths of the Green Software Foundation's Carbon Aware SDK, so that its clients work.

Names, arrays and problem documents are its own, not those of /v1. Key-less on loopback, as its
clients send none; elsewhere a Bearer key is wanted. Times without an offset are UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from carbon.api.bodies import answer, read_json
from carbon.auth.access import ContextOf, is_local, principal_of
from carbon.clock import from_rfc3339
from carbon.domain.intensity import RatedPoint
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError, InvalidInput, MalformedInput, NotFound
from carbon.services.context import Context
from carbon.services.grid.carbon_aware import (
    MS_PER_MIN,
    Window,
    WindowForecast,
    average,
    emissions,
    locations,
    window_forecast,
)

Locations = Annotated[list[str] | None, Query(alias="location")]
Text = str | None
_Item = TypeVar("_Item")
_MOST_IN_A_BATCH = 1_000
_MOST_LOCATIONS = 100


def _reader(request: Request) -> None:
    if not is_local(request):
        principal_of(request).require(Scope.REPORTS_READ)


router = APIRouter(tags=["carbon-aware-sdk"], dependencies=[Depends(_reader)])


@router.get("/emissions/bylocation")
def by_location(
    context: ContextOf, location: Text = None, time: Text = None, toTime: Text = None
) -> Response:
    return _told(lambda: _emissions(context, [_required("location", location)], time, toTime))


@router.get("/emissions/bylocations")
def by_locations(
    context: ContextOf, location: Locations = None, time: Text = None, toTime: Text = None
) -> Response:
    return _told(lambda: _emissions(context, _several(location), time, toTime))


@router.get("/emissions/bylocations/best")
def best_location(
    context: ContextOf, location: Locations = None, time: Text = None, toTime: Text = None
) -> Response:
    def best() -> list[dict[str, Any]]:
        found = _emissions(context, _several(location), time, toTime)
        lowest = min((row["rating"] for row in found), default=None)
        return [row for row in found if row["rating"] == lowest]

    return _told(best)


@router.get("/emissions/forecasts/current")
def current_forecasts(
    context: ContextOf,
    location: Locations = None,
    dataStartAt: Text = None,
    dataEndAt: Text = None,
    windowSize: Text = None,
) -> Response:
    return _told(
        lambda: [
            _forecast(name, context, dataStartAt, dataEndAt, windowSize)
            for name in _several(location)
        ]
    )


class _Asked(msgspec.Struct, frozen=True, rename="camel"):
    requested_at: str | None = None
    location: str | None = None
    data_start_at: str | None = None
    data_end_at: str | None = None
    window_size: int | None = None


class _AskedAverage(msgspec.Struct, frozen=True, rename="camel"):
    location: str | None = None
    start_time: str | None = None
    end_time: str | None = None


@router.post("/emissions/forecasts/batch")
async def forecast_batch(request: Request, context: ContextOf) -> Response:
    """What was foretold at `requestedAt`, of each."""
    body = await read_json(request)

    def told() -> list[dict[str, Any]]:
        made = []
        for asked in _batch(body, _Asked):
            name = _required("location", asked.location)
            at_ms = _moment("requestedAt", _required("requestedAt", asked.requested_at))
            size = None if asked.window_size is None else str(asked.window_size)
            span = (asked.data_start_at, asked.data_end_at, size)
            made.append(_forecast(name, context, *span, as_of_ms=at_ms))
        return made

    return await run_in_threadpool(_told, told)


@router.get("/emissions/average-carbon-intensity")
def average_intensity(
    context: ContextOf, location: Text = None, startTime: Text = None, endTime: Text = None
) -> Response:
    return _told(lambda: _average(context, _AskedAverage(location, startTime, endTime)))


@router.post("/emissions/average-carbon-intensity/batch")
async def average_batch(request: Request, context: ContextOf) -> Response:
    body = await read_json(request)

    def told() -> list[dict[str, Any]]:
        asked = _batch(body, _AskedAverage)
        if len({one.location for one in asked}) > 1:
            raise InvalidInput("one_location", "location: a batch asks for one location only")
        found = [_average(context, one) for one in asked]
        return [one for one in found if one is not None]

    return await run_in_threadpool(_told, told)


@router.get("/locations")
def all_locations() -> Response:
    """Where they stand is not known here: latitude and longitude are null."""
    return answer(
        {name: {"Latitude": None, "Longitude": None, "Name": name} for name in locations()}
    )


@router.get("/health")
def health() -> Response:
    return Response("Healthy", media_type="text/plain")


# Shapes


def _emissions(
    context: Context, names: list[str], time: Text, to_time: Text
) -> list[dict[str, Any]]:
    start_ms = _moment("time", time) if time else context.clock.now_ms()
    end_ms = _moment("toTime", to_time) if to_time else start_ms
    return [
        _emission(name, point)
        for name in names
        for point in emissions(context, name, start_ms, end_ms)
    ]


def _emission(name: str, point: RatedPoint) -> dict[str, Any]:
    return {
        "location": name,
        "time": _stamp(point.start_ms),
        "rating": point.g_per_kwh,
        "duration": _time_span(point.end_ms - point.start_ms),
    }


def _forecast(
    name: str,
    context: Context,
    start: Text,
    end: Text,
    size: Text,
    as_of_ms: int | None = None,
) -> dict[str, Any]:
    start_ms = _moment("dataStartAt", start) if start else None
    end_ms = _moment("dataEndAt", end) if end else None
    told = window_forecast(context, name, start_ms, end_ms, _window_ms(size), as_of_ms)
    return {
        "generatedAt": _stamp(told.generated_ms),
        "requestedAt": _stamp(told.requested_ms),
        "location": name,
        "dataStartAt": _stamp(told.start_ms),
        "dataEndAt": _stamp(told.end_ms),
        "windowSize": told.window_ms // MS_PER_MIN,
        "optimalDataPoints": [_data_point(name, told, window) for window in told.best],
        "forecastData": [_data_point(name, told, window) for window in told.windows],
    }


def _data_point(name: str, told: WindowForecast, window: Window) -> dict[str, Any]:
    return {
        "location": name,
        "timestamp": _stamp(window.start_ms),
        "duration": told.window_ms // MS_PER_MIN,
        "value": window.g_per_kwh,
    }


def _average(context: Context, asked: _AskedAverage) -> dict[str, Any] | None:
    name = _required("location", asked.location)
    start = _required("startTime", asked.start_time)
    end = _required("endTime", asked.end_time)
    start_ms, end_ms = _moment("startTime", start), _moment("endTime", end)
    mean = average(context, name, start_ms, end_ms)
    if mean is None:
        return None
    return {
        "location": name,
        "startTime": _stamp(start_ms),
        "endTime": _stamp(end_ms),
        "carbonIntensity": round(mean, 6),
    }


def _told(make: Callable[[], Any]) -> Response:
    """200, or 204 for nothing, or one of its problem documents."""
    try:
        found = make()
    except CarbonError as error:
        return _problem(error)
    return answer(found) if found else Response(status_code=204)


def _problem(error: CarbonError) -> Response:
    """Unknown locations and whatever cannot be meant are 400, as there; the rest keeps its own."""
    status, title = error.status, error.title
    if error.code == "no_forecast":
        status, title = 501, "Not Implemented"
    elif isinstance(error, InvalidInput | NotFound):
        status, title = 400, "One or more validation errors occurred."
    name, _, told = error.detail.partition(": ")
    errors = {name: [told]} if told and name.isidentifier() else {}
    body = {
        "type": f"https://www.rfc-editor.org/rfc/rfc9110#status.{status}",
        "title": title,
        "status": status,
        "detail": error.detail,
        "errors": errors,
        "traceId": uuid4().hex,
    }
    content = msgspec.json.encode(body)
    return Response(content, status, media_type="application/problem+json")


# What is asked


def _required(name: str, value: str | None) -> str:
    if not value or not value.strip():
        raise InvalidInput("field_required", f"{name}: the field is required")
    return value.strip()


def _several(names: list[str] | None) -> list[str]:
    if not names or len(names) > _MOST_LOCATIONS:
        raise InvalidInput(
            "field_required", f"location: name 1 to {_MOST_LOCATIONS}, the parameter repeated"
        )
    return [_required("location", name) for name in names]


def _moment(name: str, text: str) -> int:
    """As its clients write them: seven digits of a second, and `+` lost from a query."""
    head, blank, offset = text.strip().rpartition(" ")
    plain = f"{head}+{offset}" if blank and "T" in head else text.strip()
    try:
        moment = datetime.fromisoformat(plain)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return from_rfc3339(moment.isoformat())
    except (ValueError, OverflowError):
        raise InvalidInput("invalid_time", f"{name}: {text!r} is no ISO 8601 time") from None


def _window_ms(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 7 * 1440):
        raise InvalidInput("invalid_window", "windowSize: whole minutes, one at least")
    return int(text) * MS_PER_MIN


def _batch(body: bytes, shape: type[_Item]) -> list[_Item]:
    try:
        asked = msgspec.json.decode(body, type=list[shape])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedInput("malformed_json", f"body: {error}") from None
    if not 0 < len(asked) <= _MOST_IN_A_BATCH:
        raise InvalidInput("batch_size", f"body: 1 to {_MOST_IN_A_BATCH} requests in a batch")
    return asked


def _stamp(ms: int) -> str:
    """With `+00:00`, as .NET writes UTC."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def _time_span(ms: int) -> str:
    """As .NET writes a duration: `00:05:00`, `1.00:00:00`."""
    span = timedelta(milliseconds=ms)
    hours, seconds = divmod(span.seconds, 3600)
    clock = f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}"
    return f"{span.days}.{clock}" if span.days else clock
