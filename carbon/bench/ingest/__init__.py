"""`carbon bench ingest`: from HTTP to the commit, beside the raw driver doing the same rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from carbon.bench import imports
from carbon.bench.figure import Figure, Options, at_least, at_most, not_taken, reported
from carbon.bench.ingest.bodies import ARROW, JSON, Rows
from carbon.bench.ingest.drivers import raw_postgresql, raw_sqlite
from carbon.bench.ingest.load import Load, at_once, paced, request
from carbon.bench.ingest.sizes import bytes_per_row
from carbon.bench.ingest.tracker_outage import tracker_outage_figures
from carbon.bench.ingest.trackers import tracker_figures
from carbon.bench.own_postgresql import postgresql
from carbon.bench.serving import Service, service
from carbon.domain.units import MS_PER_HOUR

#: Clients of batches and of single intervals, a connection each.
_CLIENTS, _SMALL_CLIENTS = 4, 16
_SHARE = 0.7
#: No measurement sends more than this of readings.
_LONGEST_MS = 12 * MS_PER_HOUR


#: The database given, else SQLite, and PostgreSQL where pip has brought one; what an outage costs
#: CodeCarbon; other tools' energy against its truth.
PARTS = ("databases", "outage", "imports")


def measure(options: Options) -> list[Figure]:
    taken: list[Figure] = []
    if options.takes("databases"):
        taken += _of_databases(options)
    if options.takes("outage"):
        taken += tracker_outage_figures(options.quick)
    if options.takes("imports"):
        taken += imports.measure(replace(options, part=None))
    return taken


def _of_databases(options: Options) -> list[Figure]:
    if options.db_url is not None:
        if options.db_url.startswith("sqlite"):
            return _sqlite(options, options.db_url)
        return _postgresql(options, options.db_url)
    with tempfile.TemporaryDirectory() as folder:
        figures = _sqlite(options, f"sqlite:///{Path(folder) / 'bench.db'}")
    with postgresql() as url:
        if url is None:
            return [*figures, not_taken("PostgreSQL", "rows/s", "no PostgreSQL: --db, or pip's")]
        return [*figures, *_postgresql(options, url)]


def _sqlite(options: Options, url: str) -> list[Figure]:
    raw = raw_sqlite(50 if options.quick else 200, 1_000)
    with service(url) as running:
        bench = _Bench(running, options.quick)
        json = bench.rows_per_s(1_000, JSON)
        arrow = bench.rows_per_s(1_000, ARROW)
        single = bench.single()
        at_share = bench.at_share(json / 1_000)
        memory = running.memory_mb
        trackers = tracker_figures(running, "SQLite", options.quick)
    return [
        *trackers,
        at_least("SQLite: HTTP to committed, 1 000 rows, JSON", json, "rows/s", 400_000),
        at_least("SQLite: HTTP to committed, 1 000 rows, Arrow", arrow, "rows/s", 450_000),
        reported("SQLite: raw executemany, the same rows", raw, "rows/s"),
        at_least("SQLite: JSON as a share of the raw driver", json / raw, "1", 0.6),
        at_least("SQLite: Arrow as a share of the raw driver", arrow / raw, "1", 0.6),
        at_least("SQLite: single intervals", single.per_s, "1/s", 5_000, _small()),
        at_most("SQLite: p99 of a single interval", single.p99_ms, "ms", 20),
        at_most("SQLite: p99 of 1 000 rows at 70 %", at_share.p99_ms, "ms", 15, _share(at_share)),
        at_most("SQLite: bytes per raw row", bytes_per_row(url), "B", 40),
        at_most("SQLite: memory of the server", memory, "MB", 300),
    ]


def _postgresql(options: Options, url: str) -> list[Figure]:
    raw_1k = raw_postgresql(url, 20 if options.quick else 100, 1_000)
    raw_10k = raw_postgresql(url, 5 if options.quick else 20, 10_000)
    with service(url) as running:
        bench = _Bench(running, options.quick)
        json_1k = bench.rows_per_s(1_000, JSON)
        json_10k = bench.rows_per_s(10_000, JSON)
        arrow_10k = bench.rows_per_s(10_000, ARROW)
        single = bench.single()
        at_share = bench.at_share(json_1k / 1_000)
        memory = running.memory_mb
        trackers = tracker_figures(running, "PostgreSQL", options.quick)
    name = "PostgreSQL: HTTP to committed"
    return [
        *trackers,
        at_least(f"{name}, 1 000 rows, JSON", json_1k, "rows/s", 100_000),
        at_least(f"{name}, 10 000 rows, JSON", json_10k, "rows/s", 160_000),
        reported(f"{name}, 10 000 rows, Arrow", arrow_10k, "rows/s"),
        reported("PostgreSQL: the bare stage, 1 000 rows", raw_1k, "rows/s"),
        reported("PostgreSQL: the bare stage, 10 000 rows", raw_10k, "rows/s"),
        at_least("PostgreSQL: share of the stage, 1 000 rows", json_1k / raw_1k, "1", 0.8),
        at_least("PostgreSQL: share of the stage, 10 000 rows", json_10k / raw_10k, "1", 0.8),
        at_least("PostgreSQL: single intervals", single.per_s, "1/s", 2_000, _small()),
        at_most("PostgreSQL: p99 of a single interval", single.p99_ms, "ms", 20),
        at_most(
            "PostgreSQL: p99 of 1 000 rows at 70 %", at_share.p99_ms, "ms", 30, _share(at_share)
        ),
        at_most("PostgreSQL: bytes per raw row", bytes_per_row(url), "B", 115),
        at_most("PostgreSQL: memory of the server", memory, "MB", 300),
    ]


def _small() -> str:
    return f"{_SMALL_CLIENTS} clients, each waits for its answer"


def _share(load: Load) -> str:
    return f"{load.per_s:.0f} batches/s"


@dataclass
class _Bench:
    running: Service
    quick: bool
    #: Each measurement has sources and devices of its own, and follows the one before in time, as
    #: what is sent does: the table grows at its end.
    _turn: int = field(default=0)

    def rows_per_s(self, rows: int, media: str) -> float:
        batches = max(4, (60_000 if self.quick else 600_000) // rows // _CLIENTS)
        return at_once(self.running, self._warmed(_CLIENTS, batches, rows, media)).per_s * rows

    def single(self) -> Load:
        count = 50 if self.quick else 500
        return at_once(self.running, self._warmed(_SMALL_CLIENTS, count, 1, JSON))

    def at_share(self, batches_per_s: float) -> Load:
        per_s = batches_per_s * _SHARE
        count = max(10, int(per_s * (1.0 if self.quick else 5.0)) // _CLIENTS)
        return paced(self.running, self._warmed(_CLIENTS, count, 1_000, JSON), per_s)

    def _warmed(self, clients: int, count: int, rows: int, media: str) -> list[list[bytes]]:
        """Requests of clients whose devices, and how far they were read, are known."""
        requests = self._requests(clients, count + 2, rows, media)
        at_once(self.running, [of_client[:2] for of_client in requests])
        return [of_client[2:] for of_client in requests]

    def _requests(self, clients: int, count: int, rows: int, media: str) -> list[list[bytes]]:
        self._turn += 1
        made = []
        for client in range(clients):
            of = Rows(f"bench-{self._turn}-{client}", rows, self._turn * _LONGEST_MS)
            body: Callable[[int], bytes] = of.arrow if media == ARROW else of.json
            made.append([request(self.running, body(seq), media) for seq in range(count)])
        return made
