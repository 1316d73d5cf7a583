"""Bytes of a raw row: in the database, with its indexes, and in the cold tier."""

from __future__ import annotations

import tempfile

import numpy as np
from sqlalchemy import func, select

from carbon.bench.figure import Figure, at_most, not_taken
from carbon.bench.generated.year import Year
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.storage.cold import ColdStore
from carbon.storage.energy import energy_interval
from carbon.storage.engine import is_sqlite, reading
from carbon.storage.interval_columns import ENERGY, columns_between

_ON_SQLITE = "SELECT sum(pgsize) FROM dbstat WHERE name = 'energy_interval'"
_ON_POSTGRESQL = (
    "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = 'energy_interval'::regclass AND c.relkind = 'r'"
)


def raw_sizes(year: Year) -> list[Figure]:
    with reading(year.context.engine) as connection:
        rows = connection.scalar(select(func.count()).select_from(energy_interval)) or 1
        if is_sqlite(connection):
            name, query, most = "raw row on SQLite", _ON_SQLITE, 40.0
        else:
            name, query, most = "raw row on PostgreSQL", _ON_POSTGRESQL, 115.0
        try:
            size = int(connection.exec_driver_sql(query).scalar() or 0)
            stored = at_most(name, size / rows, "bytes", most, f"{rows:,} rows, with its index")
        except Exception as error:  # SQLite may be built without dbstat
            stored = not_taken(name, "bytes", str(error), f"<= {most:g}")
        last = columns_between(connection, year.end_ms - MS_PER_HOUR, year.end_ms, None)
    # Readings of a real meter are never as even as generated ones, and compress less.
    noise = np.random.default_rng(1).normal(1.0, 0.04, last.shape[1])
    last[ENERGY] = np.rint(last[ENERGY] * noise).astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        file = ColdStore(folder).write(floor_to(year.end_ms - 1, MS_PER_DAY), [last])
    note = f"{file.rows:,} rows, 4 % of noise added"
    return [stored, at_most("raw row in Parquet", file.bytes / file.rows, "bytes", 10.0, note)]
