"""Engines: who waits for whom, and what an error of the database becomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from carbon.errors import CarbonError, InvalidInput, NotFound, StorageFull, Unavailable
from carbon.storage.engine import (
    checkpoint,
    create_engine,
    memory_engine,
    need_not_last,
    reading,
    writing,
)
from carbon.storage.migrations import upgrade
from carbon.storage.names import host


def add_host(engine: Engine, name: str) -> None:
    with writing(engine) as connection:
        connection.execute(host.insert().values(name=name, created_ms=0))


def host_count(engine: Engine) -> int:
    with reading(engine) as connection:
        return len(connection.scalars(select(host.c.id)).all())


@pytest.fixture
def file_engine(tmp_path: Path) -> Engine:
    made = create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")
    upgrade(made)
    return made


def test_four_writers_wait_for_each_other_and_none_is_refused(file_engine: Engine) -> None:
    """Each reads before it writes: without BEGIN IMMEDIATE the upgrade of its lock would fail at
    once with `database is locked`."""

    def work(writer: int) -> None:
        for n in range(60):
            with writing(file_engine) as connection:
                known = connection.scalars(select(host.c.name)).all()
                assert f"{writer}-{n}" not in known
                connection.execute(host.insert().values(name=f"{writer}-{n}", created_ms=0))

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, writer) for writer in range(4)]:
            future.result(timeout=60)
    assert host_count(file_engine) == 240


@pytest.fixture
def other_process(file_engine: Engine) -> Iterator[sqlite3.Connection]:
    """As another process opens the file: it knows nothing of who waits here, and has the lock."""
    with closing(sqlite3.connect(str(file_engine.url.database), isolation_level=None)) as opened:
        opened.execute("BEGIN IMMEDIATE")
        yield opened


def test_who_waits_for_another_process_looks_often(
    file_engine: Engine, other_process: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own way would have slept through a second look of ours."""
    waited_s: list[float] = []

    def wait(seconds: float) -> None:
        waited_s.append(seconds)
        if len(waited_s) == 20:
            other_process.execute("COMMIT")

    monkeypatch.setattr("carbon.storage.engine.time.sleep", wait)
    add_host(file_engine, "a")
    assert host_count(file_engine) == 1
    assert len(waited_s) == 20
    assert max(waited_s) < 0.001


def test_who_waits_for_another_process_gives_up_and_stays_patient_with_recoveries(
    file_engine: Engine, other_process: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.storage.engine._PATIENCE_S", 0.01)
    with pytest.raises(Unavailable) as caught:
        add_host(file_engine, "a")
    assert "locked" in caught.value.detail
    other_process.execute("COMMIT")
    add_host(file_engine, "b")
    with reading(file_engine) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5_000


def test_a_reader_sees_one_moment_while_others_write(file_engine: Engine) -> None:
    add_host(file_engine, "a")
    with reading(file_engine) as connection:
        before = connection.scalars(select(host.c.name)).all()
        add_host(file_engine, "b")
        assert connection.scalars(select(host.c.name)).all() == before
    assert host_count(file_engine) == 2


def test_a_reader_waits_for_no_writer(file_engine: Engine) -> None:
    with writing(file_engine) as connection:
        connection.execute(host.insert().values(name="a", created_ms=0))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(host_count, file_engine).result(timeout=20) == 0


def test_threads_of_one_process_share_the_memory_store(memory: Engine) -> None:
    def work(writer: int) -> None:
        for n in range(50):
            add_host(memory, f"{writer}-{n}")
            assert host_count(memory) > n

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, writer) for writer in range(4)]:
            future.result(timeout=60)
    assert host_count(memory) == 200


def test_a_memory_store_is_gone_with_its_engine() -> None:
    for _ in range(2):
        engine = memory_engine()
        upgrade(engine)
        add_host(engine, "a")
        assert host_count(engine) == 1


def test_an_error_rolls_back_all_of_a_transaction(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(host.insert(), [{"name": n, "created_ms": 0} for n in ("a", "b", "a")])
    assert host_count(engine) == 0


def test_a_savepoint_rolls_back_its_part_alone(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(host.insert().values(name="a", created_ms=0))
        savepoint = connection.begin_nested()
        connection.execute(host.insert().values(name="b", created_ms=0))
        savepoint.rollback()
    assert host_count(engine) == 1


def test_a_key_used_twice_stays_the_database_s_own_error(engine: Engine) -> None:
    add_host(engine, "a")
    with pytest.raises(IntegrityError):
        add_host(engine, "a")


def test_what_need_not_last_is_not_waited_for_and_what_follows_is(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    waits = text("SELECT set_config('synchronous_commit', 'on', false)")
    with writing(engine) as connection:
        connection.execute(waits)
        need_not_last(connection)
        assert connection.scalar(text("SHOW synchronous_commit")) == "off"
    with writing(engine) as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    engine.dispose()


def test_text_that_a_database_cannot_hold_is_the_sender_s_error(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with pytest.raises(InvalidInput) as caught:
        add_host(engine, "a\0b")
    assert caught.value.code == "unstorable_value"
    with pytest.raises(InvalidInput), reading(engine) as connection:
        connection.scalar(select(host.c.id).where(host.c.name == "a\0b"))
    add_host(engine, "c")
    engine.dispose()


@pytest.fixture
def postgres(postgres_database: str) -> Iterator[Engine]:
    engine = create_engine(postgres_database)
    yield engine
    engine.dispose()


def find_host(engine: Engine, name: str) -> None:
    with reading(engine) as connection:
        connection.scalar(select(host.c.id).where(host.c.name == name))
        raise NotFound("unknown_host", "as who looked for it says")


def prepared(engine: Engine) -> list[str]:
    """What the connection that is taken next has prepared."""
    with reading(engine) as connection:
        return list(connection.scalars(text("SELECT statement FROM pg_prepared_statements")))


def test_what_is_read_over_and_over_stays_prepared(postgres: Engine) -> None:
    for _ in range(10):
        host_count(postgres)
        with pytest.raises(NotFound):
            find_host(postgres, "a")
    told = prepared(postgres)
    assert any("WHERE" not in statement for statement in told)
    assert any("host.name =" in statement for statement in told)


def test_a_read_that_failed_leaves_nothing_behind(postgres: Engine) -> None:
    for _ in range(3):
        with pytest.raises(ProgrammingError), reading(postgres) as connection:
            connection.execute(text("SELECT nothing FROM nowhere"))
        assert host_count(postgres) == 0


def backend(engine: Engine) -> int:
    with reading(engine) as connection:
        found: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        return found


def test_a_connection_that_was_cut_is_not_used_again(postgres: Engine, postgres_url: str) -> None:
    first = backend(postgres)
    assert backend(postgres) == first
    admin = create_engine(postgres_url)
    with writing(admin) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    admin.dispose()
    assert backend(postgres) != first
    add_host(postgres, "a")
    assert host_count(postgres) == 1


def test_a_connection_is_asked_for_only_after_a_rest(
    postgres: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(postgres.dialect, "do_ping", lambda connection: asked.append(connection))
    for _ in range(3):
        host_count(postgres)
    assert asked == []
    with monkeypatch.context() as rested:
        rested.setattr("carbon.storage.engine._REST_S", -1.0)
        host_count(postgres)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://x/y", "postgresql://x/y", "sqlite+aiosqlite:///x", "oracle://x"],
)
def test_a_url_of_another_database_is_refused_with_the_mend_and_makes_no_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        create_engine(url)
    assert caught.value.code == "database_url"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CarbonError) as caught:
        create_engine(f"sqlite:///{tmp_path / 'file' / 'carbon.db'}")
    assert caught.value.code == "database_not_writable"
    assert "--data-dir" in caught.value.detail


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "carbon.db"
    path.write_text("holiday pictures, not a database\n" * 9)
    with pytest.raises(CarbonError) as caught:
        create_engine(f"sqlite:///{path}")
    assert caught.value.code == "not_a_database"
    assert path.read_text().startswith("holiday")


def test_a_database_that_is_away_is_unavailable() -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(Unavailable) as caught, reading(engine) as connection:
        connection.execute(text("SELECT 1"))
    assert caught.value.code == "database_unavailable"


def test_a_full_disk_says_so_and_loses_nothing(file_engine: Engine) -> None:
    add_host(file_engine, "kept")
    with reading(file_engine) as connection:  # of its one pooled connection, for good
        connection.exec_driver_sql("PRAGMA max_page_count=1")
    many = [{"name": f"{n}" * 50, "created_ms": 0} for n in range(3_000)]
    with pytest.raises(StorageFull) as caught, writing(file_engine) as connection:
        connection.execute(host.insert(), many)
    assert caught.value.retry_after_s > 1
    assert host_count(file_engine) == 1


def test_who_puts_off_the_checkpoint_leaves_the_log_and_the_setting_as_they_were(
    tmp_path: Path,
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    checkpoint(engine)

    def fill() -> None:
        rows = ", ".join(f"('{'x' * 4000}')" for _ in range(1_500))
        with writing(engine, may_checkpoint=False) as connection:
            connection.exec_driver_sql(f"INSERT INTO t VALUES {rows}")

    fill()
    in_database = (tmp_path / "a.db").stat().st_size
    checkpoint(engine)
    assert (tmp_path / "a.db").stat().st_size > in_database + 1_500 * 4_000 / 2
    with pytest.raises(ZeroDivisionError), writing(engine, may_checkpoint=False):
        raise ZeroDivisionError
    with reading(engine) as connection:
        assert (
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 4_000
        )  # as before
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 1_500
    engine.dispose()
