"""Capacities that jobs share."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.jobs.plan_inputs import PoolTerms
from carbon.storage.engine import reading, writing
from carbon.storage.plans import PlanRow, last_plans
from carbon.storage.pools import (
    PoolRow,
    PoolUse,
    all_pools,
    create_pool,
    find_pool,
    pools_in_use,
    set_pool_values,
)
from carbon.wire.jobs import PoolAnswer, PoolBody, PoolList, PoolPlanAnswer, PoolPreference


def set_pool(context: Context, principal: Principal, body: PoolBody) -> PoolAnswer:
    """Makes a pool, or changes what the body states of one. Pools belong to the deployment.

    Raises InvalidInput (`capacity_missing` for a new pool, `bad_tariff`).
    """
    principal.require(Scope.ALL_TEAMS)
    values = _values(body)
    with writing(context.engine) as connection:
        if body.capacity is UNSET and find_pool(connection, body.name) is None:
            raise InvalidInput("capacity_missing", f"pool {body.name!r} is new: say its capacity")
        create_pool(connection, body.name, context.clock.now_ms())
        if values:
            set_pool_values(connection, body.name, **values)
        pool = find_pool(connection, body.name)
        assert pool is not None
        plan = last_plans(connection).get(pool.id)
        return next(_answer(u, plan) for u in pools_in_use(connection) if u.pool.id == pool.id)


def _values(body: PoolBody) -> dict[str, object]:
    values: dict[str, object] = {}
    if body.capacity is not UNSET:
        values["capacity"] = body.capacity
    if (asked := body.preference) is not None:
        if len(asked.money_per_kwh) not in (0, 24):
            told = (
                "money_per_kwh names 24 prices, one an hour, or none: then those of the zone hold"
            )
            raise InvalidInput("bad_tariff", told)
        values["preference"] = msgspec.json.encode(asked).decode()
    if body.weights is not None:
        values["weights"] = msgspec.json.encode(body.weights).decode()
    return values


def terms_of(pool: PoolRow) -> PoolTerms:
    return msgspec.json.decode(pool.preference, type=PoolTerms)


def weights_of(pool: PoolRow) -> dict[str, float]:
    return msgspec.json.decode(pool.weights, type=dict[str, float])


def stated_of_pools(context: Context) -> tuple[PoolRow, ...]:
    """What is stated of each pool. Changes with its room and terms, by which waiting jobs were
    placed."""
    with reading(context.engine) as connection:
        return tuple(all_pools(connection))


def list_pools(context: Context) -> PoolList:
    with reading(context.engine) as connection:
        plans = last_plans(connection)
        used = pools_in_use(connection)
        return PoolList([_answer(use, plans.get(use.pool.id)) for use in used])


def pool_for(connection: Connection, name: str, is_named: bool, now_ms: int) -> PoolRow:
    """The pool of a new job. One that the body does not name is made on first use.

    Raises InvalidInput(`unknown_pool`) with the known names.
    """
    if not is_named:
        create_pool(connection, name, now_ms)
    pool = find_pool(connection, name)
    if pool is None:
        known = [p.name for p in all_pools(connection)]
        listed = ", ".join(known) or "none yet; POST /v1/pools makes one"
        raise InvalidInput("unknown_pool", f"no pool {name!r}; known: {listed}", known=known)
    return pool


def capacity_of(pool: PoolRow, executors: Executors) -> int:
    """Unstated, it is the default of the executor that the pool is named after."""
    if pool.capacity is not None:
        return pool.capacity
    executor = executors.get(pool.name)
    return executor.default_capacity if executor else 1


def _answer(use: PoolUse, plan: PlanRow | None) -> PoolAnswer:
    pool = use.pool
    return PoolAnswer(
        pool.name,
        pool.capacity,
        use.running,
        use.waiting,
        msgspec.json.decode(pool.preference, type=PoolPreference),
        weights_of(pool),
        PoolPlanAnswer(to_rfc3339(plan.decided_ms), plan.jobs, plan.method, plan.gap)
        if plan
        else None,
    )
