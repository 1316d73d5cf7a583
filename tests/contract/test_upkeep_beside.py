"""Roll-ups by a process of their own: the same as by this one, to the bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ledger import Ledger, interval
from patience import in_time
from sqlalchemy import Engine, select
from stores import migrate
from upkeep_house import begun_upkeep, has_ended, upkeep_of

from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.services.background.upkeep_beside import UpkeepBeside
from carbon.services.context import Context
from carbon.services.rollup.roll_up_lag import lag_of
from carbon.services.rollup.rollup import roll_up
from carbon.settings import Settings
from carbon.storage.device_hours import device_hour
from carbon.storage.engine import create_engine, reading
from carbon.storage.repricing import is_behind
from carbon.storage.rollups import bucket, quarter_hour, workload_day, workload_hour

TABLES = (bucket, quarter_hour, device_hour, workload_hour, workload_day)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A store that another process can open."""
    if request.param == "postgresql":
        made = create_engine(request.getfixturevalue("postgres_database"))
    else:
        made = migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}"))
    yield made
    made.dispose()


@pytest.fixture
def ledger(shared: Engine, tmp_path: Path) -> Iterator[Ledger]:
    settings = Settings(data_dir=tmp_path, feeds=False, zone="DE", timezone="Asia/Kathmandu")
    made = Ledger(Context(shared, settings, SystemClock()))
    yield made
    made.close()


@pytest.fixture
def upkeep(ledger: Ledger) -> Iterator[UpkeepBeside]:
    made = UpkeepBeside(ledger.context, ledger.writer.was_busy)
    made.start()
    yield made
    made.stop()


def readings(ledger: Ledger, rng: random.Random) -> list[dict[str, Any]]:
    """Of four devices over the day before yesterday."""
    day_ms = floor_to(ledger.context.clock.now_ms(), MS_PER_DAY) - 2 * MS_PER_DAY
    ledger.intensity(day_ms, [100.0 + n for n in range(24)])
    starts = rng.sample(range(day_ms, day_ms + MS_PER_DAY - MS_PER_HOUR, 60_000), 60)
    return [
        interval(
            start_ms,
            start_ms + rng.choice([60_000, 420_000, 1_800_000]),
            rng.randrange(10**9),
            f"gpu-{rng.randrange(4)}",
            workload=rng.choice("abc"),
            method=rng.choice(["counter", "modelled"]),
        )
        for start_ms in starts
    ]


def is_caught_up(ledger: Ledger) -> bool:
    with reading(ledger.context.engine) as connection:
        return not is_behind(connection)


def rolled(ledger: Ledger) -> list[list[tuple[Any, ...]]]:
    """All rows, but for when they were recorded."""
    with reading(ledger.context.engine) as connection:
        return [sorted(map(tuple, connection.execute(select(*_told(table))))) for table in TABLES]


def _told(table: Any) -> list[Any]:
    return [column for column in table.c if column.name != "recorded_ms"]


def test_they_are_the_same_to_the_bit(ledger: Ledger, upkeep: UpkeepBeside) -> None:
    ledger.send(readings(ledger, random.Random(5)))
    assert in_time(lambda: is_caught_up(ledger))
    upkeep.stop()
    beside = rolled(ledger)
    assert all(beside)
    ledger.forget(TABLES)
    roll_up(ledger.context)
    assert rolled(ledger) == beside


def test_how_far_they_are_is_known_here_and_one_that_is_killed_is_begun_anew(
    ledger: Ledger, upkeep: UpkeepBeside
) -> None:
    lag = lag_of(ledger.context.engine, ledger.context.clock)
    assert lag.seconds is None
    this = psutil.Process()
    first = begun_upkeep(this)
    assert in_time(lambda: lag.seconds is not None)
    first.kill()
    second = begun_upkeep(this, but=first)
    ledger.send(readings(ledger, random.Random(6)))
    assert in_time(lambda: is_caught_up(ledger))
    upkeep.stop()
    assert has_ended(second)
    assert upkeep_of(this) is None


def test_one_that_hangs_is_not_waited_for(
    ledger: Ledger, upkeep: UpkeepBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.services.background.upkeep_beside._END_WITHIN_S", 0.2)
    hanging = begun_upkeep(psutil.Process())
    hanging.suspend()
    upkeep.stop()
    assert has_ended(hanging)
