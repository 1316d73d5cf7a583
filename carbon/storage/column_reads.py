"""Many rows as one array of whole numbers: an object of SQLAlchemy for each would cost more than
all else that is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from sqlalchemy import Connection

from carbon.storage.binary_copy import decoded
from carbon.storage.columns import Ints
from carbon.storage.engine import is_sqlite


def read_columns(
    connection: Connection, expressions: Sequence[str], source: str, order: str = ""
) -> Ints:
    """(rows, expressions) of `SELECT <expressions> FROM <source>`, where `order` names a column in
    order of it; whole numbers all, none of them null.

    The caller answers for what stands in the statement.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    if is_sqlite(connection):
        # As text, one a column: an object for each value would take twice as long as all the rest.
        listed = ", ".join(f"group_concat({one})" for one in expressions)
        by = f" GROUP BY {order} ORDER BY {order}" if order else ""
        found = driver.execute(f"SELECT {listed} FROM {source}{by}").fetchall()
        parts = [part for part in found if part[0] is not None]
        texts = zip(*parts, strict=True) if parts else repeat((), len(expressions))
        return np.column_stack([np.fromstring(",".join(t), np.int64, sep=",") for t in texts])
    wide = ", ".join(f"CAST({one} AS bigint)" for one in expressions)
    by = f" ORDER BY {order}" if order else ""
    into = f"COPY (SELECT {wide} FROM {source}{by}) TO STDOUT (FORMAT BINARY)"
    with driver.cursor() as cursor, cursor.copy(into) as out:
        raw = b"".join(out)
    columns = decoded(raw, [">i8"] * len(expressions))
    return np.column_stack([column.astype(np.int64) for column in columns])
