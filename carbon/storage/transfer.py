"""Carries a whole ledger from one database to another: the way from laptop to team.

Table by table in the order of their references, a page at a time in order of key. What is there
already is left, so that a copy that was stopped goes on where it was; at the end rows and sums of
both are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    SmallInteger,
    Table,
    cast,
    func,
    select,
    text,
    tuple_,
)

from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.storage.bulk import insert_columns
from carbon.storage.energy import energy_interval
from carbon.storage.engine import is_in_memory, is_sqlite, reading, writing
from carbon.storage.migrations import current_revision, upgrade
from carbon.storage.tables import metadata
from carbon.storage.upsert import insert_new

_PAGE = 5_000
#: Columns whose sums are compared.
_SUMMED = ("energy_mj", "operational_ng", "count", "covered_ms")
#: Table → (rows, sums).
Totals = dict[str, tuple[int, ...]]


def copy_ledger(
    source: Engine, target: Engine, tell: Callable[[str, int], None] = lambda _t, _n: None
) -> Totals:
    """Copies everything, and answers what both hold; `tell` hears of each table.

    Both are brought to the newest schema first. Nothing may write to either meanwhile. Raises
    InvalidInput(`same_database`), NotFound(`no_ledger`) where the source holds none,
    Conflicting(`target_in_use`) where the target holds another one, and
    CarbonError(`unstorable_value`, `copy_differs`) where the two differ in the end.
    """
    _check_source(source, target)
    upgrade(source)
    upgrade(target)
    _check_target(source, target)
    for table in metadata.sorted_tables:
        tell(table.name, _copy_table(source, target, table))
    if target.dialect.name == "postgresql":
        with writing(target) as connection:
            for table in metadata.sorted_tables:
                _set_sequence(connection, table)
    with reading(source) as one, reading(target) as other:
        expected, got = totals(one), totals(other)
    differing = [name for name, said in expected.items() if got[name] != said]
    if differing:
        raise CarbonError(
            "copy_differs",
            f"{', '.join(differing)} differ after the copy; stop what writes to either and "
            "run it again",
        )
    return expected


def totals(connection: Connection) -> Totals:
    """Rows of each table, and the sums of what must not get lost."""
    found: Totals = {}
    for table in metadata.sorted_tables:
        sums = [cast(func.sum(table.c[name]), BigInteger) for name in _SUMMED if name in table.c]
        row = connection.execute(select(func.count(), *sums).select_from(table)).one()
        found[table.name] = tuple(int(value or 0) for value in row)
    return found


def _check_source(source: Engine, target: Engine) -> None:
    """A mistyped name would be a new, empty ledger, of which a copy is no news."""
    if source.url == target.url and not is_in_memory(source):
        raise InvalidInput(
            "same_database", f"{source.url} is named twice; name an empty database to copy to"
        )
    with reading(source) as connection:
        if current_revision(connection) is None:
            raise NotFound("no_ledger", f"{source.url} holds no ledger to copy")


def _check_target(source: Engine, target: Engine) -> None:
    """A target with a first team of its own, and not the source's, is somebody else's."""
    team = metadata.tables["team"]
    first = select(team.c.id, team.c.name, team.c.created_ms).order_by(team.c.id).limit(1)
    with reading(source) as one, reading(target) as other:
        theirs = other.execute(first).one_or_none()
        if theirs is not None and theirs != one.execute(first).one_or_none():
            raise Conflicting(
                "target_in_use", "the target holds another ledger; name an empty database"
            )


def _copy_table(source: Engine, target: Engine, table: Table) -> int:
    copied = 0
    with reading(source) as connection:
        after = _last(target, table)
        for rows in _pages(connection, table, after):
            try:
                _put(target, table, rows)
            except InvalidInput as error:
                raise CarbonError(error.code, f"table {table.name}: {error.detail}") from error
            copied += len(rows)
    return copied


def _put(target: Engine, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    with writing(target) as into:
        if table is energy_interval:
            insert_columns(into, np.array(rows, dtype=np.int64).T)
        else:
            names = [column.name for column in table.c]
            insert_new(into, table, [dict(zip(names, r, strict=True)) for r in rows])


def _keys(table: Table) -> list[Any]:
    return list(table.primary_key.columns)


def _is_ordered_alike(table: Table) -> bool:
    """Numbers are; text is ordered by each database in its own way."""
    return all(isinstance(c.type, (BigInteger, Integer, SmallInteger)) for c in _keys(table))


def _last(target: Engine, table: Table) -> tuple[Any, ...] | None:
    """The last key that is there already."""
    if not _is_ordered_alike(table):
        return None
    keys = _keys(table)
    query = select(*keys).order_by(*(key.desc() for key in keys)).limit(1)
    with reading(target) as connection:
        row = connection.execute(query).one_or_none()
    return tuple(row) if row else None


def _pages(
    connection: Connection, table: Table, after: tuple[Any, ...] | None
) -> Iterator[Sequence[tuple[Any, ...]]]:
    keys = _keys(table)
    places = [list(table.c).index(key) for key in keys]
    if any(foreign.column.table is table for foreign in table.foreign_keys):
        rows = [tuple(row) for row in connection.execute(select(table).order_by(*keys))]
        yield from ([row] for row in _parents_first(table, rows))
        return
    while True:
        query = select(table).order_by(*keys).limit(_PAGE)
        if after is not None:
            query = query.where(tuple_(*keys) > tuple_(*after))
        rows = [tuple(row) for row in connection.execute(query)]
        if rows:
            yield rows
            after = tuple(rows[-1][place] for place in places)
        if len(rows) < _PAGE:
            return


def _parents_first(table: Table, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Of a table that refers to itself; such tables are small."""
    columns = list(table.c)
    own = next(f for f in table.foreign_keys if f.column.table is table)
    child, parent = columns.index(own.parent), columns.index(own.column)
    placed: set[Any] = {None}
    ordered: list[tuple[Any, ...]] = []
    while rows:
        ready = [row for row in rows if row[child] in placed]
        if not ready:
            return ordered + rows
        ordered += ready
        placed |= {row[parent] for row in ready}
        rows = [row for row in rows if row[child] not in placed or row[parent] not in placed]
    return ordered


def _set_sequence(connection: Connection, table: Table) -> None:
    """Ids that were copied are not given again."""
    key = table.autoincrement_column
    if key is None or is_sqlite(connection):
        return
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{key.name}'), "
            f"(SELECT max({key.name}) FROM {table.name})) "
            f"WHERE pg_get_serial_sequence('{table.name}', '{key.name}') IS NOT NULL "
            f"AND EXISTS (SELECT 1 FROM {table.name})"
        )
    )
