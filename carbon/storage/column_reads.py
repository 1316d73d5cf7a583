"""Many rows as one array of whole numbers: an object of SQLAlchemy for each would cost more than
all else that is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from sqlalchemy import Connection

from carbon.storage.binary_copy import decoded
from carbon.storage.columns import Ints
from carbon.storage.engine import is_sqlite


def read_columns(connection: Connection, expressions: Sequence[str], rest: str) -> Ints:
    """(rows, expressions) of `SELECT <expressions> <rest>`; whole numbers all, none of them null.

    The caller answers for what stands in the statement.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    if is_sqlite(connection):
        cursor = driver.cursor()
        try:
            rows = cursor.execute(f"SELECT {', '.join(expressions)} {rest}")
            flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        finally:
            cursor.close()
        return flat.reshape(-1, len(expressions))
    wide = ", ".join(f"CAST({one} AS bigint)" for one in expressions)
    into = f"COPY (SELECT {wide} {rest}) TO STDOUT (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(into) as out:
        raw = b"".join(out)
    columns = decoded(raw, [">i8"] * len(expressions))
    return np.column_stack([column.astype(np.int64) for column in columns])
