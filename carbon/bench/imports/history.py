"""A long history of many GPUs by query_range, of days before the hot ones: its pace to the commit
and until it is rolled up, what of the processors it takes, and what it leaves on the disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from sqlalchemy import Engine, func, select

from carbon.bench.figure import Figure, Options, at_least, not_taken, reported
from carbon.bench.serving import Service, free_port, service
from carbon.client import Client
from carbon.client.prometheus_history import PrometheusHistory, Result, Window
from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.imports.mapping import load_mapping
from carbon.imports.prometheus_api import PrometheusApi
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import create_engine, is_sqlite, reading

_STEP_MS: Final = 30_000
_GPUS, _FEW_GPUS = 1_000, 200
_HOURS, _FEW_HOURS = 72, 6
#: It ends so long ago: what is older than the hot days goes straight to the cold tier.
_ENDED_DAYS: Final = 15
#: Who waits longer for a roll-up is told how far it came.
_ROLLED_UP_WITHIN_S: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class _Taken:
    result: Result
    #: From the start of the import until nothing was left to roll up; None where that took long.
    whole_s: float | None
    left: int
    #: Processor seconds of importer and server to the last commit, and of the server after it.
    importer_s: float
    server_s: float
    rolling_s: float
    stored_bytes: int
    memory_mb: float


def history_figures(options: Options) -> list[Figure]:
    """`--rows N` takes so many points: 86400000 are 30 days of 1 000 GPUs at 30 s."""
    gpus = _FEW_GPUS if options.quick else _GPUS
    hours = _FEW_HOURS if options.quick else _HOURS
    if options.rows is not None:
        hours = max(1, round(options.rows * _STEP_MS / MS_PER_HOUR / gpus))
    taken = _take(options.db_url, gpus, hours)
    result = taken.result
    size = f"{result.points:,} points of {gpus} GPUs over {hours / 24:g} days"
    rate = result.points / result.seconds
    note = f"{size}, {result.intervals:,} rows, JSON to the commit"
    stored = f"{taken.stored_bytes / 1e6:,.0f} MB: raw rows, roll-ups, cold files"
    rolled = "history: points a second until the last of them is in every roll-up"
    worked_s = taken.importer_s + taken.server_s
    share = f"importer {taken.importer_s:,.1f} s, server {taken.server_s:,.1f} s, roll-ups with it"
    after = f"server {taken.rolling_s:,.1f} s after the last commit"
    return [
        at_least(f"history of {gpus:,} GPUs".replace(",", " "), rate, "points/s", 100_000, note),
        reported(rolled, result.points / taken.whole_s, "points/s", f"{taken.whole_s:,.0f} s")
        if taken.whole_s is not None
        else not_taken(rolled, "points/s", f"{taken.left:,} buckets were left after 30 min"),
        reported("history: processor time a point", 1e6 * worked_s / result.points, "µs", share),
        reported(
            "history: processor time a point, rolled up",
            1e6 * (worked_s + taken.rolling_s) / result.points,
            "µs",
            after,
        ),
        reported("history: bytes a point", taken.stored_bytes / result.points, "B", stored),
        reported("history: memory of the server", taken.memory_mb, "MB", "once all is in"),
    ]


def _take(db_url: str | None, gpus: int, hours: int) -> _Taken:
    until_ms = floor_to(SystemClock().now_ms(), MS_PER_DAY) - _ENDED_DAYS * MS_PER_DAY
    window = Window(until_ms - hours * MS_PER_HOUR, until_ms, _STEP_MS)
    with (
        service(db_url) as running,
        _prometheus(gpus) as url,
        tempfile.TemporaryDirectory() as folder,
        Client(running.url, running.key) as client,
    ):
        engine = create_engine(db_url or f"sqlite:///{running.data_dir / 'carbon.db'}")
        try:
            began = time.monotonic()
            worked = time.process_time(), running.cpu_with_children_s
            file = Path(folder) / "progress.json"
            api = PrometheusApi(url)
            result = PrometheusHistory(api, client, load_mapping(), window, file).run()
            importer_s, at_commit = time.process_time() - worked[0], running.cpu_with_children_s
            left = _wait_rolled_up(engine)
            whole_s = None if left else time.monotonic() - began
            took = (importer_s, at_commit - worked[1], running.cpu_with_children_s - at_commit)
            return _Taken(result, whole_s, left, *took, _stored(engine, running), running.memory_mb)
        finally:
            engine.dispose()


def _wait_rolled_up(engine: Engine) -> int:
    """How many buckets are left."""
    deadline = time.monotonic() + _ROLLED_UP_WITHIN_S
    while True:
        with reading(engine) as connection:
            left = connection.scalar(select(func.count()).select_from(dirty_bucket)) or 0
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def _stored(engine: Engine, running: Service) -> int:
    cold = sum(file.stat().st_size for file in running.data_dir.rglob("*.parquet"))
    query = "SELECT pg_database_size(current_database())"
    with reading(engine) as connection:
        if is_sqlite(connection):
            query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return cold + int(connection.exec_driver_sql(query).scalar() or 0)


@contextmanager
def _prometheus(gpus: int) -> Iterator[str]:
    port = free_port()
    script = Path(__file__).with_name("steady_prometheus.py")  # alone, so that it starts at once
    process = subprocess.Popen([sys.executable, str(script), str(port), str(gpus)])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{url}/api/v1/label/__name__/values", timeout=1.0)
            return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise RuntimeError("the scripted Prometheus did not start")
