"""`eco2mix-national-tr/records` of odre.opendatasoft.com, newest first, at most 100 a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

STEP_MS = 900_000


def answer(
    query: dict[str, str], now_ms: int, curve: Callable[[int], float]
) -> tuple[int, dict[str, Any]]:
    since = re.search(r"date_heure >= date'([^']+)'", query["where"])
    if since is None or int(query["limit"]) > 100:
        return 400, {"error_code": "ODSQLError", "message": "invalid"}
    start_ms = round(datetime.fromisoformat(since[1]).timestamp() * 1000)
    first_ms = start_ms + -start_ms % STEP_MS
    starts = list(range(first_ms, now_ms - STEP_MS, STEP_MS))[::-1]
    offset, limit = int(query["offset"]), int(query["limit"])
    rows = [record(ms, curve) for ms in starts[offset : offset + limit]]
    return 200, {"total_count": len(starts), "results": rows}


def record(ms: int, curve: Callable[[int], float]) -> dict[str, Any]:
    return {
        "perimetre": "France",
        "nature": "Données temps réel",
        "date_heure": datetime.fromtimestamp(ms / 1000, UTC).isoformat(),
        "consommation": 45678,
        "prevision_j1": 45000,
        "prevision_j": 45500,
        "taux_co2": round(curve(ms)),
        "nucleaire": 38000,
        "eolien": 5000,
        "solaire": 0,
        "gaz": 900,
    }
