"""`/login`, `/v3/historical` and `/v3/forecast` of api.watttime.org."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

STEP_MS = 300_000
LB_PER_MWH_OF_G_PER_KWH = 1 / 0.45359237
USER, PASSWORD = "someone", "wt-secret"


class Tokens:
    """Each login's token; `valid` is the one that is taken, until it is `ended`."""

    def __init__(self) -> None:
        self.given = 0
        self.valid = ""

    def end(self) -> None:
        self.valid = ""


def answer(
    path: str,
    query: dict[str, str],
    authorization: str,
    tokens: Tokens,
    now_ms: int,
    curve: Callable[[int], float],
) -> tuple[int, dict[str, Any]]:
    if path == "/login":
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization != f"Basic {wanted}":
            return 401, {"detail": "Not authenticated"}
        tokens.given += 1
        tokens.valid = f"wt-token-{tokens.given}"
        return 200, {"token": tokens.valid}
    if not tokens.valid or authorization != f"Bearer {tokens.valid}":
        return 401, {"detail": "Invalid or expired token"}
    if path.endswith("/region-from-loc"):
        west = float(query["longitude"]) < -100
        region = "CAISO_NORTH" if west else "PJM_DC"
        return 200, {"region": region, "signal_type": "co2_moer", "region_full_name": region}
    if query.get("region") != "CAISO_NORTH":
        return 403, {"detail": "not in your plan"}
    return 200, {"data": values(path, query, now_ms, curve), "meta": meta(path, now_ms)}


def values(
    path: str, query: dict[str, str], now_ms: int, curve: Callable[[int], float]
) -> list[dict[str, Any]]:
    if path.endswith("/forecast"):
        start_ms = now_ms - now_ms % STEP_MS
        end_ms = start_ms + int(query["horizon_hours"]) * 3_600_000
    else:
        start_ms, end_ms = parse(query["start"]), parse(query["end"])
        start_ms += -start_ms % STEP_MS
        end_ms -= STEP_MS
    return [
        {"point_time": stamp(ms), "value": curve(ms) * LB_PER_MWH_OF_G_PER_KWH}
        for ms in range(start_ms, end_ms, STEP_MS)
    ]


def meta(path: str, now_ms: int) -> dict[str, Any]:
    made = {
        "data_point_period_seconds": 300,
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
        "warnings": [],
        "model": {"date": "2023-03-01"},
    }
    if path.endswith("/forecast"):
        made |= {"generated_at_period_seconds": 300, "generated_at": stamp(now_ms)}
    return made


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def parse(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
