"""CodeCarbon's single posts, one delta of one run each, as its trackers send them."""

from __future__ import annotations

import msgspec

from carbon.bench.figure import Figure, at_least, at_most
from carbon.bench.ingest.load import at_once, request
from carbon.bench.serving import Service
from carbon.clock import SystemClock, to_rfc3339

_TRACKERS, _DELTAS = 32, 200
_STEP_S = 15


def tracker_figures(running: Service, database: str, quick: bool) -> list[Figure]:
    """Posts a second and p99, each tracker waiting for its answer: its own server does about 2 a
    second and core."""
    trackers = [_opened(running, number) for number in range(_TRACKERS)]
    count = _DELTAS // 4 if quick else _DELTAS
    requests = [_requests(running, run, count) for run in trackers]
    at_once(running, [of_tracker[:2] for of_tracker in requests])
    load = at_once(running, [of_tracker[2:] for of_tracker in requests])
    note = f"{_TRACKERS} trackers, each waits for its answer"
    return [
        at_least(f"{database}: CodeCarbon /emissions", load.per_s, "1/s", 2_000, note),
        at_most(f"{database}: p99 of a CodeCarbon /emissions", load.p99_ms, "ms", 50),
    ]


def _requests(running: Service, run: str, count: int) -> list[bytes]:
    bodies = (_delta(run, seq) for seq in range(count))
    return [request(running, body, "application/json", "/emissions") for body in bodies]


def _opened(running: Service, number: int) -> str:
    """Runs of machines of their own: their core counts tell them apart."""
    body = {
        "timestamp": to_rfc3339(SystemClock().now_ms()),
        "experiment_id": f"bench-{number}",
        "os": "Linux",
        "cpu_count": number + 1,
        "cpu_model": "bench",
        "tracking_mode": "machine",
    }
    with running.client() as client:
        answer = client.post("/runs", content=msgspec.json.encode(body))
    run: str = answer.raise_for_status().json()["id"]
    return run


def _delta(run: str, seq: int) -> bytes:
    """As CodeCarbon 3.3 sends it; the deltas follow each other through the last day."""
    end_ms = SystemClock().now_ms() - (_DELTAS - seq) * _STEP_S * 1000
    return msgspec.json.encode(
        {
            "timestamp": to_rfc3339(end_ms),
            "run_id": run,
            "duration": _STEP_S,
            "emissions_sum": 3.4e-6,
            "emissions_rate": 2.4e-7,
            "cpu_power": 13.6,
            "gpu_power": 0.0,
            "ram_power": 20.0,
            "cpu_energy": 5.5e-5,
            "gpu_energy": 0.0,
            "ram_energy": 8.3e-5,
            "energy_consumed": 1.38e-4,
            "cpu_utilization_percent": 66.7,
            "gpu_utilization_percent": 0,
            "ram_utilization_percent": 2.2,
            "wue": 0.0,
        }
    )
