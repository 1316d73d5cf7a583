"""How near to its time a job's call reaches another system: a target behind a real socket."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx2
import numpy as np

from carbon.bench.figure import Figure, at_most
from carbon.bench.serving import service
from carbon.clock import from_rfc3339, to_rfc3339

_GIVE_UP_S: Final = 60.0
_POOL: Final = "remote"
#: Between two jobs, which are due one after the other.
_APART_MS: Final = 200


def figures(quick: bool, db_url: str | None) -> list[Figure]:
    errors_s = start_errors_s(10 if quick else 100, db_url)
    p99 = float(np.percentile(errors_s, 99))
    return [at_most("start accuracy, remote, p99", p99, "s", 15.0, f"{len(errors_s)} webhooks")]


def start_errors_s(count: int, db_url: str | None = None) -> list[float]:
    """From each job's planned start to the call that starts it; infinite where none came."""
    with tempfile.TemporaryDirectory() as folder, _target() as (url, called_ms):
        secret, targets = Path(folder) / "secret", Path(folder) / "webhooks.toml"
        secret.write_text("bench\n")
        targets.write_text(f'[bench]\nurl = "{url}"\nsecret_file = "{secret}"\n')
        with (
            service(db_url, environment={"CARBON_WEBHOOKS": str(targets)}) as served,
            served.client() as client,
        ):
            planned_ms = _submit(client, count)
            until = time.monotonic() + _GIVE_UP_S + count * _APART_MS / 1000
            while len(called_ms) < count and time.monotonic() < until:
                time.sleep(0.1)
        return [
            abs(called_ms[job] - at_ms) / 1000 if job in called_ms else float("inf")
            for job, at_ms in planned_ms.items()
        ]


def _submit(client: httpx2.Client, count: int) -> dict[str, int]:
    """When each job is to start, by its id."""
    client.post("/v1/pools", json={"name": _POOL, "capacity": count}).raise_for_status()
    first_ms = time.time_ns() // 1_000_000 + 2_000 + 50 * count
    planned_ms: dict[str, int] = {}
    for index in range(count):
        body: dict[str, Any] = {
            "name": "punctual",
            "executor": "webhook",
            "spec": {"target": "bench"},
            "pool": _POOL,
            "earliest": to_rfc3339(first_ms + _APART_MS * index),
            "deadline": "1h",
        }
        made = client.post("/v1/jobs", json=body).raise_for_status().json()
        planned_ms[made["id"]] = from_rfc3339(made["placement"]["start"])
    return planned_ms


@contextmanager
def _target() -> Iterator[tuple[str, dict[str, int]]]:
    """Its address, and when it was called for each job."""
    called_ms: dict[str, int] = {}

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            called_ms.setdefault(told["carbon_job"], time.time_ns() // 1_000_000)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/start", called_ms
    finally:
        server.shutdown()
        server.server_close()
