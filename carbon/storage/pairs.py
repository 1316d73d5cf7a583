"""Rows by start and device, many in one statement. SQLite finds a pair by its key where it is
joined, and reads the whole table where it is asked whether it is IN a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from carbon.storage.engine import is_sqlite

Pair = tuple[int, int]


def listed(pairs: Iterable[Sequence[int]]) -> str:
    """Whole numbers as a table of `column1`, `column2`, …: shorter to prepare than parameters."""
    rows = ", ".join([f"({', '.join([str(int(one)) for one in pair])})" for pair in pairs])
    return f"(VALUES {rows})"


def delete_pairs(connection: Connection, table: str, pairs: Sequence[Pair]) -> None:
    """All rows of a table that begin with any of some (start_ms, device_id)."""
    if not pairs:
        return
    if is_sqlite(connection):
        by_key = f"DELETE FROM {table} WHERE start_ms = ? AND device_id = ?"
        connection.exec_driver_sql(by_key, list(pairs))
        return
    connection.exec_driver_sql(
        f"DELETE FROM {table} t USING {listed(pairs)} AS v WHERE t.start_ms = v.column1 "
        f"AND t.device_id = v.column2 AND {between('t.start_ms', pairs)}"
    )


def between(column: str, pairs: Sequence[Pair]) -> str:
    """Whatever a planner thinks of a join: it reads no other time."""
    starts = [start_ms for start_ms, _ in pairs]
    return f"{column} BETWEEN {int(min(starts))} AND {int(max(starts))}"
