"""Periods that were closed and signed. Rows are inserted, never changed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, ForeignKey, Index, Table, Text, select

from carbon.storage.names import team
from carbon.storage.schema import Ms, metadata

closed_period = Table(
    "closed_period",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("body", Text, nullable=False),  # JSON of wire.periods.ClosedPeriod
    #: Id of the key that signed.
    Column("actor", Text, nullable=False),
    Column("closed_ms", Ms, nullable=False),
    Index(None, "team_id", "start_ms"),
)


@dataclass(frozen=True, slots=True)
class StoredPeriod:
    id: str
    team: str
    start_ms: int
    end_ms: int
    body: str
    actor: str
    closed_ms: int


def insert_period(connection: Connection, team_id: int, made: StoredPeriod) -> None:
    connection.execute(
        closed_period.insert().values(
            id=made.id,
            team_id=team_id,
            start_ms=made.start_ms,
            end_ms=made.end_ms,
            body=made.body,
            actor=made.actor,
            closed_ms=made.closed_ms,
        )
    )


def periods_of(connection: Connection, team_name: str | None) -> list[StoredPeriod]:
    """Oldest first; of one team or of all."""
    p = closed_period.c
    query = (
        select(p.id, team.c.name, p.start_ms, p.end_ms, p.body, p.actor, p.closed_ms)
        .join(team, team.c.id == p.team_id)
        .order_by(p.start_ms, p.id)
    )
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    return [StoredPeriod(*row) for row in connection.execute(query)]
