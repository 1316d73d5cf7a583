"""What belongs to a workload and no meter of ours sees: network, storage, others' APIs."""

from __future__ import annotations

from sqlalchemy import Column, Connection, ForeignKey, Index, Table, Text, select

from carbon.storage.schema import Id, Ms, metadata

workload_component = Table(
    "workload_component",
    metadata,
    Column("id", Id, primary_key=True),
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON of wire.components.ComponentBody
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "workload_id", "name"),
)


def insert_component(
    connection: Connection, workload_id: int, name: str, body: str, now_ms: int
) -> None:
    connection.execute(
        workload_component.insert().values(
            workload_id=workload_id, name=name, body=body, recorded_ms=now_ms
        )
    )


def components_of(connection: Connection, workload_id: int) -> dict[str, str]:
    """Name to body: the one recorded last holds."""
    c = workload_component.c
    query = select(c.name, c.body).where(c.workload_id == workload_id).order_by(c.id)
    return {row[0]: row[1] for row in connection.execute(query)}
