"""`fuel-type-data` of api.eia.gov, v2: values as text, hours named by their end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

HOUR_MS = 3_600_000
KEY = "eia-secret-key"
#: MW by fuel, at any hour; sun by day alone.
MW = {"NG": 9000.0, "NUC": 2000.0, "WAT": 1000.0, "WND": 1500.0, "OTH": 100.0, "BAT": 300.0}


def answer(path: str, query: dict[str, str], now_ms: int) -> tuple[int, dict[str, Any]]:
    if query.get("api_key") != KEY:
        error = {"code": "API_KEY_INVALID", "message": f"{query.get('api_key')} is not valid"}
        return 403, {"error": error}
    respondent = query["facets[respondent][]"]
    last_ms = min(parse(query["end"]), now_ms - 2 * HOUR_MS)
    ends = range(parse(query["start"]), last_ms + 1, HOUR_MS)
    rows = [row(ms, respondent, fuel) for ms in ends for fuel in [*MW, "SUN"]]
    offset, length = int(query["offset"]), int(query["length"])
    return 200, {
        "response": {
            "total": str(len(rows)),
            "dateFormat": 'YYYY-MM-DD"T"HH24',
            "frequency": "hourly",
            "data": rows[offset : offset + length],
        },
        "request": {"command": path, "params": query},
        "apiVersion": "2.1.12",
    }


def row(end_ms: int, respondent: str, fuel: str) -> dict[str, Any]:
    return {
        "period": stamp(end_ms),
        "respondent": respondent,
        "respondent-name": "California Independent System Operator",
        "fueltype": fuel,
        "type-name": fuel,
        "value": str(round(megawatts(end_ms - HOUR_MS, fuel))),
        "value-units": "megawatthours",
    }


def megawatts(start_ms: int, fuel: str) -> float:
    """By night the inverters draw a little."""
    if fuel == "SUN":
        return 8000.0 if 8 <= start_ms // HOUR_MS % 24 < 18 else -12.0
    return MW[fuel]


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H")


def parse(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp() * 1000)
