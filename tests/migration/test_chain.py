"""The chain of migrations, up and down, with data in it, on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from ledger import Ledger, interval
from sqlalchemy import Engine, inspect, select, text

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.errors import Conflicting
from carbon.services.context import Context
from carbon.storage.bulk import IntervalRow, insert_intervals
from carbon.storage.energy import energy_interval
from carbon.storage.engine import create_engine, memory_engine, reading, writing
from carbon.storage.migrations import current_revision, downgrade, head_revision, upgrade
from carbon.storage.period_changes import unnumbered_until
from carbon.storage.tables import metadata

#: 2026-03-02 06:00 UTC.
T = 1_772_431_200_000


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database of each kind in which nothing was ever made."""
    if request.param == "postgresql":
        made = create_engine(request.getfixturevalue("bare_postgres_database"))
    else:
        made = create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")
    yield made
    made.dispose()


def differences(engine: Engine) -> list[Any]:
    """What a migration made from the tables of the code would still change."""
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": _is_ours}
        )
        return list(compare_metadata(context, metadata))


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    """Day partitions are made by the service, not by migrations."""
    return not (kind == "table" and name is not None and name.startswith("energy_interval_"))


def test_the_migrated_schema_is_the_code_s(bare: Engine) -> None:
    upgrade(bare)
    assert differences(bare) == []
    with reading(bare) as connection:
        assert current_revision(connection) == head_revision()


def test_it_stays_so_once_there_is_data(
    bare: Engine, new_context: Callable[[Engine], Context]
) -> None:
    upgrade(bare)
    fill(new_context(bare))
    assert differences(bare) == []


def test_upgrading_again_changes_nothing(
    bare: Engine, new_context: Callable[[Engine], Context]
) -> None:
    upgrade(bare)
    before = fill(new_context(bare))
    upgrade(bare)
    assert asked(new_context(bare)) == before


def test_down_and_up_again_leave_a_good_schema_and_nothing_else(
    bare: Engine, new_context: Callable[[Engine], Context]
) -> None:
    """With data of several days in it, so with partitions that no migration made."""
    upgrade(bare)
    fill(new_context(bare))
    downgrade(bare, "base")
    assert set(inspect(bare).get_table_names()) <= {"alembic_version"}
    upgrade(bare)
    assert differences(bare) == []
    fill(new_context(bare))


def test_nothing_is_kept_in_memory_while_replicas_of_before_may_write(
    bare: Engine, new_context: Callable[[Engine], Context]
) -> None:
    """Of a ledger that is in use, and on PostgreSQL: a SQLite file has one process."""
    upgrade(bare)
    with reading(bare) as connection:
        assert unnumbered_until(connection) is None
    fill(new_context(bare))
    downgrade(bare, "0035_room_for_prices")
    began_ms = int(time.time() * 1000)
    upgrade(bare)
    with reading(bare) as connection:
        until_ms = unnumbered_until(connection)
    if bare.dialect.name == "sqlite":
        assert until_ms is None
    else:
        assert until_ms is not None
        assert until_ms >= began_ms + MS_PER_HOUR


def fill(context: Context) -> int:
    """Energy of three days, counts and intensity; answers the energy."""
    ledger = Ledger(context)
    ledger.intensity(T, [100.0, 200.0])
    days = [T - day * MS_PER_DAY for day in range(3)]
    ledger.send([interval(at, at + 600_000, 7_000 + n) for n, at in enumerate(days)])
    unit = {"workload": "w", "unit": "token", "source": "app"}
    ledger.count([{**unit, "start_ms": T, "end_ms": T + 600_000, "count": 5}])
    ledger.close()
    return asked(context)


def asked(context: Context) -> int:
    ledger = Ledger(context)
    answer = ledger.sci().energy_mj
    ledger.close()
    assert answer == 21_003
    return answer


def test_a_database_of_a_newer_carbon_is_refused_and_left_alone(bare: Engine) -> None:
    upgrade(bare)
    with writing(bare) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_from_tomorrow'"))
    with pytest.raises(Conflicting) as caught:
        upgrade(bare)
    assert caught.value.code == "schema_newer"
    assert "9999_from_tomorrow" in caught.value.detail
    with reading(bare) as connection:
        assert current_revision(connection) == "9999_from_tomorrow"


def test_a_migration_that_fails_leaves_the_schema_as_it_was(bare: Engine) -> None:
    with writing(bare) as connection:
        connection.execute(text("CREATE TABLE workload (in_the_way INTEGER)"))
    with pytest.raises(Exception, match="workload"):
        upgrade(bare)
    assert inspect(bare).get_table_names() == ["workload"]
    with reading(bare) as connection:
        assert current_revision(connection) is None


def test_the_memory_store_has_the_schema_of_the_file() -> None:
    engine = memory_engine()
    upgrade(engine)
    assert differences(engine) == []
    engine.dispose()


def test_rows_of_raw_energy_lie_without_rowid_and_by_day(bare: Engine) -> None:
    upgrade(bare)
    with reading(bare) as connection:
        if bare.dialect.name == "sqlite":
            made = connection.scalar(
                text("SELECT sql FROM sqlite_master WHERE name = 'energy_interval'")
            )
            assert "WITHOUT ROWID" in str(made)
        else:
            kind = connection.scalar(
                text("SELECT relkind FROM pg_class WHERE relname = 'energy_interval'")
            )
            assert kind in ("p", b"p")


def test_raw_rows_stay_as_their_columns_are_packed_and_back(bare: Engine) -> None:
    """Days of before stand beside days of after, and either way no row changes."""
    sent: list[IntervalRow] = []
    turns = (upgrade, lambda engine: downgrade(engine, "0023_energy_prices"), upgrade)
    for step, turn in enumerate(turns):
        turn(bare)
        sent += [(T + step * MS_PER_DAY + n, 1, 2, 10, 7 + n, 1) for n in range(3)]
        with writing(bare) as connection:
            assert insert_intervals(connection, sent) == 3
        with reading(bare) as connection:
            rows = connection.execute(select(energy_interval).order_by(energy_interval.c.end_ms))
            assert [tuple(row) for row in rows] == sent
