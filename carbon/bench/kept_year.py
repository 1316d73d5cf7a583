"""Two ledgers of the same generated year: one with few raw rows, and one that began as its copy
and got many. Both are measured in the same minutes, and may be kept for the next time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from carbon.bench.figure import Options
from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import SPAN_MS, Year
from carbon.bench.ledger import SMALL, Place, Steps
from carbon.clock import FakeClock, SystemClock
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, ceil_to, floor_to
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.proofs.kept_findings import KeptFindings
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.settings import Settings
from carbon.storage.engine import create_engine, writing
from carbon.storage.migrations import upgrade
from carbon.storage.period_changes import rely_on_changes

FEW, MANY = "few", "many"
_LEAST_ROWS = 1_000_000
_MOST_ROWS = 100_000_000


@dataclass(frozen=True, slots=True)
class Size:
    fleet: Fleet
    days: int
    #: Raw rows of the one ledger and of the other.
    few: int
    many: int

    @property
    def few_ms(self) -> int:
        """The time that the few raw rows span."""
        return ceil_to(self.few // self.fleet.gpus * SPAN_MS, QUARTER_MS)


def size_of(options: Options) -> Size:
    rows = options.rows or (_LEAST_ROWS // 10 if options.quick else _MOST_ROWS)
    fleet, days = (SMALL, 40) if options.quick else (Fleet(), 365)
    return Size(fleet, days, min(_LEAST_ROWS, rows // 10), rows)


class _Kept(msgspec.Struct, frozen=True):
    """What tells a ledger that is finished, and under which ids its fleet stands in it."""

    #: The moment at which it was generated: whoever measures it later stands there.
    now_ms: int
    days: int
    gpus: int
    many: int
    devices: list[int]
    meters: list[int]
    models: list[int]
    owners: list[tuple[int, int]]
    holders: dict[int, tuple[int, int]]
    units: list[tuple[int, int]]
    source: int


_IDS = _Kept.__struct_fields__[4:]


@contextmanager
def few(place: Place, size: Size, steps: Steps) -> Iterator[Year]:
    """Raises InvalidInput(`other_year`) where one of another size is kept."""
    note = _note(place, FEW)
    if not note.is_file():
        place.make(FEW)
        with _opened(place, FEW, size, SystemClock().now_ms()) as year:
            year.write_rollups()
            steps.done("load the roll-ups")
            KeptFindings(year.context).make(floor_to(year.context.clock.now_ms(), MS_PER_HOUR))
            steps.done("make the hour's findings, as the service does in the background")
            year.write_readings(year.end_ms - size.few_ms, year.end_ms)
            _rest(year.context)
            steps.done(f"load {size.few:,} raw rows")
        note.write_bytes(_keep(year, size))
    with _again(place, FEW, size) as year:
        _roll(year.context)
        yield year


@contextmanager
def many(place: Place, size: Size, steps: Steps) -> Iterator[Year]:
    """Begins as a copy of the other, which is there and which nobody has open."""
    note = _note(place, MANY)
    if not note.is_file():
        place.copy(FEW, MANY)
        steps.done("copy that ledger")
        with _again(place, MANY, size) as year:
            year.write_readings(year.raw_from_ms, year.end_ms - size.few_ms)
            _rest(year.context)
        note.write_bytes(_note(place, FEW).read_bytes())
        steps.done(f"load {size.many:,} raw rows")
    with _again(place, MANY, size) as year:
        _roll(year.context)
        yield year


def _note(place: Place, ledger: str) -> Path:
    """Written once a ledger is whole."""
    return place.folder / f"{place.name.lower()}-{ledger}.json"


@contextmanager
def _opened(place: Place, ledger: str, size: Size, now_ms: int) -> Iterator[Year]:
    settings = Settings(
        data_dir=place.folder, db_url=place.url_of(ledger), feeds=False, timezone="UTC"
    )
    context = Context(create_engine(settings.database_url), settings, FakeClock(now_ms))
    try:
        upgrade(context.engine)
        with writing(context.engine) as connection:
            rely_on_changes(connection)  # no replica of before is at work here
        raw_days = size.many / size.fleet.gpus * SPAN_MS / MS_PER_DAY
        yield Year(context, size.fleet, size.days, raw_days)
    finally:
        context.engine.dispose()


@contextmanager
def _again(place: Place, ledger: str, size: Size) -> Iterator[Year]:
    kept = msgspec.json.decode(_note(place, FEW).read_bytes(), type=_Kept)
    if (kept.days, kept.gpus, kept.many) != (size.days, size.fleet.gpus, size.many):
        told = f"{kept.days} days of {kept.gpus} GPUs and {kept.many:,} raw rows"
        raise InvalidInput("other_year", f"{place.folder} keeps {told}: take another folder")
    with _opened(place, ledger, size, kept.now_ms) as year:
        for name in _IDS:
            setattr(year, name, getattr(kept, name))
        yield year


def _keep(year: Year, size: Size) -> bytes:
    ids = {name: getattr(year, name) for name in _IDS}
    now_ms = year.context.clock.now_ms()
    return msgspec.json.encode(_Kept(now_ms, size.days, size.fleet.gpus, size.many, **ids))


def _rest(context: Context) -> None:
    """What the service and PostgreSQL do by themselves once there is time."""
    _roll(context)
    if context.engine.dialect.name == "postgresql":
        engine = context.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")


def _roll(context: Context) -> None:
    """Until nothing is behind: a ledger that an older version kept has much to settle anew, and
    whoever asked meanwhile would be told from finer rows."""
    roll_up(context)
    settle(context)
