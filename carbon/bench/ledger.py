"""A ledger to measure: a generated year in a temporary SQLite file, or in an empty database."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from carbon.bench.figure import Options
from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade

LOADED_BELOW = "raw rows are loaded below HTTP"
_QUICK = Fleet(gpus=40, workload_count=10, teams=3)


@contextmanager
def generated_year(options: Options, rows: int) -> Iterator[Year]:
    """Its roll-ups; readings, of which `rows` fit, are the caller's to write."""
    fleet = _QUICK if options.quick else Fleet()
    days = 40 if options.quick else 365
    with tempfile.TemporaryDirectory(prefix="carbon-bench-") as folder:
        settings = Settings(
            data_dir=Path(folder), db_url=options.db_url, feeds=False, timezone="UTC"
        )
        context = Context(create_engine(settings.database_url), settings, SystemClock())
        upgrade(context.engine)
        year = Year(context, fleet, days, rows / fleet.gpus * SPAN_MS / MS_PER_DAY)
        year.write_rollups()
        try:
            yield year
        finally:
            context.engine.dispose()


def median_ms(call: Callable[[], object], times: int = 15) -> float:
    """Of some calls after a first one."""
    call()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return median(took) * 1000
