"""`carbon bench ingest`: intervals a second from HTTP to the commit, beside the raw driver."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from carbon.bench.figure import Figure, Options, at_least, reported
from carbon.bench.serving import Service, service
from carbon.clock import SystemClock
from carbon.domain.units import floor_to

_ROWS = 1_000
_STEP_MS = 10_000


def measure(options: Options) -> list[Figure]:
    batches = 20 if options.quick else 200
    bodies = [_body(seq, _ROWS) for seq in range(batches)]
    with service(options.db_url) as running:
        http, p99_ms = _send(running, bodies)
        single = _single(running, 100 if options.quick else 1_000)
        rss_mb = running.rss_mb
    figures = [
        reported("HTTP to committed, batches of 1 000", http, "rows/s", "one connection, JSON"),
        reported("p99 of a batch of 1 000", p99_ms, "ms"),
        reported("single intervals", single, "rows/s", "one connection"),
        reported("memory of the server", rss_mb, "MB"),
    ]
    if options.db_url is None:
        raw = _raw_sqlite(batches)
        figures.append(reported("raw sqlite3 executemany, the same rows", raw, "rows/s"))
        figures.append(at_least("share of the raw driver", http / raw, "1", 0.6))
    return figures


def _body(seq: int, rows: int) -> bytes:
    """A batch of `rows` 10 s intervals of 100 devices, later than the batch before."""
    start_ms = _first_ms() + seq * max(1, rows // 100) * _STEP_MS
    intervals = [
        {
            "device": f"GPU-{i % 100:08x}",
            "workload": f"w{i % 20}",
            "start_ms": start_ms + i // 100 * _STEP_MS,
            "end_ms": start_ms + i // 100 * _STEP_MS + _STEP_MS,
            "energy_mj": 3_000_000 + i,
            "method": "counter",
        }
        for i in range(rows)
    ]
    return msgspec.json.encode(
        {"source": "bench", "boot_id": "b", "seq": seq, "intervals": intervals}
    )


def _first_ms() -> int:
    return floor_to(SystemClock().now_ms(), 86_400_000) - 2 * 86_400_000


def _send(running: Service, bodies: list[bytes]) -> tuple[float, float]:
    """(rows/s, p99 in ms) of a plain loop over one connection."""
    took = []
    with running.client() as client:
        started = time.perf_counter()
        for body in bodies:
            before = time.perf_counter()
            answer = client.post("/v1/energy", content=body)
            took.append(time.perf_counter() - before)
            assert answer.json()["accepted"] == _ROWS, answer.text
        elapsed = time.perf_counter() - started
    return len(bodies) * _ROWS / elapsed, sorted(took)[int(len(took) * 0.99)] * 1000


def _single(running: Service, count: int) -> float:
    # 10 s apart on one device, as a small client sends them.
    bodies = [_body(seq, 1) for seq in range(5_000, 5_000 + count)]
    with running.client() as client:
        started = time.perf_counter()
        for body in bodies:
            client.post("/v1/energy", content=body).raise_for_status()
        return count / (time.perf_counter() - started)


def _raw_sqlite(batches: int) -> float:
    """The driver alone: the same columns and key, one transaction a batch."""
    rates = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL").close()
            connection.execute("PRAGMA synchronous=NORMAL").close()
            connection.execute(
                "CREATE TABLE e (end_ms INT, meter INT, subject INT, span INT, mj INT, method INT,"
                " PRIMARY KEY (end_ms, meter, subject, span)) WITHOUT ROWID"
            )
            started = time.perf_counter()
            for seq in range(batches):
                _insert_raw(connection, seq)
            rates.append(batches * _ROWS / (time.perf_counter() - started))
            connection.close()
    return median(rates)


def _insert_raw(connection: sqlite3.Connection, seq: int) -> None:
    rows = [
        (seq * 100_000 + i // 100 * _STEP_MS, i % 100, i % 20, _STEP_MS, 3_000_000 + i, 1)
        for i in range(_ROWS)
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR IGNORE INTO e VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
