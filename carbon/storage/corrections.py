"""Corrections: append-only. One that was undone stands there still, and counts no longer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Row, Table, Text, UniqueConstraint, select

from carbon.storage.names import correction, workload
from carbon.storage.schema import Amount, Id, Ms, metadata

#: What was written under one workload's name counts as another's.
workload_merge = Table(
    "workload_merge",
    metadata,
    Column("correction_id", ForeignKey("correction.id"), primary_key=True),
    Column("from_id", ForeignKey("workload.id"), nullable=False),
    Column("into_id", ForeignKey("workload.id"), nullable=False),
)

#: How many units a workload did over [start, end), whatever was counted.
unit_correction = Table(
    "unit_correction",
    metadata,
    Column("correction_id", ForeignKey("correction.id"), primary_key=True),
    Column("unit_id", ForeignKey("workload_unit.id"), nullable=False, index=True),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("count", Amount, nullable=False),
)

#: A name that a workload had before: what is still sent or asked under it is this workload's.
workload_alias = Table(
    "workload_alias",
    metadata,
    Column("id", Id, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    UniqueConstraint("team_id", "name"),
)


def insert_correction(connection: Connection, **values: Any) -> int:
    done = connection.execute(correction.insert().values(**values))
    key = done.inserted_primary_key
    assert key is not None
    return int(key[0])


def find_correction(connection: Connection, id_: int) -> Row[Any] | None:
    return connection.execute(select(correction).where(correction.c.id == id_)).one_or_none()


def all_corrections(connection: Connection) -> list[Row[Any]]:
    """The latest first."""
    return list(connection.execute(select(correction).order_by(correction.c.id.desc())).all())


def undone(connection: Connection, ignoring: int | None = None) -> frozenset[int]:
    """The corrections that another one undid which itself still holds; `ignoring` one of those
    that undo."""
    c = correction.c
    query = select(c.id, c.undoes_id).where(c.undoes_id.is_not(None))
    found: dict[int, int] = {row.id: row.undoes_id for row in connection.execute(query)}
    if ignoring is not None:
        found.pop(ignoring, None)
    gone: set[int] = set()
    for id_ in sorted(found, reverse=True):  # the latest knows whether the earlier ones hold
        if id_ not in gone:
            gone.add(found[id_])
    return frozenset(gone)


def merges(
    connection: Connection, gone: frozenset[int] | None = None, until: int | None = None
) -> dict[int, int]:
    """Of each workload that was merged (before the correction `until`), the one that it counts
    as in the end. `gone` are the corrections that hold no longer, by default those that were
    undone."""
    m = workload_merge.c
    query = select(m.from_id, m.into_id, m.correction_id).order_by(m.correction_id)
    rows = connection.execute(query).all()
    if not rows:
        return {}
    if gone is None:
        gone = undone(connection)
    into = {
        row.from_id: row.into_id
        for row in rows
        if row.correction_id not in gone and (until is None or row.correction_id < until)
    }
    return {start: final(into, start) for start in into}


def loops(connection: Connection) -> bool:
    """Whether following the merges that hold ever leads back to where it began."""
    m = workload_merge.c
    gone = undone(connection)
    rows = connection.execute(select(m.from_id, m.into_id, m.correction_id)).all()
    into = {row.from_id: row.into_id for row in rows if row.correction_id not in gone}
    return any(_comes_back(into, start) for start in into)


def _comes_back(into: Mapping[int, int], start: int) -> bool:
    at, steps = into.get(start), 0
    while at is not None and at != start and steps <= len(into):
        at, steps = into.get(at), steps + 1
    return at is not None


def merged_by(connection: Connection, correction_id: int) -> tuple[int, int]:
    """(from, into) of a merge."""
    m = workload_merge.c
    query = select(m.from_id, m.into_id).where(m.correction_id == correction_id)
    row = connection.execute(query).one()
    return row[0], row[1]


def final(into: Mapping[int, int], workload_id: int) -> int:
    """Where a chain of merges ends. A circle is refused; one that stood would end somewhere."""
    seen = {workload_id}
    while (following := into.get(workload_id)) is not None and following not in seen:
        seen.add(following)
        workload_id = following
    return workload_id


def members(connection: Connection, workload_id: int) -> list[int]:
    """A workload and those that were merged into it."""
    into = merges(connection)
    return [workload_id, *(start for start, end in into.items() if end == workload_id)]


def counted_as(connection: Connection, workload_id: int) -> set[int]:
    """A workload, and the one that it was merged into."""
    return {workload_id, final(merges(connection), workload_id)}


def is_merged(connection: Connection) -> frozenset[int]:
    """The workloads that count as another."""
    return frozenset(merges(connection))


def alias_of(connection: Connection, team_id: int, name: str) -> int | None:
    a = workload_alias.c
    query = select(a.workload_id).where(a.team_id == team_id, a.name == name)
    return connection.scalar(query)


def rename(connection: Connection, workload_id: int, team_id: int, name: str) -> None:
    """The old name becomes an alias; one that the workload had before is a name again."""
    a, w = workload_alias.c, workload.c
    old = connection.execute(select(w.team_id, w.name).where(w.id == workload_id)).one()
    connection.execute(workload_alias.delete().where(a.team_id == team_id, a.name == name))
    connection.execute(
        workload_alias.insert().values(team_id=old.team_id, name=old.name, workload_id=workload_id)
    )
    connection.execute(
        workload.update().where(w.id == workload_id).values(team_id=team_id, name=name)
    )


def unit_corrections(
    connection: Connection, unit_ids: Collection[int]
) -> list[tuple[int, int, int, int, int]]:
    """(correction_id, unit_id, start_ms, end_ms, count), the first first; undone ones too."""
    u = unit_correction.c
    columns = (u.correction_id, u.unit_id, u.start_ms, u.end_ms, u.count)
    query = select(*columns).where(u.unit_id.in_(unit_ids)).order_by(u.correction_id)
    return [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(query)]
