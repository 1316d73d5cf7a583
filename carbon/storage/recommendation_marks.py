"""What people decided about recommendations. Rows are added; the newest of an id holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Float, ForeignKey, Index, Table, Text, select

from carbon.storage.schema import Id, Ms, metadata

recommendation_mark = Table(
    "recommendation_mark",
    metadata,
    Column("id", Id, primary_key=True),
    Column("recommendation", Text, nullable=False),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),  # open, dismissed, adopted
    Column("reason", Text, nullable=False),
    #: Of the finding when it was marked, for the follow-up.
    Column("g_per_day", Float, nullable=False),
    Column("marked_ms", Ms, nullable=False),
    #: Id of the key.
    Column("actor", Text, nullable=False),
    Index(None, "recommendation"),
)


def add_mark(connection: Connection, **values: object) -> None:
    connection.execute(recommendation_mark.insert().values(**values))


def newest_marks(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """By recommendation."""
    query = select(recommendation_mark).order_by(recommendation_mark.c.id)
    return {row["recommendation"]: dict(row) for row in connection.execute(query).mappings()}
