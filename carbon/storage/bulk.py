"""Bulk inserts by the driver itself: no ORM, and on SQLite no statement for each row.

SQLite takes many rows in one INSERT (twice as fast as executemany, and the interpreter is free
for others meanwhile), few by executemany, for which nothing is taken apart. PostgreSQL takes a
COPY: straight into the table where all rows should be new, which is twice as fast; through a stage
where some may exist, since a COPY cannot skip them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Float,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import TypeEngine

from carbon.storage.binary_copy import encoded
from carbon.storage.engine import copying, execute, execute_many, is_sqlite
from carbon.storage.interval_columns import (
    COLUMNS,
    END,
    ENERGY,
    METER,
    METHOD,
    SPAN,
    SUBJECT,
    Ints,
    binary_copy,
    columns_of,
)
from carbon.storage.partitions import day_of_end, make_days

#: (end_ms, meter_id, subject_id, span_ms, energy_mj, method)
IntervalRow = tuple[int, int, int, int, int, int]

_COLUMNS = ", ".join(COLUMNS)
_ADDING = f"INSERT OR IGNORE INTO energy_interval ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
#: Rows that PostgreSQL gets in the statement itself, and SQLite one by one.
FEW = 64
#: Values of one statement; SQLite takes 32 766.
_MOST_VALUES = 6_000


class NotAllNew(Exception):
    """Of rows that were promised to be new some are known, or their day is not there: the
    transaction is void, and each of its sendings has to look at its rows one by one."""


def add_columns(connection: Connection, columns: Ints) -> None:
    """Inserts rows that should all be new, given as columns, in the order of their key. Raises
    NotAllNew."""
    if is_sqlite(connection):
        if insert_columns(connection, columns) != columns.shape[1]:
            raise NotAllNew
        return
    try:
        if columns.shape[1] <= FEW:
            rows = _written_out(columns)
            connection.exec_driver_sql(f"INSERT INTO energy_interval ({_COLUMNS}) {rows}")
        else:
            _copy_in(connection, "energy_interval", columns)
    except IntegrityError as error:
        raise NotAllNew from error


def add_rows(connection: Connection, rows: Sequence[IntervalRow]) -> None:
    """As `add_columns`, of rows one by one."""
    if len(rows) > FEW or not is_sqlite(connection):
        add_columns(connection, columns_of(rows))
    elif execute_many(connection, _ADDING, rows) != len(rows):
        raise NotAllNew


def insert_intervals(connection: Connection, rows: Sequence[IntervalRow]) -> int:
    """Inserts the rows whose key is new; answers how many were."""
    return insert_columns(connection, columns_of(rows))


def insert_columns(connection: Connection, columns: Ints) -> int:
    """As `insert_intervals`, of columns (`storage.interval_columns`)."""
    if not columns.size:
        return 0
    return (_in_sqlite if is_sqlite(connection) else _in_postgresql)(connection, columns)


def _in_sqlite(connection: Connection, columns: Ints) -> int:
    """Readings of one length and method, as a sender's are, tell both once: to bind a value takes
    SQLite as long as to write it."""
    span_ms, method = columns[SPAN], columns[METHOD]
    if columns.shape[1] <= FEW or (span_ms != span_ms[0]).any() or (method != method[0]).any():
        flat = columns.T.ravel().tolist()
        return _sqlite(connection, "OR IGNORE", "energy_interval", _COLUMNS, len(COLUMNS), flat)
    alike = [int(span_ms[0]), int(method[0])]
    flat, width = columns[_OTHERS].T.ravel().tolist(), len(_OTHERS)
    at, inserted = 0, 0
    for count in parts(columns.shape[1], _MOST_VALUES // width):
        values = alike + flat[at : at + count * width]
        inserted += execute(connection, _adding_alike(count), values).rowcount
        at += count * width
    return inserted


#: Of readings that are alike, what each says.
_OTHERS = [END, METER, SUBJECT, ENERGY]


@cache
def _adding_alike(count: int) -> str:
    firsts = range(3, 3 + count * len(_OTHERS), len(_OTHERS))
    rows = ", ".join(f"(?{n}, ?{n + 1}, ?{n + 2}, ?1, ?{n + 3}, ?2)" for n in firsts)
    return f"INSERT OR IGNORE INTO energy_interval ({_COLUMNS}) VALUES {rows}"


def load_rows(connection: Connection, table: Table, rows: Ints) -> None:
    """As `insert_rows`, of columns of whole numbers: the quickest way into tables that are filled
    at once. A day partition must be there."""
    if not len(rows):
        return
    names = ", ".join(column.name for column in table.columns)
    if is_sqlite(connection):
        _sqlite(connection, "", table.name, names, rows.shape[1], rows.ravel().tolist())
        return
    kinds = [_kind(column.type) for column in table.columns]
    with copying(connection, f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(encoded(list(rows.T), kinds))


def _kind(type_: TypeEngine[Any]) -> str:
    if isinstance(type_, BigInteger):
        return ">i8"
    return ">i2" if isinstance(type_, SmallInteger) else ">i4"


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Inserts rows, each with all columns in order; their keys must be new."""
    if not rows:
        return
    names = ", ".join(column.name for column in table.columns)
    if is_sqlite(connection):
        flat = list(chain.from_iterable(rows))
        _sqlite(connection, "", table.name, names, len(table.columns), flat)
        return
    with copying(connection, f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def insert_rows_of(
    connection: Connection, inserts: Sequence[tuple[Table, Sequence[tuple[Any, ...]]]]
) -> None:
    """As `insert_rows` of several tables in that order; of few rows in one turn to PostgreSQL and
    back, where a COPY takes two for each table. Raises IntegrityError where a key exists."""
    if is_sqlite(connection) or any(len(rows) > FEW for _, rows in inserts):
        for table, rows in inserts:
            insert_rows(connection, table, rows)
        return
    _write_together(connection, [(table, rows, "") for table, rows in inserts])


def insert_new_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """As `insert_rows` where some keys may exist: their rows are left as they are."""
    upsert_rows(connection, table, rows, "ON CONFLICT DO NOTHING")


def upsert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], on_conflict: str
) -> None:
    """As `insert_rows`, and what to do where a key exists; no key may stand twice among the rows.
    A statement or a few, whatever their number."""
    if not rows:
        return
    if is_sqlite(connection):
        if len(rows) <= FEW:
            execute_many(connection, _inserting_one(table, on_conflict), rows)
            return
        names = ", ".join(column.name for column in table.columns)
        flat = list(chain.from_iterable(rows))
        _sqlite(connection, "", table.name, names, len(table.columns), flat, on_conflict)
        return
    execute(connection, _unnesting(connection.dialect, table, on_conflict), _arrays(table, rows))


def upsert_columns(
    connection: Connection, table: Table, columns: Mapping[str, Ints], on_conflict: str
) -> None:
    """As `upsert_rows`, of columns of whole numbers, by name; those not given are 0 in a row that
    is new."""
    if not len(next(iter(columns.values()))):
        return
    unsaid = [column.name for column in table.columns if column.name not in columns]
    names = ", ".join((*columns, *unsaid))
    if is_sqlite(connection):
        flat = np.column_stack(list(columns.values())).ravel().tolist()
        _sqlite(
            connection, "", table.name, names, len(columns), flat, on_conflict, zeros=len(unsaid)
        )
        return
    kinds = (table.c[name].type.compile(connection.dialect) for name in columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    row = ", ".join(("v.*", *("0" for _ in unsaid)))
    execute(
        connection,
        f"INSERT INTO {table.name} ({names}) SELECT {row} FROM unnest({arrays}) v {on_conflict}",
        [_written(column.tolist()) for column in columns.values()],
    )


#: A table, rows with all its columns in order, and what to do where a key exists.
Insert = tuple[Table, Sequence[tuple[Any, ...]], str]


def insert_together(connection: Connection, inserts: Sequence[Insert]) -> None:
    """As `upsert_rows` of several tables, in one turn to PostgreSQL and back. Raises NotAllNew
    where a key exists of which nothing is said, or its day is not there."""
    try:
        _write_together(connection, inserts)
    except IntegrityError as error:
        raise NotAllNew from error


def _write_together(connection: Connection, inserts: Sequence[Insert]) -> None:
    some = [one for one in inserts if one[1]]
    if not some:
        return
    statements = [_unnesting(connection.dialect, table, then) for table, _, then in some]
    values = [value for table, rows, _ in some for value in _arrays(table, rows)]
    execute(connection, _together(tuple(statements)), values)


@cache
def _together(statements: tuple[str, ...]) -> str:
    *before, last = statements
    parts_of = ", ".join(f"part_{at} AS ({one})" for at, one in enumerate(before))
    return f"WITH {parts_of} {last}" if before else last


def _arrays(table: Table, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """The columns of rows as PostgreSQL reads them, each an array (`_unnesting`): the driver takes
    its time with each value of a list."""
    columns = zip(table.columns, zip(*rows, strict=True), strict=True)
    return [_writer(column.type)(told) for column, told in columns]


def _writer(type_: TypeEngine[Any]) -> Callable[[Sequence[Any]], str]:
    if isinstance(type_, Text):
        return _written_texts
    if isinstance(type_, LargeBinary):
        return _written_bytes
    return _written_floats if isinstance(type_, Float) else _written


def _written_texts(values: Sequence[str | None]) -> str:
    told = [value for value in values if value is not None]
    if len(told) == len(values):
        text = '","'.join(told)
        if "\\" not in text and text.count('"') == 2 * len(values) - 2:
            return f'{{"{text}"}}'
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _written_bytes(values: Sequence[bytes]) -> str:
    return "{" + ",".join([rf'"\\x{value.hex()}"' for value in values]) + "}"


def _written_floats(values: Sequence[float | None]) -> str:
    return f"{{{','.join(['NULL' if x is None else repr(float(x)) for x in values])}}}"


def _written(numbers: Sequence[int | None]) -> str:
    return f"{{{','.join(['NULL' if n is None else str(int(n)) for n in numbers])}}}"


@cache
def _unnesting(dialect: Dialect, table: Table, on_conflict: str) -> str:
    names = ", ".join(column.name for column in table.columns)
    arrays = [f"%s::{column.type.compile(dialect)}[]" for column in table.columns]
    rows = f"SELECT * FROM unnest({', '.join(arrays)})"
    return f"INSERT INTO {table.name} ({names}) {rows} {on_conflict}"


def _sqlite(
    connection: Connection,
    mode: str,
    table: str,
    names: str,
    width: int,
    flat: list[Any],
    on_conflict: str = "",
    zeros: int = 0,
) -> int:
    """Rows of so many values, each with so many zeros behind them."""
    at, inserted = 0, 0
    row = ", ".join(["?"] * width + ["0"] * zeros)
    for count in parts(len(flat) // width, _MOST_VALUES // width):
        statement = _inserting(mode, table, names, row, count, on_conflict)
        inserted += execute(connection, statement, flat[at : at + count * width]).rowcount
        at += count * width
    return inserted


@cache
def _inserting_one(table: Table, on_conflict: str) -> str:
    names = [column.name for column in table.columns]
    row = ", ".join("?" * len(names))
    return _inserting("", table.name, ", ".join(names), row, 1, on_conflict)


def parts(count: int, most: int) -> Iterator[int]:
    """`count` in parts of at most `most`, the rest in powers of two: few different statements,
    which the driver keeps prepared."""
    while count:
        part = most if count >= most else 1 << (count.bit_length() - 1)
        yield part
        count -= part


@cache
def _inserting(mode: str, table: str, names: str, row: str, count: int, on_conflict: str) -> str:
    rows = ", ".join([f"({row})"] * count)
    return f"INSERT {mode} INTO {table} ({names}) VALUES {rows} {on_conflict}"


def _in_postgresql(connection: Connection, columns: Ints) -> int:
    few = columns.shape[1] <= FEW
    rows = _written_out(columns) if few else _staged(connection, columns)
    insert = f"INSERT INTO energy_interval ({_COLUMNS}) {rows} ON CONFLICT DO NOTHING"
    try:
        with connection.begin_nested():
            return connection.exec_driver_sql(insert).rowcount
    except IntegrityError as error:
        if "no partition" not in str(error.orig):
            raise
    make_days(connection, {day_of_end(end_ms) for end_ms in set(columns[END].tolist())})
    return connection.exec_driver_sql(insert).rowcount


def _written_out(columns: Ints) -> str:
    """A stage takes three more turns to the server and back."""
    return "VALUES " + ", ".join(str(row) for row in zip(*columns.tolist(), strict=True))


def _staged(connection: Connection, columns: Ints) -> str:
    connection.exec_driver_sql(
        "CREATE TEMP TABLE IF NOT EXISTS energy_stage (end_ms bigint, meter_id int, "
        "subject_id int, span_ms int, energy_mj bigint, method smallint) ON COMMIT DELETE ROWS"
    )
    connection.exec_driver_sql("DELETE FROM energy_stage")
    _copy_in(connection, "energy_stage", columns)
    return f"SELECT {_COLUMNS} FROM energy_stage"


def _copy_in(connection: Connection, table: str, columns: Ints) -> None:
    with copying(connection, f"COPY {table} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(binary_copy(columns))
