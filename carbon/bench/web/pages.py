"""Every page over a generated year: how long the server works on it, and what a browser makes of
it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.generated.fleet import Fleet
from carbon.bench.ledger import SMALL, generated_year
from carbon.bench.serving import Service, service
from carbon.bench.web.browsing import browsing
from carbon.errors import InvalidInput
from carbon.web.screens import SCREENS

_DAYS, _QUICK_DAYS = 365, 20
_ROUNDS, _QUICK_ROUNDS = 20, 5
#: Written beside a kept year once all of it is there.
_WHOLE = "whole"
_RANGES = ("7d", "30d", "365d")
#: Screens that are asked for a time range.
_RANGED = frozenset({"breakdown", "workloads", "quality", "avoided"})


def pages(options: Options) -> list[Figure]:
    fleet = SMALL if options.quick else Fleet()
    days = _QUICK_DAYS if options.quick else _DAYS
    with (
        _year(options, fleet, days) as folder,
        service(options.db_url, data_dir=folder) as running,
    ):
        running.wait_for_rest()
        size = f"{fleet.gpus} GPUs, {fleet.workload_count} workloads, {days} days"
        rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
        figures = _served(running, list(_paths(fleet)), rounds, size)
        return [*figures, *browsing(running)]


@contextmanager
def _year(options: Options, fleet: Fleet, days: int) -> Iterator[Path]:
    """The data folder of a generated year: one that was kept whole, else written now.

    Raises InvalidInput(`other_year`) where one of another size is kept."""
    kept = options.kept / "web" if options.kept else None
    size = f"{fleet.gpus} GPUs, {days} days"
    if kept and (note := kept / _WHOLE).exists():
        found = note.read_text("utf-8").strip()
        if found != size:
            raise InvalidInput("other_year", f"{kept} holds {found}: name another folder")
        yield kept
        return
    if kept:
        shutil.rmtree(kept, ignore_errors=True)  # one that was broken off
        kept.mkdir(parents=True)
    with generated_year(options.db_url, fleet, days, fleet.gpus * 90, kept_in=kept) as year:
        year.write_readings(year.raw_from_ms, year.end_ms)
        if kept:
            (kept / _WHOLE).write_text(f"{size}\n", "utf-8")
        yield year.context.settings.data_dir


def _paths(fleet: Fleet) -> Iterator[str]:
    one, other = (f"{w.team}/{w.name}" for w in [w for w in fleet.workloads if w.has_counts][-2:])
    for screen in SCREENS:
        for last in _RANGES if screen.key in _RANGED else ():
            yield f"{screen.path}?last={last}"
        if screen.key not in _RANGED:
            yield screen.path
    for last in _RANGES:
        yield f"/workloads/{one}?last={last}"
        yield f"/compare?a={one}&b={other}&last={last}"


def _served(running: Service, paths: list[str], rounds: int, size: str) -> list[Figure]:
    took_ms: dict[str, list[float]] = {}
    each = []
    for path in paths:
        took, worked_ms = _took_ms(running, path, rounds)
        took_ms[path] = took
        note = f"p95 of {rounds}, median {median(took):.1f} ms, {worked_ms:.1f} ms of a core"
        each.append(reported(path, _p95(took), "ms", note))
    worst = max(took_ms, key=lambda path: _p95(took_ms[path]))
    slowest = max(took_ms, key=lambda path: max(took_ms[path]))
    note = f"whole request, {len(paths)} pages over {size}"
    return [
        *each,
        at_most(
            "server time of a page, p95 of the slowest page",
            _p95(took_ms[worst]),
            "ms",
            100.0,
            f"{worst}; {note}",
        ),
        at_most(
            "server time of a page, longest of all",
            max(took_ms[slowest]),
            "ms",
            300.0,
            f"{slowest}; {note}",
        ),
    ]


def _took_ms(running: Service, path: str, rounds: int) -> tuple[list[float], float]:
    """Of each look, and what a look takes of a core, which other programs hardly change; after a
    first look, in which prices and names are read for the first time."""
    took = []
    with running.client() as client:
        client.get(path).raise_for_status()
        worked = running.process.cpu_times()
        for _ in range(rounds):
            before = time.perf_counter()
            client.get(path).raise_for_status()
            took.append((time.perf_counter() - before) * 1000)
        now = running.process.cpu_times()
    used_s = now.user - worked.user + now.system - worked.system
    return took, used_s / rounds * 1000


def _p95(took_ms: list[float]) -> float:
    return sorted(took_ms)[int(len(took_ms) * 0.95)]
