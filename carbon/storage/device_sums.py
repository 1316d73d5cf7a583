"""What each device drew over a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import BigInteger, Connection, cast, func, select

from carbon.storage.columns import summed
from carbon.storage.period_rows import BY_DEVICE, parted, period_rows
from carbon.storage.settled import Piece

_OWN = [BY_DEVICE.index(name) for name in ("device_id", "energy_mj")]
_NOTHING = np.empty((len(_OWN), 0), dtype=np.int64)


def energy_by_device(
    connection: Connection,
    pieces: Sequence[Piece],
    timezone: ZoneInfo,
    workload_ids: Collection[int] | None,
) -> Counter[int]:
    """mJ of each device; of some workloads, or with None of all and of nobody."""
    found: Counter[int] = Counter()
    if workload_ids is None:
        kept, pieces = parted(pieces)
        of_periods = [rows[_OWN] for _, rows in period_rows(connection, kept, timezone)]
        device, energy_mj = np.concatenate([_NOTHING, *of_periods], axis=1)
        found.update(dict(summed([device], [energy_mj]).tolist()))
    for table, start_ms, end_ms in pieces:
        t = table.c
        query = (
            select(t.device_id, cast(func.sum(t.energy_mj), BigInteger))
            .where(t.start_ms >= start_ms, t.start_ms < end_ms)
            .group_by(t.device_id)
        )
        if workload_ids is not None:
            query = query.where(t.workload_id.in_(workload_ids))
        for device_id, own_mj in connection.execute(query):
            found[device_id] += own_mj
    return found
