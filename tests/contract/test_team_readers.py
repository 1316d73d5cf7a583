"""A team's own role of PostgreSQL reads that team's rows, and nothing that is raw."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from command_line import call
from ledger import Ledger, interval
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from carbon.domain.principal import Principal
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.storage.engine import create_engine, memory_engine, reading, writing
from carbon.storage.migrations import upgrade
from carbon.storage.team_readers import may_read

T = 1_769_817_600_000
ROLE = "carbon_test_reader"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ledger(postgres_database: str, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    engine = create_engine(postgres_database)
    made = Ledger(new_context(engine))
    for team in ("vision", "speech"):
        principal = Principal(team, team, team, frozenset({"energy:write"}))
        made.send(
            [interval(T, T + 60_000, 1_000, f"gpu-{team}", workload="w")], principal=principal
        )
    roll_up(made.context)
    with writing(engine) as connection:
        connection.exec_driver_sql(f"CREATE ROLE {ROLE}")
    yield made
    with writing(engine) as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {ROLE}")
        connection.exec_driver_sql(f"DROP ROLE {ROLE}")
        tables = connection.execute(text("SELECT relname FROM pg_class WHERE relrowsecurity"))
        for name in tables.scalars().all():
            connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
    made.close()


def seen(ledger: Ledger, query: str) -> list[object]:
    with reading(ledger.context.engine) as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
        return list(connection.execute(text(query)).scalars())


def test_a_reader_sees_its_own_team_alone(
    ledger: Ledger, postgres_database: str, capfd: Capture
) -> None:
    told = call(capfd, "db", "reader", ROLE, "--team", "vision", "--db", postgres_database)
    assert told.code == 0, told.err
    assert seen(ledger, "SELECT name FROM team") == ["vision"]
    assert len(seen(ledger, "SELECT id FROM workload")) == 1
    for table in ("quarter_hour", "workload_hour", "workload_day"):
        assert seen(ledger, f"SELECT sum(energy_mj) FROM {table}") == [1_000], table
        with reading(ledger.context.engine) as connection:  # the service is not bound
            total = connection.scalar(text(f"SELECT sum(energy_mj) FROM {table}"))
        assert total == 2_000
    for hidden in ("energy_interval", "api_key", "report", "bucket"):
        with pytest.raises(ProgrammingError):
            seen(ledger, f"SELECT * FROM {hidden}")
    call(capfd, "db", "reader", ROLE, "--team", "speech", "--db", postgres_database)
    assert seen(ledger, "SELECT name FROM team") == ["speech"]
    call(capfd, "db", "reader", ROLE, "--revoke", "--db", postgres_database)
    with pytest.raises(ProgrammingError):
        seen(ledger, "SELECT name FROM team")


def test_a_reader_reads_where_not_everybody_may_look_into_the_schema(
    ledger: Ledger, postgres_database: str, capfd: Capture
) -> None:
    """As administrators of a shared server leave it, and as a schema is that was made anew."""
    engine = ledger.context.engine
    with writing(engine) as connection:
        connection.exec_driver_sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    try:
        told = call(capfd, "db", "reader", ROLE, "--team", "vision", "--db", postgres_database)
        assert told.code == 0, told.err
        assert seen(ledger, "SELECT name FROM team") == ["vision"]
        call(capfd, "db", "reader", ROLE, "--revoke", "--db", postgres_database)
        with reading(engine) as connection:
            right = text("SELECT has_schema_privilege(:role, 'public', 'USAGE')")
            assert connection.scalar(right, {"role": ROLE}) is False
    finally:
        with writing(engine) as connection:
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA public TO PUBLIC")


def test_what_cannot_be_is_named(ledger: Ledger, postgres_database: str, capfd: Capture) -> None:
    def refused(*words: str) -> str:
        ended = call(capfd, "db", "reader", *words, "--db", postgres_database)
        assert ended.code != 0
        return ended.err

    assert "no team" in refused(ROLE, "--team", "nobody")
    assert "CREATE ROLE" in refused("someone_else", "--team", "vision")
    assert "a-z" in refused("x; DROP TABLE team", "--team", "vision")
    assert "above row-level security" in refused("postgres", "--team", "vision")
    assert "--team or --revoke" in refused(ROLE)
    store = memory_engine()
    upgrade(store)
    with pytest.raises(InvalidInput), writing(store) as connection:
        may_read(connection, ROLE, "vision")
