"""Budgets. A row is ended and never changed: what held when can be told later."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Row,
    Select,
    Table,
    Text,
    select,
    update,
)

from carbon.domain.budget import Budget, Measure, Period
from carbon.storage.names import team, workload
from carbon.storage.schema import Id, Ms, metadata

budget = Table(
    "budget",
    metadata,
    Column("id", Id, primary_key=True),
    #: Null for the whole deployment.
    Column("team_id", ForeignKey("team.id"), nullable=True),
    Column("workload_id", ForeignKey("workload.id"), nullable=True),
    Column("measure", Text, nullable=False),
    Column("unit", Text, nullable=True),
    Column("period", Text, nullable=False),
    Column("amount", Float, nullable=False),
    Column("created_ms", Ms, nullable=False),
    #: Id of the key that set it.
    Column("created_by", Text, nullable=False),
    Column("ended_ms", Ms, nullable=True),
    Index(None, "team_id"),
)


def insert_budget(
    connection: Connection, made: Budget, team_id: int | None, workload_id: int | None
) -> int:
    """Its id; a standing one of the same subject, measure and period ends."""
    b = budget.c
    values = {
        "team_id": team_id,
        "workload_id": workload_id,
        "measure": str(made.measure),
        "unit": made.unit,
        "period": str(made.period),
    }
    same = [b[name].is_not_distinct_from(value) for name, value in values.items()]
    connection.execute(
        update(budget).where(*same, b.ended_ms.is_(None)).values(ended_ms=made.created_ms)
    )
    others = {
        "amount": made.amount,
        "created_ms": made.created_ms,
        "created_by": made.created_by,
    }
    inserted = connection.execute(budget.insert().values(**values, **others))
    key = inserted.inserted_primary_key
    assert key is not None
    return int(key[0])


def end_budget(connection: Connection, budget_id: int, now_ms: int) -> None:
    connection.execute(update(budget).where(budget.c.id == budget_id).values(ended_ms=now_ms))


def standing_budgets(connection: Connection, team_name: str | None) -> list[Budget]:
    """Those in force: of one team, or of all teams and of the whole."""
    query = _budgets().order_by(team.c.name, workload.c.name, budget.c.id)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    return [_budget(row) for row in connection.execute(query)]


def find_budget(connection: Connection, budget_id: int) -> Budget | None:
    row = connection.execute(_budgets().where(budget.c.id == budget_id)).first()
    return _budget(row) if row else None


def _budgets() -> Select[Any]:
    b = budget.c
    return (
        select(
            b.id,
            b.measure,
            b.amount,
            b.period,
            team.c.name,
            workload.c.name,
            b.unit,
            b.created_ms,
            b.created_by,
        )
        .select_from(budget.outerjoin(team).outerjoin(workload, workload.c.id == b.workload_id))
        .where(b.ended_ms.is_(None))
    )


def _budget(row: Row[*tuple[Any, ...]]) -> Budget:
    id_, measure, amount, period, *others = row
    return Budget(id_, Measure(measure), amount, Period(period), *others)
