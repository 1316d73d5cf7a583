"""A ledger to measure: a generated year in a temporary SQLite file, in a PostgreSQL of the bench's
own, or in an empty database that is given."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlalchemy import make_url

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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bench's ledgers lie: each a file, or a database beside the one that is given."""

    #: `SQLite` or `PostgreSQL`.
    name: str
    folder: Path
    #: Of the database that was given or made; None stands for files in the folder.
    url: str | None
    is_kept: bool

    def url_of(self, ledger: str) -> str:
        if self.url is None:
            return f"sqlite:///{self.folder / ledger}.db"
        given = make_url(self.url)
        own = given.set(database=f"{given.database}_{ledger}")
        return own.render_as_string(hide_password=False)

    def copy(self, ledger: str, to: str) -> None:
        """Nobody may have either open; what stood there before is gone."""
        source, target = make_url(self.url_of(ledger)), make_url(self.url_of(to))
        if source.drivername.startswith("sqlite"):
            self.drop(to)
            shutil.copyfile(str(source.database), str(target.database))
            return
        self.drop(to)
        self._tell(
            f'CREATE DATABASE "{target.database}" TEMPLATE "{source.database}" STRATEGY FILE_COPY'
        )

    def make(self, ledger: str) -> None:
        """An empty one; what stood there before is gone."""
        self.drop(ledger)
        url = make_url(self.url_of(ledger))
        if not url.drivername.startswith("sqlite"):
            self._tell(f'CREATE DATABASE "{url.database}"')

    def drop(self, ledger: str) -> None:
        url = make_url(self.url_of(ledger))
        if url.drivername.startswith("sqlite"):
            for end in ("", "-wal", "-shm"):
                Path(f"{url.database}{end}").unlink(missing_ok=True)
        else:
            self._tell(f'DROP DATABASE IF EXISTS "{url.database}"')

    def _tell(self, statement: str) -> None:
        """To PostgreSQL, outside of a transaction."""
        assert self.url is not None
        engine = create_engine(self.url).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def of_databases(options: Options, measure: Callable[[Place], list[Figure]]) -> list[Figure]:
    """`measure(place)` of the database given, else of SQLite and of PostgreSQL where pip has
    brought one; `--part sqlite` and `--part postgresql` take one of the two."""
    with _folder(options.kept) as folder:
        is_kept = options.kept is not None
        if options.db_url is not None:
            name = "SQLite" if options.db_url.startswith("sqlite") else "PostgreSQL"
            return measure(Place(name, folder, options.db_url, is_kept))
        figures: list[Figure] = []
        if options.takes("sqlite"):
            figures += measure(Place("SQLite", folder, None, is_kept))
        if options.takes("postgresql"):
            with postgresql(folder / "postgresql" if is_kept else None) as url:
                if url is None:
                    return [*figures, not_taken("PostgreSQL", "", "no PostgreSQL: --db, or pip's")]
                figures += measure(Place("PostgreSQL", folder, url, is_kept))
        return figures


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="carbon-bench-") as folder:
        yield Path(folder)


@contextmanager
def generated_year(
    url: str | None,
    fleet: Fleet,
    days: int,
    rows: int,
    hot_days: int = 14,
    kept_in: Path | None = None,
) -> Iterator[Year]:
    """Its roll-ups; readings, of which `rows` fit, are the caller's to write. It is thrown away
    at the end, unless a folder is named to keep it in."""
    with tempfile.TemporaryDirectory(prefix="carbon-bench-") as folder:
        settings = Settings(
            data_dir=kept_in or Path(folder),
            db_url=url,
            feeds=False,
            timezone="UTC",
            hot_days=hot_days,
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
