"""What a functional unit means and, where it is not counted itself, from which it is converted.
Rows are inserted, never changed: the one recorded last holds."""

from __future__ import annotations

import msgspec
from sqlalchemy import Column, Connection, ForeignKey, Index, Table, Text, exists, select

from carbon.domain.functional_unit import UnitDefinition
from carbon.storage.energy import unit_count
from carbon.storage.names import workload_unit
from carbon.storage.schema import Id, Ms, metadata

unit_definition = Table(
    "unit_definition",
    metadata,
    Column("id", Id, primary_key=True),
    Column("unit_id", ForeignKey("workload_unit.id"), nullable=False),
    Column("body", Text, nullable=False),  # JSON of domain.functional_unit.UnitDefinition
    Column("recorded_ms", Ms, nullable=False),
    Index(None, "unit_id"),
)


def insert_definition(
    connection: Connection, unit_id: int, made: UnitDefinition, now_ms: int
) -> None:
    body = msgspec.json.encode(made).decode()
    connection.execute(
        unit_definition.insert().values(unit_id=unit_id, body=body, recorded_ms=now_ms)
    )


def definition_of(connection: Connection, unit_id: int) -> UnitDefinition | None:
    d = unit_definition.c
    query = select(d.body).where(d.unit_id == unit_id).order_by(d.id.desc()).limit(1)
    body = connection.scalar(query)
    return None if body is None else msgspec.json.decode(body, type=UnitDefinition)


def definitions_of(connection: Connection, workload_id: int) -> dict[str, UnitDefinition]:
    """Of those of the workload's units that are defined, by name."""
    d, u = unit_definition.c, workload_unit.c
    query = (
        select(u.name, d.body)
        .join_from(unit_definition, workload_unit)
        .where(u.workload_id == workload_id)
        .order_by(d.id)
    )
    return {
        name: msgspec.json.decode(body, type=UnitDefinition)
        for name, body in connection.execute(query)
    }


def converted_units(connection: Connection) -> set[int]:
    """Those that nobody may count, since they follow from another."""
    d = unit_definition.c
    rows = connection.execute(select(d.unit_id, d.body).order_by(d.id))
    last = {unit_id: msgspec.json.decode(body, type=UnitDefinition) for unit_id, body in rows}
    return {unit_id for unit_id, made in last.items() if made.conversion is not None}


def is_counted(connection: Connection, unit_id: int) -> bool:
    return bool(connection.scalar(select(exists().where(unit_count.c.unit_id == unit_id))))
