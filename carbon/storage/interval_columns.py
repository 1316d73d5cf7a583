"""Raw intervals as columns, where many are read or written at once: an object for each row would
cost more than all else that is done with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from carbon.storage.binary_copy import decoded, encoded
from carbon.storage.engine import copying, is_sqlite

Ints: TypeAlias = NDArray[np.int64]

#: The columns of `energy_interval`, and of every array here.
COLUMNS = ("end_ms", "meter_id", "subject_id", "span_ms", "energy_mj", "method")
END, METER, SUBJECT, SPAN, ENERGY, METHOD = range(len(COLUMNS))
NOTHING: Ints = np.empty((len(COLUMNS), 0), dtype=np.int64)

#: More meters than these are not named in a statement: all between them are read.
_MOST_NAMED = 500


def columns_between(
    connection: Connection, start_ms: int, end_ms: int, meters: Collection[int] | None
) -> Ints:
    """(6, n) of the rows that end in (start, end], of these meters at least; None means all."""
    where = f"end_ms > {int(start_ms)} AND end_ms <= {int(end_ms)}"
    if meters is not None and len(meters) <= _MOST_NAMED:
        where += f" AND meter_id IN ({','.join(map(str, map(int, meters))) or 'NULL'})"
    elif meters is not None:
        where += f" AND meter_id BETWEEN {int(min(meters))} AND {int(max(meters))}"
    query = f"SELECT {', '.join(COLUMNS)} FROM energy_interval WHERE {where}"
    if is_sqlite(connection):
        rows = connection.connection.cursor().execute(query)
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        return flat.reshape(-1, len(COLUMNS)).T
    return _copied_out(connection, query)


#: Their types in PostgreSQL.
_KINDS = (">i8", ">i4", ">i4", ">i4", ">i8", ">i2")


def _copied_out(connection: Connection, query: str) -> Ints:
    with copying(connection, f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as out:
        raw = b"".join(out)
    return np.stack([column.astype(np.int64) for column in decoded(raw, _KINDS)])


def binary_copy(columns: Ints) -> bytes:
    """What PostgreSQL's `COPY … FROM STDIN (FORMAT BINARY)` takes, as one buffer."""
    return encoded(list(columns), _KINDS)


def in_order(columns: Ints) -> Ints:
    """By end, as the table grows, and there by meter where that is quickly told."""
    end, meter = columns[END], columns[METER]
    first = int(end.min())
    if int(end.max()) - first < 1 << 31 and int(meter.max()) < 1 << 32:
        keys = (end - first) << 32 | meter
        if (keys[1:] >= keys[:-1]).all():
            return columns
        return columns[:, np.argsort(keys, kind="stable")]
    return columns[:, np.argsort(end, kind="stable")]


def follow_each_other(columns: Ints) -> bool:
    """Whether the rows of each meter lie one after the other, those of one span side by side by
    subject: none of them contradicts or repeats another."""
    columns = columns[:, np.lexsort((columns[SUBJECT], columns[END], columns[METER]))]
    end, meter, subject, span = columns[[END, METER, SUBJECT, SPAN]]
    follows = end[1:] - span[1:] >= end[:-1]
    is_beside = (end[1:] == end[:-1]) & (span[1:] == span[:-1]) & (subject[1:] > subject[:-1])
    return bool((follows | is_beside | (meter[1:] != meter[:-1])).all())


def columns_of(rows: Sequence[tuple[int, ...]]) -> Ints:
    return np.array(rows, dtype=np.int64).reshape(-1, len(COLUMNS)).T
