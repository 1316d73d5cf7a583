"""What recommendations are made of, where finding it takes long: the newest alone is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, Text, delete, insert, select

from carbon.storage.schema import Ms, metadata

kept_findings = Table(
    "kept_findings",
    metadata,
    Column("end_ms", Ms, primary_key=True),
    Column("start_ms", Ms, nullable=False),
    #: JSON of domain.recommendations.Finding, of all teams; by id alone, without a name.
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Kept:
    start_ms: int
    end_ms: int
    body: str


def newest_kept(connection: Connection, since_ms: int, end_ms: int) -> Kept | None:
    """Of a window that ended in [since, end]."""
    k = kept_findings.c
    query = (
        select(k.start_ms, k.end_ms, k.body)
        .where(k.end_ms >= since_ms, k.end_ms <= end_ms)
        .order_by(k.end_ms.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Kept(*row)


def keep(connection: Connection, kept: Kept) -> None:
    connection.execute(delete(kept_findings))
    values = {"start_ms": kept.start_ms, "end_ms": kept.end_ms, "body": kept.body}
    connection.execute(insert(kept_findings).values(**values))
