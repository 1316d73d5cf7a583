"""Many rows as one array of whole numbers: an object of SQLAlchemy for each would cost more than
all else that is done with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from sqlalchemy import Connection

from carbon.storage.columns import Ints
from carbon.storage.engine import is_sqlite

#: Of a number that several columns share.
_SHARED_BITS = 62
#: Of a column that shares with none, whatever stands in it.
ALL_BITS = 64
_NONE = np.empty(0, dtype=np.int64)
#: PostgreSQL's array of one dimension: bytes before its elements, each of which has its length.
_ARRAY_HEAD, _ELEMENT = 20, np.dtype([("length", ">i4"), ("value", ">i8")])


def read_columns(
    connection: Connection, expressions: Sequence[str], source: str, order: str = ""
) -> Ints:
    """(rows, expressions) of `SELECT <expressions> FROM <source>`, where `order` names a column in
    order of it; whole numbers all, none of them null.

    The caller answers for what stands in the statement.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    by = f" GROUP BY {order} ORDER BY {order}" if order else ""
    if is_sqlite(connection):
        # As text, one a column: an object for each value would take twice as long as all the rest.
        listed = ", ".join(f"group_concat({one})" for one in expressions)
        found = driver.execute(f"SELECT {listed} FROM {source}{by}").fetchall()
        parts = [part for part in found if part[0] is not None]
        texts = zip(*parts, strict=True) if parts else repeat((), len(expressions))
        return np.column_stack([np.fromstring(",".join(t), np.int64, sep=",") for t in texts])
    # As arrays, one a column: of a COPY the driver hands over row by row.
    listed = ", ".join(f"array_agg(CAST({one} AS bigint))" for one in expressions)
    with driver.cursor(binary=True) as cursor:
        result = cursor.execute(f"SELECT {listed} FROM {source}{by}").pgresult
        columns = [
            [_numbers(result.get_value(row, at)) for row in range(result.ntuples)]
            for at in range(len(expressions))
        ]
    return np.column_stack([np.concatenate([_NONE, *parts]) for parts in columns])


def _numbers(array: bytes | None) -> np.ndarray[Any, Any]:
    """What stands in an array of bigint as PostgreSQL sends it; none where it had no rows."""
    return _NONE if array is None else np.frombuffer(array, _ELEMENT, offset=_ARRAY_HEAD)["value"]


def read_packed(
    connection: Connection, bits: Mapping[str, int], source: str, order: str = ""
) -> Ints:
    """As `read_columns`, of expressions none of which is negative or takes more than so many bits.

    On SQLite those that fit share a number: it writes each as text, and digits are what takes time.
    """
    if not is_sqlite(connection):
        return read_columns(connection, list(bits), source, order)
    shared = list(_sharing(bits))
    found = read_columns(connection, [_packed(some) for some in shared], source, order)
    columns: list[Ints] = []
    for packed, some in zip(found.T, shared, strict=True):
        columns += _unpacked(packed, list(some.values()))
    return np.column_stack(columns)


def _sharing(bits: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The expressions in order, those together that fit into one number."""
    some: dict[str, int] = {}
    for expression, width in bits.items():
        if some and sum(some.values()) + width > _SHARED_BITS:
            yield some
            some = {}
        some[expression] = width
    yield some


def _packed(bits: Mapping[str, int]) -> str:
    first, *others = bits.items()
    packed = first[0]
    for expression, width in others:
        packed = f"(({packed}) << {width} | ({expression}))"
    return packed


def _unpacked(packed: Ints, widths: Sequence[int]) -> list[Ints]:
    columns = []
    for width in reversed(widths[1:]):
        columns.append(packed & ((1 << width) - 1))
        packed = packed >> width
    return [packed, *reversed(columns)]
