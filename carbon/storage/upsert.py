"""INSERT … ON CONFLICT on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts what is not there yet; rows whose key exists are left as they are."""
    if rows:
        connection.execute(_inserting_new(connection.dialect.name, table), list(rows))


def set_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts, or sets every other column where the primary key exists: never adds."""
    if rows:
        statement = _setting(connection.dialect.name, table, tuple(rows[0]))
        connection.execute(statement, list(rows))


# Statements are built once: on the path of every small sending, building one costs more than
# running it.


@cache
def _inserting_new(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _setting(
    dialect: str, table: Table, names: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    statement = _insert(dialect, table)
    keys = [key.name for key in table.primary_key]
    others = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
