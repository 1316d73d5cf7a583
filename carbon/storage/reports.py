"""Issued reports. Rows are inserted, never changed: a restatement is a row of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Index, Row, Table, Text, select

from carbon.storage.names import team
from carbon.storage.schema import Ms, metadata

report = Table(
    "report",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("issued_ms", Ms, nullable=False),
    #: Id of the key that issued it.
    Column("actor", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("request", Text, nullable=False),  # JSON, as a restatement asks it again
    Column("statement", Text, nullable=False),  # JSON, to the byte what the hash covers
    Column("statement_hash", Text, nullable=False),
    Column("input_hash", Text, nullable=False),
    Column("restates_id", ForeignKey("report.id"), nullable=True, unique=True),
    #: JSON of a restatement: reason, greatest change, whether a notice is due and to whom.
    Column("restatement", Text, nullable=True),
    #: Before the record in its hash, hexadecimal: without it nobody can try names against the
    #: audit log. Empty of what was issued before there were salts, or erased.
    Column("salt", Text, nullable=False, server_default=""),
    Index(None, "team_id", "issued_ms"),
)


@dataclass(frozen=True, slots=True)
class StoredReport:
    id: str
    team: str
    issued_ms: int
    actor: str
    title: str
    request: str
    statement: str
    statement_hash: str
    input_hash: str
    restates: str | None
    restatement: str | None
    salt: str = ""


def insert_report(connection: Connection, team_id: int, made: StoredReport) -> None:
    connection.execute(
        report.insert().values(
            id=made.id,
            team_id=team_id,
            issued_ms=made.issued_ms,
            actor=made.actor,
            title=made.title,
            request=made.request,
            statement=made.statement,
            statement_hash=made.statement_hash,
            input_hash=made.input_hash,
            restates_id=made.restates,
            restatement=made.restatement,
            salt=made.salt,
        )
    )


def find_report(connection: Connection, id_: str) -> StoredReport | None:
    row = connection.execute(_query().where(report.c.id == id_)).one_or_none()
    return _stored(row) if row else None


def successor_of(connection: Connection, id_: str) -> StoredReport | None:
    """The report that restates this one."""
    row = connection.execute(_query().where(report.c.restates_id == id_)).one_or_none()
    return _stored(row) if row else None


def reports_of(
    connection: Connection, team_name: str | None, limit: int, before: tuple[int, str] | None = None
) -> list[StoredReport]:
    """Newest first; of one team or of all; `before` is (issued_ms, id) of the last one seen."""
    r = report.c
    query = _query().order_by(r.issued_ms.desc(), r.id.desc()).limit(limit)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    if before is not None:
        at_ms, id_ = before
        query = query.where((r.issued_ms < at_ms) | ((r.issued_ms == at_ms) & (r.id < id_)))
    return [_stored(row) for row in connection.execute(query)]


def _query() -> Any:
    return select(*report.c, team.c.name.label("team")).join(team, team.c.id == report.c.team_id)


def _stored(row: Row[Any]) -> StoredReport:
    return StoredReport(
        row.id,
        row.team,
        row.issued_ms,
        row.actor,
        row.title,
        row.request,
        row.statement,
        row.statement_hash,
        row.input_hash,
        row.restates_id,
        row.restatement,
        row.salt,
    )
