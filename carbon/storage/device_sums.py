"""What each device drew over a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from sqlalchemy import BigInteger, Connection, cast, func, select

from carbon.storage.settled import Piece


def energy_by_device(
    connection: Connection, pieces: Sequence[Piece], workload_ids: Collection[int] | None
) -> Counter[int]:
    """mJ of each device; of some workloads, or with None of all and of nobody."""
    found: Counter[int] = Counter()
    for table, start_ms, end_ms in pieces:
        t = table.c
        query = (
            select(t.device_id, cast(func.sum(t.energy_mj), BigInteger))
            .where(t.start_ms >= start_ms, t.start_ms < end_ms)
            .group_by(t.device_id)
        )
        if workload_ids is not None:
            query = query.where(t.workload_id.in_(workload_ids))
        for device_id, energy_mj in connection.execute(query):
            found[device_id] += energy_mj
    return found
