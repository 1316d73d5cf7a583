"""`carbon bench web`: how long a start takes, and how long the server works on the first page."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.serving import Service, service

_PAGES = ("/", "/web/overview.json")


def measure(options: Options) -> list[Figure]:
    rounds = 10 if options.quick else 100
    with tempfile.TemporaryDirectory() as folder:
        first_s = _start_s(Path(folder), options)
        started = time.perf_counter()
        with service(options.db_url, agent=True, data_dir=Path(folder)) as running:
            second_s = time.perf_counter() - started
            time.sleep(12)  # one period of the agent, so that the page has figures
            figures = [_page(running, path, rounds) for path in _PAGES]
    return [
        reported("first start until ready, database made", first_s, "s"),
        at_most("second start until ready", second_s, "s", 5.0),
        *figures,
    ]


def _start_s(folder: Path, options: Options) -> float:
    started = time.perf_counter()
    with service(options.db_url, agent=True, data_dir=folder):
        return time.perf_counter() - started


def _page(running: Service, path: str, rounds: int) -> Figure:
    took = []
    with running.client() as client:
        for _ in range(rounds):
            before = time.perf_counter()
            client.get(path).raise_for_status()
            took.append((time.perf_counter() - before) * 1000)
    p95 = sorted(took)[int(rounds * 0.95)]
    return at_most(f"{path}, p95", p95, "ms", 100.0, f"median {median(took):.1f} ms, whole request")
