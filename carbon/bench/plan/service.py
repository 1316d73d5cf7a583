"""The service that plans: submitting one job, submitting many, and planning all of them anew."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import numpy as np
from msgspec import json

from carbon.app import open_context
from carbon.bench.figure import Figure, Options, at_least, at_most, not_taken, reported
from carbon.bench.own_postgresql import postgresql
from carbon.bench.serving import Service, service
from carbon.clock import SystemClock, to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.domain.units import MS_PER_HOUR
from carbon.executors.registry import build_executors
from carbon.scheduler.leader import Leader
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.pools import set_pool
from carbon.services.jobs.replan import replan
from carbon.settings import Settings
from carbon.wire.jobs import JobBatch, JobBody, PoolBody

_BATCH: Final = 1000
_HOURS: Final = 72
_ZONE: Final = "DE"
_POOL: Final = "bench"
_PRINCIPAL: Final = Principal("bench", "bench", "default", ADMIN_SCOPES)


def figures(options: Options) -> Iterator[Figure]:
    """On the database given, which must be empty, else on SQLite and on PostgreSQL where pip has
    brought one."""
    if options.db_url is not None:
        yield from _submitted(options, options.db_url)
        return
    yield from _submitted(options, None)
    yield from _replanned(options, None)
    for measured in (_submitted, _replanned):  # each in a database of its own
        with postgresql() as url:
            if url is None:
                yield not_taken("PostgreSQL", "jobs/s", "no PostgreSQL: --db, or pip's")
                return
            yield from measured(options, url)


def _submitted(options: Options, url: str | None) -> list[Figure]:
    submits, batches = (50, 2) if options.quick else (500, 20)
    with service(url) as served, served.client() as client:
        _publish(client)
        pool = client.post("/v1/pools", json={"name": _POOL, "capacity": _BATCH})
        pool.raise_for_status()
        one, spent_ms = _single(client, served, submits)
        many = _batches(client, batches)
    name = _name(url)
    return [
        at_most(f"{name}: submit, p99", one, "ms", 20),
        reported(f"{name}: submit, processor time of the service, mean", spent_ms, "ms"),
        at_least(f"{name}: batch submitted and planned", many, "jobs/s", _BATCH_TARGET[name]),
    ]


def _replanned(options: Options, url: str | None) -> list[Figure]:
    """Held against its target only with as many jobs as that speaks of."""
    pending = 2_000 if options.quick else 100_000
    name = f"{_name(url)}: re-plan of {pending} pending"
    taken_s, spent_s = _replan_s(pending, url)
    return [
        reported(name, taken_s, "s") if options.quick else at_most(name, taken_s, "s", 5),
        reported(f"{name}, processor time", spent_s, "s"),
    ]


_BATCH_TARGET: Final = {"SQLite": 5_000, "PostgreSQL": 10_000}


def _name(url: str | None) -> str:
    return "SQLite" if url is None or url.startswith("sqlite") else "PostgreSQL"


def _publish(client: httpx2.Client) -> None:
    points = [
        {"start_ms": p.start_ms, "end_ms": p.end_ms, "g_per_kwh": p.g_per_kwh}
        for p in _forecast(1).points
    ]
    body: dict[str, Any] = {
        "source": "bench",
        "signal": "average",
        "scope": "lifecycle",
        "points": points,
    }
    body["published_at"] = to_rfc3339(time.time_ns() // 1_000_000)
    client.post(f"/v1/intensity/{_ZONE}", json=body).raise_for_status()


def _forecast(seed: int) -> Vintage:
    now_ms = time.time_ns() // 1_000_000
    first = now_ms // MS_PER_HOUR * MS_PER_HOUR
    drawn = np.random.default_rng(seed).uniform(50, 500, _HOURS).tolist()
    points = tuple(
        IntensityPoint(
            first + i * MS_PER_HOUR, first + (i + 1) * MS_PER_HOUR, g, PointKind.FORECAST
        )
        for i, g in enumerate(drawn)
    )
    return Vintage(_ZONE, "bench", Signal.AVERAGE, EmissionScope.LIFECYCLE, now_ms, points)


def _body(index: int) -> dict[str, Any]:
    return {
        "name": f"job{index % 50}",
        "executor": "local",
        "command": ["true"],
        # Nothing starts while it is measured.
        "earliest": "2h",
        "deadline": f"{24 + index % 36}h",
        "length_s": 600 + 300 * (index % 20),
        "power_w": 300,
        "pool": _POOL,
        "zones": [_ZONE],
    }


def _single(client: httpx2.Client, served: Service, count: int) -> tuple[float, float]:
    """(p99, the service's own processor time for one) in ms, by a client that keeps its
    connection."""
    took = []
    before = served.cpu_s
    for index in range(count):
        body = json.encode(_body(index))
        began = time.perf_counter()
        client.post("/v1/jobs", content=body).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return float(np.percentile(took, 99)), (served.cpu_s - before) * 1000 / count


def _batches(client: httpx2.Client, count: int) -> float:
    """Jobs a second."""
    body = json.encode({"jobs": [_body(index) for index in range(_BATCH)]})
    began = time.perf_counter()
    for _ in range(count):
        client.post("/v1/jobs/batch", content=body).raise_for_status()
    return count * _BATCH / (time.perf_counter() - began)


def _replan_s(pending: int, url: str | None) -> tuple[float, float]:
    """(Time, processor time) from a new forecast that changes every hour to the last job moved."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), db_url=url, zone=_ZONE, feeds=False)
        context = open_context(settings, SystemClock())
        try:
            return _replanned_s(context, pending)
        finally:
            context.engine.dispose()


def _replanned_s(context: Context, pending: int) -> tuple[float, float]:
    executors = build_executors(context.settings, context.clock)
    set_pool(context, _PRINCIPAL, PoolBody(_POOL, pending // 50))
    record_vintage(context, _forecast(1))
    jobs = Jobs(context, executors)
    for first in range(0, pending, _BATCH):
        bodies = [JobBody(**_body(i)) for i in range(first, min(first + _BATCH, pending))]
        jobs.submit_batch(_PRINCIPAL, JobBatch(bodies))
    lease = Leader(context, "bench").lease()
    assert lease is not None
    record_vintage(context, _forecast(2))
    began, worked = time.perf_counter(), time.process_time()
    replan(context, executors, lease)
    return time.perf_counter() - began, time.process_time() - worked
