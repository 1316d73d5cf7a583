"""Two arms in the ledger, A/B/A/B, and what asks for their comparison."""

from __future__ import annotations

import random
from typing import Any

from fastapi.testclient import TestClient
from ledger import interval
from service import MINUTE, T, batch, count, vintage

from carbon.clock import to_rfc3339

BLOCKS = 6
WIDTH = 20 * MINUTE


def starts(arm: int) -> list[int]:
    """Blocks of twenty minutes."""
    return [T + (2 * n + arm) * WIDTH for n in range(BLOCKS)]


def windows(arm: int) -> list[dict[str, Any]]:
    return [{"start": to_rfc3339(t), "end": to_rfc3339(t + WIDTH)} for t in starts(arm)]


def runs(arm: int) -> list[dict[str, Any]]:
    return [{"run": f"{'ab'[arm]}{n}"} for n in range(BLOCKS)]


def send_arms(admin: TestClient) -> None:
    """Treatment blocks draw a tenth less, for as many tokens; every block is a run."""
    rng = random.Random(9)
    sent, counts = [], []
    for arm, factor in enumerate((1.0, 0.9)):
        for n, start in enumerate(starts(arm)):
            energy_mj = round(1e9 * factor * (1 + rng.gauss(0, 0.01)))
            sent.append(interval(start, start + WIDTH, energy_mj, run=f"{'ab'[arm]}{n}"))
            counts.append(count(1000, start_ms=start, end_ms=start + WIDTH))
    answers = [
        admin.post("/v1/energy", json=batch(*sent, zone="DE")),
        admin.post("/v1/units", json={"units": counts}),
        admin.post("/v1/intensity/DE", json=vintage(*[300.0] * 6)),
    ]
    assert all(answer.status_code < 300 for answer in answers), [a.text for a in answers]


def comparison(blocks: Any = windows, **changed: Any) -> dict[str, Any]:
    """The body of POST /v1/experiments."""
    asked = {
        "workload": "w",
        "technique": "quantisation",
        "parameters": {"from_precision": "fp32", "to_precision": "int8", "batch_size": 64},
        "unit": "token",
        "baseline": {"blocks": blocks(0), "config": {"precision": "fp32", "batch": 64}},
        "treatment": {"blocks": blocks(1), "config": {"precision": "int8", "batch": 64}},
    }
    return {**asked, **changed}
