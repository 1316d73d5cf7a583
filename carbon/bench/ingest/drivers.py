"""The raw drivers doing the same rows: what HTTP to committed is measured against."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import make_url

from carbon.bench.ingest.bodies import DEVICES, STEP_MS

_TIMES = 3


def raw_sqlite(batches: int, rows: int) -> float:
    """rows/s of sqlite3's executemany: the same columns and key, a transaction a batch."""
    return median(_sqlite_once(batches, rows) for _ in range(_TIMES))


def _sqlite_once(batches: int, rows: int) -> float:
    made = [_rows(seq, rows) for seq in range(batches)]
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()
        connection.execute(
            "CREATE TABLE e (end_ms INT, meter INT, subject INT, span INT, mj INT, method INT,"
            " PRIMARY KEY (end_ms, meter, subject, span)) WITHOUT ROWID"
        )
        began = time.perf_counter()
        for batch in made:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO e VALUES (?, ?, ?, ?, ?, ?)", batch)
            connection.execute("COMMIT")
        return batches * rows / (time.perf_counter() - began)


def raw_postgresql(url: str, batches: int, rows: int) -> float:
    """rows/s of the bare stage: COPY, INSERT … ON CONFLICT, a transaction a batch."""
    import psycopg

    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMP TABLE stage (end_ms bigint, meter int, subject int, span int, mj bigint,"
            " method smallint) ON COMMIT DELETE ROWS"
        )
        rates = []
        for turn in range(_TIMES):
            table = f"bench_raw_{turn}"
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(
                f"CREATE TABLE {table} (end_ms bigint, meter int, subject int, span int,"
                " mj bigint, method smallint, PRIMARY KEY (end_ms, meter, subject, span))"
            )
            rates.append(_postgresql_once(connection, table, batches, rows))
            connection.execute(f"DROP TABLE {table}")
        return median(rates)


def _postgresql_once(connection: Any, table: str, batches: int, rows: int) -> float:
    made = [_rows(seq, rows) for seq in range(batches)]
    began = time.perf_counter()
    for batch in made:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy("COPY stage FROM STDIN") as copy:
                for row in batch:
                    copy.write_row(row)
            cursor.execute(f"INSERT INTO {table} SELECT * FROM stage ON CONFLICT DO NOTHING")
    return batches * rows / (time.perf_counter() - began)


def _rows(seq: int, rows: int) -> list[tuple[int, ...]]:
    first_ms = 1_700_000_000_000 + seq * (rows // DEVICES) * STEP_MS
    return [
        (first_ms + i // DEVICES * STEP_MS, i % DEVICES, i % 20, STEP_MS, 3_000_000 + i, 1)
        for i in range(rows)
    ]
