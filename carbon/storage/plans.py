"""Plans as they were made: what was known, what came out, and how near to the bound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, func, select, update
from sqlalchemy.sql.dml import ReturningInsert

from carbon.storage.jobs import placement, plan


@dataclass(frozen=True, slots=True)
class PlanRow:
    pool_id: int
    zone: str
    decided_ms: int
    jobs: int
    method: str
    #: Intensity x time of the plan, and what no plan can go below.
    cost: float | None
    bound: float | None
    inputs: bytes | None
    id: int | None = None

    @property
    def gap(self) -> float | None:
        """How far above the bound the plan is at most, as a share of it; None if unknown."""
        if self.cost is None or self.bound is None or self.bound <= 0:
            return None
        return max(self.cost - self.bound, 0.0) / self.bound


def store_plan(connection: Connection, row: PlanRow) -> int:
    """Answers its id."""
    values = {
        "pool_id": row.pool_id,
        "zone": row.zone,
        "decided_ms": row.decided_ms,
        "jobs": row.jobs,
        "method": row.method,
        "cost": row.cost,
        "bound": row.bound,
        "inputs": row.inputs,
    }
    stored: int = connection.execute(_storing(), values).scalar_one()
    return stored


@cache
def _storing() -> ReturningInsert[int]:
    """Built once: a plan comes with every submission."""
    return plan.insert().returning(plan.c.id)


def get_plan(connection: Connection, plan_id: int) -> PlanRow | None:
    row = connection.execute(select(plan).where(plan.c.id == plan_id)).first()
    if row is None:
        return None
    told = (row.method, row.cost, row.bound, row.inputs, row.id)
    return PlanRow(row.pool_id, row.zone, row.decided_ms, row.jobs, *told)


def newest_plan(connection: Connection, method: str, since_ms: int) -> int:
    """The id of the last plan made that way since then; 0 where there is none."""
    query = select(func.max(plan.c.id)).where(plan.c.decided_ms >= since_ms)
    return connection.scalar(query.where(plan.c.method == method)) or 0


def last_plans(connection: Connection) -> dict[int, PlanRow]:
    """The newest plan of each pool, without its inputs."""
    newest = select(func.max(plan.c.id)).group_by(plan.c.pool_id)
    columns = [c for c in plan.c if c.name != "inputs"]
    return {
        row.pool_id: PlanRow(
            row.pool_id,
            row.zone,
            row.decided_ms,
            row.jobs,
            row.method,
            row.cost,
            row.bound,
            None,
            row.id,
        )
        for row in connection.execute(select(*columns).where(plan.c.id.in_(newest)))
    }


def forget_inputs(connection: Connection, before_ms: int, limit: int) -> int:
    """Of plans made before that moment; answers of how many."""
    old = select(plan.c.id).where(plan.c.decided_ms < before_ms, plan.c.inputs.is_not(None))
    some = list(connection.scalars(old.limit(limit)))
    connection.execute(update(plan).where(plan.c.id.in_(some)).values(inputs=None))
    return len(some)


@dataclass(frozen=True, slots=True)
class Decision:
    """One placement that a job has had."""

    id: int
    decided_ms: int
    plan_id: int | None
    start_ms: int
    end_ms: int
    latest_start_ms: int
    zone: str
    expected_g: float | None
    start_now_g: float | None
    reason: str
    vintages: str
    segments: str | None


def decisions_of(connection: Connection, job_id: str) -> list[Decision]:
    """Oldest first."""
    p = placement.c
    query = select(
        p.id,
        p.decided_ms,
        p.plan_id,
        p.start_ms,
        p.end_ms,
        p.latest_start_ms,
        p.zone,
        p.expected_g,
        p.start_now_g,
        p.reason,
        p.vintages,
        p.segments,
    )
    found = connection.execute(query.where(p.job_id == job_id).order_by(p.id))
    return [Decision(*tuple(row)) for row in found]
