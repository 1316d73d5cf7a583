"""The two bulk writers of raw intervals: each inserts rows that are new and counts them.

No ORM and no per-row statement: SQLite takes executemany on the driver's own cursor,
PostgreSQL a COPY into a stage (direct COPY cannot skip duplicates and is refused under
row-level security) and one INSERT … ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from carbon.storage.partitions import day_of_end, make_days

#: (end_ms, meter_id, subject_id, span_ms, energy_mj, method)
IntervalRow = tuple[int, int, int, int, int, int]

_COLUMNS = "end_ms, meter_id, subject_id, span_ms, energy_mj, method"


def insert_intervals(connection: Connection, rows: Sequence[IntervalRow]) -> int:
    """Inserts the rows whose key is new; answers how many were."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        return _sqlite(connection, rows)
    return _postgresql(connection, rows)


def _sqlite(connection: Connection, rows: Sequence[IntervalRow]) -> int:
    cursor = connection.exec_driver_sql(
        f"INSERT OR IGNORE INTO energy_interval ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        list(rows),
    )
    return cursor.rowcount


def _postgresql(connection: Connection, rows: Sequence[IntervalRow]) -> int:
    connection.exec_driver_sql(
        "CREATE TEMP TABLE IF NOT EXISTS energy_stage (end_ms bigint, meter_id int, "
        "subject_id int, span_ms int, energy_mj bigint, method smallint) ON COMMIT DELETE ROWS"
    )
    connection.exec_driver_sql("DELETE FROM energy_stage")
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY energy_stage ({_COLUMNS}) FROM STDIN") as c:
        for row in rows:
            c.write_row(row)
    insert = (
        f"INSERT INTO energy_interval ({_COLUMNS}) SELECT {_COLUMNS} FROM energy_stage "
        "ON CONFLICT DO NOTHING"
    )
    try:
        with connection.begin_nested():
            return connection.exec_driver_sql(insert).rowcount
    except IntegrityError as error:
        if "no partition" not in str(error.orig):
            raise
    make_days(connection, {day_of_end(row[0]) for row in rows})
    return connection.exec_driver_sql(insert).rowcount
