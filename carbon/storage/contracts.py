"""Contracts and certificates of the market: read by the inventory, and never by SCI."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Table,
    Text,
    select,
    true,
)

from carbon.domain.inventory import Contract, ContractKind
from carbon.storage.schema import Amount, Ms, metadata

energy_contract = Table(
    "energy_contract",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("energy_mj", Amount, nullable=False),
    Column("g_per_kwh", Float, nullable=False),
    Column("is_carbon_free", Boolean, nullable=False),
    #: Who issued it, and its number there.
    Column("source", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    #: Id of the key that recorded it.
    Column("actor", Text, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
)


def insert_contract(connection: Connection, made: Contract, actor: str, now_ms: int) -> None:
    connection.execute(
        energy_contract.insert().values(
            id=made.id,
            kind=str(made.kind),
            zone=made.zone,
            start_ms=made.start_ms,
            end_ms=made.end_ms,
            energy_mj=made.energy_mj,
            g_per_kwh=made.g_per_kwh,
            is_carbon_free=made.is_carbon_free,
            source=made.source,
            evidence=made.evidence,
            actor=actor,
            recorded_ms=now_ms,
        )
    )


def contracts_between(connection: Connection, start_ms: int, end_ms: int) -> list[Contract]:
    """Those whose validity reaches into [start, end), in order of id."""
    c = energy_contract.c
    return _read(connection, (c.start_ms < end_ms) & (c.end_ms > start_ms))


def all_contracts(connection: Connection) -> list[Contract]:
    return _read(connection, true())


def _read(connection: Connection, where: ColumnElement[bool]) -> list[Contract]:
    query = select(energy_contract).where(where).order_by(energy_contract.c.id)
    return [
        Contract(
            row.id,
            ContractKind(row.kind),
            row.zone,
            row.start_ms,
            row.end_ms,
            row.energy_mj,
            row.g_per_kwh,
            row.is_carbon_free,
            row.source,
            row.evidence,
        )
        for row in connection.execute(query)
    ]


def find_contract(connection: Connection, id_: str) -> bool:
    c = energy_contract.c
    return connection.scalar(select(c.id).where(c.id == id_)) is not None
