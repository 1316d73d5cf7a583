"""Leases: who leads, and the fence that keeps a former leader from writing.

Times are the callers' wall clocks, which processes sharing a database must keep in step to
within a part of the lease; two leaders at once are harmless because of the fence. A lease that
ends later than any clock in step could have written was left by one since set back, and holds
nobody up: else a leader that died then would lead, dead, for as long as the clock was ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from carbon.errors import CarbonError
from carbon.storage.keys import lease
from carbon.storage.upsert import insert_new

#: Of the one process that schedules.
SCHEDULER: Final = "scheduler"
#: Of the one process that moves raw rows to the cold tier.
RETENTION: Final = "retention"
#: Of the one process that keeps the roll-ups in step.
UPKEEP: Final = "upkeep"
#: Of the one process that sends notices.
NOTICES: Final = "notices"
#: No clock that is in step is so far ahead of another.
_MOST_AHEAD_MS: Final = 30_000


class LeaseLost(CarbonError):
    """Another process leads now; what was about to be written is not."""


@dataclass(frozen=True, slots=True)
class Lease:
    name: str
    holder: str
    epoch: int
    expires_ms: int


def held(connection: Connection, name: str) -> Lease | None:
    """The lease as it was last taken, run out or not."""
    c = lease.c
    query = select(c.name, c.holder, c.epoch, c.expires_ms).where(c.name == name)
    row = connection.execute(query).one_or_none()
    return Lease(*tuple(row)) if row else None


def take(connection: Connection, name: str, holder: str, now_ms: int, ttl_ms: int) -> Lease | None:
    """Takes or prolongs the lease; None while somebody else holds it.

    The epoch grows whenever the lease had run out, also for the same holder: whatever it began
    before may have been taken over in between.
    """
    c = lease.c
    until_ms = now_ms + ttl_ms
    insert_new(
        connection, lease, [{"name": name, "holder": holder, "epoch": 0, "expires_ms": now_ms}]
    )
    mine = (c.name == name) & (c.holder == holder) & (c.expires_ms > now_ms)
    if not connection.execute(update(lease).where(mine).values(expires_ms=until_ms)).rowcount:
        is_over = (c.expires_ms <= now_ms) | (c.expires_ms > until_ms + _MOST_AHEAD_MS)
        free = (c.name == name) & is_over
        taken = connection.execute(
            update(lease).where(free).values(holder=holder, epoch=c.epoch + 1, expires_ms=until_ms)
        )
        if not taken.rowcount:
            return None
    epoch = connection.execute(select(c.epoch).where(c.name == name)).scalar_one()
    return Lease(name, holder, epoch, until_ms)


def give_up(connection: Connection, held: Lease) -> None:
    """Lets the next one lead at once; nothing happens where the lease is lost already."""
    c = lease.c
    connection.execute(
        update(lease)
        .where(c.name == held.name, c.holder == held.holder, c.epoch == held.epoch)
        .values(expires_ms=0)
    )


def check_lease(connection: Connection, held: Lease) -> None:
    """The fence: to be called first in every transaction in which a leader writes.

    Holds back a successor until the transaction ends. Raises LeaseLost(`lease_lost`) where the
    epoch is another's.
    """
    c = lease.c
    query = select(c.epoch).where(c.name == held.name, c.holder == held.holder)
    if connection.scalar(query.with_for_update(read=True)) != held.epoch:
        raise LeaseLost("lease_lost", f"{held.holder} no longer leads {held.name}")
