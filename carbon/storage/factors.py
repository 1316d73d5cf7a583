"""Factors that were recorded here, beside those that ship. Rows are inserted, never changed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Float, Index, RowMapping, Table, Text, select

from carbon.domain.factor import Distribution, Factor, FactorKind, LifeCycleStage, Tier, Unit
from carbon.domain.factor_book import FactorBook
from carbon.storage.schema import Ms, metadata

factor = Table(
    "factor",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("unit", Text, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("licence", Text, nullable=False),
    Column("vintage", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("life_cycle_stages", Text, nullable=False),  # JSON list
    Column("flags", Text, nullable=False),  # JSON list
    Column("note", Text, nullable=False),
    Column("distribution", Text, nullable=False),
    Column("source_hash", Text, nullable=False),
    Column("valid_from_ms", Ms, nullable=True),
    Column("valid_to_ms", Ms, nullable=True),
    Column("recorded_ms", Ms, nullable=False),
    #: May name one that ships, hence no foreign key.
    Column("supersedes", Text, nullable=True),
    Index(None, "supersedes"),
)

_LISTS = ("life_cycle_stages", "flags")


def insert_factor(connection: Connection, made: Factor) -> None:
    connection.execute(factor.insert().values(factor_row(made)))


def factor_book(connection: Connection) -> FactorBook:
    """All recorded factors; some hundred at most."""
    query = select(factor).order_by(factor.c.recorded_ms, factor.c.id)
    return FactorBook(tuple(_factor(row) for row in connection.execute(query).mappings()))


def factor_rows(connection: Connection) -> list[dict[str, Any]]:
    """As they stand in the table, whether or not they can be read as factors."""
    return [dict(row) for row in connection.execute(select(factor)).mappings()]


def factor_row(made: Factor) -> dict[str, Any]:
    row = {field.name: getattr(made, field.name) for field in fields(made)}
    return {
        name: msgspec.json.encode(value).decode() if name in _LISTS else value
        for name, value in row.items()
    }


def _factor(row: RowMapping) -> Factor:
    stages = msgspec.json.decode(row["life_cycle_stages"], type=list[LifeCycleStage])
    flags = msgspec.json.decode(row["flags"], type=list[str])
    return Factor(
        **{
            **row,
            "kind": FactorKind(row["kind"]),
            "unit": Unit(row["unit"]),
            "tier": Tier(row["tier"]),
            "distribution": Distribution(row["distribution"]),
            "life_cycle_stages": tuple(stages),
            "flags": tuple(flags),
        }
    )
