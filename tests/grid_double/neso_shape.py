"""The national half-hours of api.carbonintensity.org.uk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

HALF_HOUR_MS = 1_800_000
SPANS_MS = {"fw24h": 86_400_000, "fw48h": 172_800_000, "pt24h": -86_400_000}


def answer(path: str, now_ms: int, curve: Callable[[int], float]) -> tuple[int, dict[str, Any]]:
    """`/intensity/{from}/fw48h` and its kin, and `/intensity/{from}/{to}`."""
    parts = path.removeprefix("/intensity/").split("/")
    try:
        start_ms = parse_minute(parts[0])
        span_ms = SPANS_MS.get(parts[1])
        end_ms = parse_minute(parts[1]) if span_ms is None else start_ms + span_ms
    except (IndexError, ValueError):
        error = {"code": "400 Bad Request", "message": "Please enter a valid date and time."}
        return 400, {"error": error}
    first, last = sorted((start_ms, end_ms))
    # The real one begins one half-hour early.
    first = first - first % HALF_HOUR_MS - HALF_HOUR_MS
    return 200, {"data": [half_hour(ms, now_ms, curve) for ms in range(first, last, HALF_HOUR_MS)]}


def regional(path: str, now_ms: int, curve: Callable[[int], float]) -> tuple[int, dict[str, Any]]:
    """`/regional/intensity/{from}/{to or span}/regionid/{id}`: an object, without `actual`."""
    span, _, region = path.removeprefix("/regional").partition("/regionid/")
    status, body = answer(span, now_ms, curve)
    if status != 200 or not region.isdecimal():
        return status, body
    for row in body["data"]:
        del row["intensity"]["actual"]
        row["generationmix"] = [{"fuel": "gas", "perc": 43.6}]
    inner = {"regionid": int(region), "shortname": "London", "data": body["data"]}
    return 200, {"data": inner}


def half_hour(ms: int, now_ms: int, curve: Callable[[int], float]) -> dict[str, Any]:
    """The forecast is 3 g off what comes, and `actual` is null until the half-hour has passed."""
    actual = round(curve(ms)) if ms + HALF_HOUR_MS <= now_ms else None
    intensity = {"forecast": round(curve(ms)) + 3, "actual": actual, "index": "moderate"}
    return {"from": minute(ms), "to": minute(ms + HALF_HOUR_MS), "intensity": intensity}


def minute(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse_minute(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC).timestamp() * 1000)
