"""Real processes: how near to its time a job starts, who leads after a kill -9, and what runs
twice or never while schedulers race and are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx2
import numpy as np

from carbon.app import open_context
from carbon.bench.figure import Figure, Options, at_most, not_taken
from carbon.bench.plan import remote_start
from carbon.bench.serving import Service, service
from carbon.clock import SystemClock, from_rfc3339, to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.executors.registry import build_executors
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import TICK_S, Scheduler
from carbon.services.context import Context
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.pools import set_pool
from carbon.settings import Settings
from carbon.wire.jobs import JobBatch, JobBody, PoolBody

_PRINCIPAL: Final = Principal("bench", "bench", "default", ADMIN_SCOPES)
_POOL: Final = "bench"
_GIVE_UP_S: Final = 60.0
#: Of each engine so many jobs are raced for.
_RACED: Final = {"local": 1000, "slurm": 100, "ray": 50}
_ABSENT: Final = "no such engine here"


def figures(options: Options) -> list[Figure]:
    started, away_s = served_figures(10 if options.quick else 200, options.db_url)
    p99 = float(np.percentile(started, 99)) if started else float("inf")
    led = 10.0 if not (options.db_url or "").startswith("postgres") else 2.0
    found = [
        at_most("start accuracy, local, p99", p99, "s", 2.0, f"{len(started)} jobs"),
        *remote_start.figures(options.quick, options.db_url),
        at_most("failover after kill -9", away_s, "s", led),
    ]
    known = build_executors(Settings(), SystemClock())
    for engine, count in _RACED.items():
        name = f"exactly once, {engine}: twice or never"
        if engine not in known:
            found.append(not_taken(name, "jobs", _ABSENT, "<= 0"))
            continue
        wrong, note = race(engine, 10 if options.quick else count)
        found.append(at_most(name, wrong, "jobs", 0, note))
    return found


def served_figures(count: int, db_url: str | None) -> tuple[list[float], float]:
    """(how far from its time each job began, how long nobody led after a kill -9), in s."""
    with service(db_url) as served:
        return _start_errors_s(served, count), _failover_s(served, db_url)


def _start_errors_s(served: Service, count: int) -> list[float]:
    """Of jobs that start at moments of their own within some seconds."""
    with served.client() as client:
        client.post("/v1/pools", json={"name": _POOL, "capacity": count}).raise_for_status()
        first_ms = time.time_ns() // 1_000_000 + 2_000
        jobs = []
        for index in range(count):
            body = {
                "name": "punctual",
                "executor": "local",
                "command": ["true"],
                "pool": _POOL,
                "earliest": to_rfc3339(first_ms + 100 * index),
                "deadline": "1h",
            }
            jobs.append(client.post("/v1/jobs", json=body).raise_for_status().json())
        return [error for job in jobs if (error := _error_s(client, job)) is not None]


def _error_s(client: httpx2.Client, job: dict[str, Any]) -> float | None:
    until = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < until:
        found = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
        if found["start"] is not None:
            planned_ms = from_rfc3339(job["placement"]["start"])
            return abs(from_rfc3339(found["start"]) - planned_ms) / 1000
        time.sleep(0.1)
    return float("inf")


def _failover_s(served: Service, db_url: str | None) -> float:
    """From the leader's death to the lease of one that asks at each tick."""
    context = open_context(Settings(data_dir=served.data_dir, db_url=db_url), SystemClock())
    try:
        heir = Leader(context, "heir")
        _wait_for_another(heir)
        served.process.kill()
        began = time.monotonic()
        while heir.lease() is None and time.monotonic() - began < _GIVE_UP_S:
            time.sleep(TICK_S)
        return time.monotonic() - began
    finally:
        context.engine.dispose()


def _wait_for_another(heir: Leader) -> None:
    until = time.monotonic() + _GIVE_UP_S
    while heir.lease() is not None and time.monotonic() < until:
        heir.resign()  # the service has not looked yet
        time.sleep(TICK_S)


def race(engine: str, count: int) -> tuple[int, str]:
    """Jobs that ran twice or never while two schedulers raced for them and one after the other
    was killed at random moments."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), db_url=None, zone="DE", feeds=False)
        context = open_context(settings, SystemClock())
        marks = Path(folder) / "marks"
        marks.mkdir()
        try:
            _submit(context, engine, count, marks)
            kills = _race(context, settings)
            states = Counter(job.state for job in _all_jobs(context))
        finally:
            context.engine.dispose()
        ran = Counter(path.name for path in marks.iterdir())
        twice = sum(len((marks / path.name).read_text()) > 2 for path in marks.iterdir())
    never = count - len(ran)
    ended = f"{count} jobs, {kills} kills, {dict(states)}"
    return twice + never, f"{twice} twice, {never} never; {ended}"


def _submit(context: Context, engine: str, count: int, marks: Path) -> None:
    set_pool(context, _PRINCIPAL, PoolBody(_POOL, 8))
    jobs = Jobs(context, build_executors(context.settings, context.clock))
    bodies = [
        JobBody(
            f"race{index}",
            engine,
            "1h",
            command=f"echo x >> {marks / str(index)}",
            pool=_POOL,
        )
        for index in range(count)
    ]
    for first in range(0, count, 500):
        jobs.submit_batch(_PRINCIPAL, JobBatch(bodies[first : first + 500]))


def _all_jobs(context: Context) -> list[Any]:
    jobs = Jobs(context, build_executors(context.settings, context.clock))
    found, after = [], None
    while True:
        page = jobs.page(_PRINCIPAL, [], 500, after)
        found += page.jobs
        after = page.next
        if after is None:
            return found


def _race(context: Context, settings: Settings) -> int:
    """Until every job has ended; answers how many kills that took."""
    rng = np.random.default_rng(3)
    fork = multiprocessing.get_context("fork")
    racers = [_racer(fork, settings, n) for n in range(2)]
    kills = 0
    try:
        while not _is_done(context):
            time.sleep(float(rng.uniform(0.05, 0.6)))
            which = int(rng.integers(0, 2))
            pid = racers[which].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            racers[which].join()
            kills += 1
            racers[which] = _racer(fork, settings, kills + 2)
    finally:
        for racer in racers:
            racer.kill()
            racer.join()
    return kills


def _is_done(context: Context) -> bool:
    jobs = Jobs(context, build_executors(context.settings, context.clock))
    open_states = ["waiting", "starting", "running", "paused"]
    return not jobs.page(_PRINCIPAL, open_states, 1, None).jobs


def _racer(fork: Any, settings: Settings, number: int) -> Any:
    racer = fork.Process(target=_schedule, args=(settings, number), daemon=True)
    racer.start()
    return racer


def _schedule(settings: Settings, number: int) -> None:
    """Ticks as fast as it can, with a lease so short that the two take turns."""
    context = open_context(settings, SystemClock())
    scheduler = Scheduler(context, leader=Leader(context, f"racer{number}", ttl_ms=200))
    while True:
        scheduler.tick()
        time.sleep(0.005)
