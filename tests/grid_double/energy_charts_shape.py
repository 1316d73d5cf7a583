"""`/co2eq` of api.energy-charts.info."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STEP_MS = 900_000
DAY_MS = 86_400_000


def answer(
    query: dict[str, str], now_ms: int, curve: Callable[[int], float]
) -> tuple[int, dict[str, Any]]:
    """Today to the end of tomorrow, or [start, end] in Unix seconds, both ends included."""
    if len(query.get("country", "")) != 2:
        return 404, {"detail": "not the code of an available country"}
    midnight_ms = now_ms - now_ms % DAY_MS
    start_ms = int(query["start"]) * 1000 if "start" in query else midnight_ms
    end_ms = int(query["end"]) * 1000 if "end" in query else midnight_ms + 2 * DAY_MS - STEP_MS
    steps = range(start_ms - start_ms % STEP_MS, end_ms + 1, STEP_MS)
    return 200, {
        "unix_seconds": [ms // 1000 for ms in steps],
        "co2eq": [curve(ms) if ms + STEP_MS <= now_ms else None for ms in steps],
        "co2eq_forecast": [None if ms + STEP_MS <= now_ms else curve(ms) + 3 for ms in steps],
        "substitute": False,
        "deprecated": False,
    }
