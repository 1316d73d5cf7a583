"""`/carbon-intensity/history` and `/forecast` of api.electricitymaps.com, v4."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

HOUR_MS = 3_600_000
KEY = "em-secret-key"


def answer(
    path: str, query: dict[str, str], key: str, now_ms: int, curve: Callable[[int], float]
) -> tuple[int, dict[str, Any]]:
    if key != KEY:
        return 401, {"status": "error", "message": f"Invalid auth-token {key}"}
    if path.endswith("/latest") and "lat" in query:
        north = float(query["lat"]) > 49
        return 200, measured("DE" if north else "FR", now_ms - now_ms % HOUR_MS, curve)
    zone = query.get("zone", "")
    if zone not in ("DE", "FR"):
        return 404, {"status": "error", "message": "Zone not found"}
    turn_ms = now_ms - now_ms % HOUR_MS
    if path.endswith("/history"):
        starts = range(turn_ms - 24 * HOUR_MS, turn_ms, HOUR_MS)
        return 200, {"zone": zone, "history": [measured(zone, ms, curve) for ms in starts]}
    if path.endswith("/forecast"):
        starts = range(turn_ms, turn_ms + 24 * HOUR_MS, HOUR_MS)
        values = [{"carbonIntensity": round(curve(ms)) + 3, "datetime": stamp(ms)} for ms in starts]
        return 200, {"zone": zone, "forecast": values, "updatedAt": stamp(turn_ms)}
    return 404, {"status": "error", "message": "Not found"}


def measured(zone: str, ms: int, curve: Callable[[int], float]) -> dict[str, Any]:
    """The third hour of each day is one of the source's own estimates."""
    estimated = ms // HOUR_MS % 24 == 3
    return {
        "zone": zone,
        "carbonIntensity": round(curve(ms)),
        "datetime": stamp(ms),
        "updatedAt": stamp(ms + HOUR_MS + 420_000),
        "createdAt": stamp(ms - 72 * HOUR_MS),
        "emissionFactorType": "lifecycle",
        "isEstimated": estimated,
        "estimationMethod": "TIME_SLICER_AVERAGE" if estimated else None,
        "temporalGranularity": "hourly",
    }


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
