"""`carbon bench grid`: own forecast against its yardstick, fresh zones, forecasts served."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np

from carbon.bench.figure import Figure, Options, at_least, at_most, not_taken, reported
from carbon.bench.serving import Service, service
from carbon.clock import FakeClock, SystemClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.grid.backtest import score
from carbon.grid.hourly_table import HourlyTable, read_hourly_table
from carbon.grid.learned_forecast import HISTORY_H, foresee
from carbon.grid.validation import validate
from carbon.services.context import Context
from carbon.services.grid.backtest import drawn_jobs, share_without_key, shares_of_oracle
from carbon.services.grid.intensity import store_vintage
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade

ZONES_OF_SHARES = ("AU-SA", "US-CAL-CISO", "DE", "GB", "CA-ON", "NL", "PL")
FIRST_ORIGIN = 1_000
JOBS = 20_000
#: Of the year, what a quick look at the shares takes.
QUICK_HOURS = 1_200
REFIT_ZONES = 200
FRESH_ZONES, FRESH_FEEDS = 200, 5
#: How often a feed publishes, in the figure of zones kept fresh.
FRESH_PERIOD_S = 900
_QUARTER_MS = MS_PER_HOUR // 4


#: `quality` needs no quiet machine, the others do.
PARTS = ("quality", "fresh", "served")


def measure(options: Options) -> list[Figure]:
    figures = _quality(options) if options.takes("quality") else []
    if options.takes("fresh"):
        figures += [_refit(options.quick), _fresh(options.quick)]
    if options.takes("served"):
        figures += _served(options)
    return figures


def _quality(options: Options) -> list[Figure]:
    table_path = options.data and options.data / "carbon" / "zones_2022_hourly.csv"
    jobs_path = options.data and options.data / "jobs" / "pai-100k.csv"
    if not (table_path and table_path.is_file()):
        return [not_taken("24 h error of the own forecast", "1", "no real traces at hand")]
    table = read_hourly_table(table_path)
    figures = _forecast(table, options.quick)
    if jobs_path and jobs_path.is_file():
        figures += _shares(table, jobs_path, options.quick)
    return figures


def _forecast(table: HourlyTable, quick: bool) -> list[Figure]:
    places = table.varying[::8] if quick else table.varying
    first = table.g_per_kwh.shape[1] - 600 if quick else FIRST_ORIGIN
    scores = score(table.g_per_kwh, table.first_weekday, places, first)
    own = np.array([np.mean(one.mape) for one in scores])
    plain = np.array([np.mean(one.yardstick_mape) for one in scores])
    covered = float(np.mean([c for one in scores for c in one.coverage if c is not None]))
    lower = float(100 * (1 - own.mean() / plain.mean()))
    count, note = len(scores), f"mean {own.mean():.4f}, yardstick {plain.mean():.4f}"
    return [
        at_least(
            f"zones of {count} with a lower 24 h error",
            float((own < plain).sum()),
            "zones",
            58 * count // 64,
        ),
        at_least("24 h error below the yardstick's, mean", lower, "%", 10.0, note),
        Figure(
            "hours inside the 90 % interval",
            100 * covered,
            "%",
            "87 to 93",
            87 <= 100 * covered <= 93,
        ),
    ]


def _shares(table: HourlyTable, jobs: Path, quick: bool) -> list[Figure]:
    with jobs.open(newline="") as file:
        lengths = [float(row["length"]) for row in csv.DictReader(file)]
    names = ZONES_OF_SHARES[:1] if quick else ZONES_OF_SHARES
    places = [table.place(name) for name in names]
    if quick:
        table = HourlyTable(table.zones, table.start_ms, table.g_per_kwh[:, :QUICK_HOURS])
    hours = table.g_per_kwh.shape[1]
    rows = (("whole year", 0, 0.82), ("from hour 1000", 1_000, 0.835))
    drawings = [
        drawn_jobs(lengths, JOBS // 20 if quick else JOBS, 0, first, hours) for _, first, _ in rows
    ]
    every = shares_of_oracle(table.g_per_kwh, table.first_weekday, places, drawings)
    figures = []
    for (label, _, target), found in zip(rows, every, strict=True):
        own, plain = (np.array([getattr(s, part) for s in found]) for part in ("own", "yardstick"))
        told = ", ".join(f"{n} {s:.3f}" for n, s in zip(names, own, strict=True))
        figures.append(
            at_least(f"share of oracle saving, {label}", float(own.mean()), "1", target, told)
        )
        figures.append(
            at_most(
                f"zones below the yardstick's share, {label}",
                float((own < plain).sum()),
                "zones",
                0,
                f"yardstick {plain.mean():.3f}",
            )
        )
    blind = [share_without_key(table, name, drawings[0]) for name in names]
    told = ", ".join(f"{n} {s:.3f}" for n, s in zip(names, blind, strict=True))
    return [
        *figures,
        reported("share with no key at all, from typical hours", float(np.mean(blind)), "1", told),
    ]


def _refit(quick: bool) -> Figure:
    """Everything anew: learning, 96 hours ahead and intervals, from nine months of history."""
    zones = 20 if quick else REFIT_ZONES
    hours = np.arange(HISTORY_H)
    draw = np.random.default_rng(0)
    wind = np.cumsum(draw.normal(0, 0.05, (zones, HISTORY_H)), axis=1)
    wind -= np.linspace(0, 1, HISTORY_H) * wind[:, -1:]
    g_per_kwh = 300 * np.exp(0.3 * np.tanh(wind) - 0.3 * np.sin(2 * np.pi * hours / 24))
    began = time.perf_counter()
    foresee(g_per_kwh, 0, 96, HISTORY_H)
    took_s = time.perf_counter() - began
    return at_most(f"refit of {zones} zones, 96 h ahead", took_s, "s", 30.0, "two threads")


def _fresh(quick: bool) -> Figure:
    """Reading, checking and storing what each feed publishes, as share of a core.

    96 h of quarter-hours a zone and feed, of which a publication moves the last day's.
    """
    zones = 10 if quick else FRESH_ZONES
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock(floor_to(SystemClock().now_ms(), MS_PER_HOUR))
        engine = create_engine(f"sqlite:///{Path(folder) / 'fresh.db'}")
        upgrade(engine)
        context = Context(engine, Settings(data_dir=Path(folder), feeds=False), clock)
        _publish(context, zones, 0)
        clock.advance(FRESH_PERIOD_S)
        began = time.process_time()
        _publish(context, zones, 1)
        used_s = time.process_time() - began
        engine.dispose()
    share = 100 * used_s / FRESH_PERIOD_S * FRESH_ZONES / zones
    note = f"{FRESH_ZONES} zones, {FRESH_FEEDS} feeds, every {FRESH_PERIOD_S} s, without the HTTP"
    return at_most("one process keeps zones fresh", share, "% of a core", 5.0, note)


def _publish(context: Context, zones: int, publication: int) -> None:
    now_ms = context.clock.now_ms()
    start_ms = floor_to(now_ms, _QUARTER_MS) - 24 * MS_PER_HOUR
    for feed in range(FRESH_FEEDS):
        for zone in range(zones):
            points = tuple(
                IntensityPoint(
                    at_ms,
                    at_ms + _QUARTER_MS,
                    200.0 + (at_ms // _QUARTER_MS * 37 + zone * 13) % 90,
                    PointKind.ACTUAL if at_ms + _QUARTER_MS <= now_ms else PointKind.FORECAST,
                )
                for at_ms in range(start_ms, start_ms + 96 * MS_PER_HOUR, _QUARTER_MS)
            )
            average, life = Signal.AVERAGE, EmissionScope.LIFECYCLE
            name = f"feed-{feed}"
            made = Vintage(f"Z{zone}", name, average, life, now_ms + publication, points)
            store_vintage(context, validate(made, now_ms, horizon_ms=0).vintage)


def _served(options: Options) -> list[Figure]:
    """`GET /v1/intensity/{zone}/forecast` of 96 hours, one after another and by four at once."""
    count = 50 if options.quick else 2_000
    path = "/v1/intensity/DE/forecast"
    with service(options.db_url) as running:
        _foretell(running)
        took = _take(running, path, count)
        before = running.process.cpu_times()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: _take(running, path, count // 4), range(4)))
        after = running.process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    p99_ms = 1_000 * sorted(took)[int(0.99 * len(took))]
    note = "hours=24, one connection"
    return [
        at_most("forecast over HTTP, p99", p99_ms, "ms", 10.0, note),
        at_least("forecasts a second of server CPU", count / used_s, "requests/s", 1_000),
        reported("forecast over HTTP, median", 1_000 * sorted(took)[len(took) // 2], "ms"),
    ]


def _foretell(running: Service) -> None:
    now_ms = floor_to(SystemClock().now_ms(), MS_PER_HOUR)
    starts: Sequence[int] = range(now_ms - 24 * MS_PER_HOUR, now_ms + 72 * MS_PER_HOUR, MS_PER_HOUR)
    points = [
        {"start_ms": at, "end_ms": at + MS_PER_HOUR, "g_per_kwh": 100.0 + at // MS_PER_HOUR % 50}
        for at in starts
    ]
    published = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000))
    body = {"source": "bench", "published_at": published, "points": points}
    with running.client() as client:
        client.post("/v1/intensity/DE", json=body).raise_for_status()


def _take(running: Service, path: str, count: int) -> list[float]:
    took = []
    with running.client() as client:
        for _ in range(count):
            before = time.perf_counter()
            answer: httpx2.Response = client.get(path, params={"hours": "24"})
            took.append(time.perf_counter() - before)
            answer.raise_for_status()
    return took
