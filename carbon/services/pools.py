"""Capacities that jobs share."""

from __future__ import annotations

from sqlalchemy import Connection

from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import InvalidInput
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.storage.engine import reading, writing
from carbon.storage.pools import (
    PoolRow,
    all_pools,
    create_pool,
    find_pool,
    set_capacity,
)
from carbon.wire.jobs import PoolAnswer, PoolBody, PoolList


def set_pool(context: Context, principal: Principal, body: PoolBody) -> PoolAnswer:
    """Makes a pool, or gives one another capacity. Pools belong to the deployment."""
    principal.require(Scope.ALL_TEAMS)
    with writing(context.engine) as connection:
        create_pool(connection, body.name, context.clock.now_ms())
        set_capacity(connection, body.name, body.capacity)
        pool = find_pool(connection, body.name)
        assert pool is not None
        return _answer(pool)


def list_pools(context: Context) -> PoolList:
    with reading(context.engine) as connection:
        return PoolList([_answer(pool) for pool in all_pools(connection)])


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


def _answer(pool: PoolRow) -> PoolAnswer:
    return PoolAnswer(pool.name, pool.capacity, pool.running, pool.waiting)
