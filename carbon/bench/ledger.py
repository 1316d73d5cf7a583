"""A ledger to measure: a generated year in a temporary SQLite file, in a PostgreSQL of the bench's
own, or in an empty database that is given."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from carbon.bench.figure import Figure, Options, not_taken, reported
from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.bench.own_postgresql import postgresql
from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade

LOADED_BELOW = "raw rows are loaded below HTTP"
SMALL = Fleet(gpus=56, workload_count=10, teams=3)


def of_databases(
    options: Options, measure: Callable[[str, str | None], list[Figure]]
) -> list[Figure]:
    """`measure(name, url)` of the database given, else of SQLite (url None) and of PostgreSQL where
    pip has brought one; `--part sqlite` and `--part postgresql` take one of the two."""
    if options.db_url is not None:
        is_sqlite = options.db_url.startswith("sqlite")
        return measure("SQLite" if is_sqlite else "PostgreSQL", options.db_url)
    figures: list[Figure] = []
    if options.takes("sqlite"):
        figures += measure("SQLite", None)
    if options.takes("postgresql"):
        with postgresql() as url:
            if url is None:
                return [*figures, not_taken("PostgreSQL", "", "no PostgreSQL: --db, or pip's")]
            figures += measure("PostgreSQL", url)
    return figures


@contextmanager
def generated_year(
    url: str | None, fleet: Fleet, days: int, rows: int, hot_days: int = 14
) -> Iterator[Year]:
    """Its roll-ups; readings, of which `rows` fit, are the caller's to write."""
    with tempfile.TemporaryDirectory(prefix="carbon-bench-") as folder:
        settings = Settings(
            data_dir=Path(folder), db_url=url, feeds=False, timezone="UTC", hot_days=hot_days
        )
        context = Context(create_engine(settings.database_url), settings, SystemClock())
        upgrade(context.engine)
        year = Year(context, fleet, days, rows / fleet.gpus * SPAN_MS / MS_PER_DAY)
        year.write_rollups()
        try:
            yield year
        finally:
            context.engine.dispose()


@dataclass
class Steps:
    """How long each part of a bench takes: said as it ends, on stderr, and among its figures."""

    database: str
    figures: list[Figure] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)

    def done(self, name: str) -> float:
        """Seconds since the step before it."""
        now = time.perf_counter()
        took_s, self._began = now - self._began, now
        sys.stderr.write(f"{self.database}: {name} in {took_s:.1f} s\n")
        self.figures.append(reported(f"{self.database}: time to {name}", took_s, "s"))
        return took_s


def median_ms(call: Callable[[], object], times: int = 15) -> float:
    """Of some calls after a first one."""
    call()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return median(took) * 1000
