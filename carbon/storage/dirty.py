"""Marks of buckets that are behind their rows."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cache

import numpy as np
from sqlalchemy import Connection

from carbon.domain.units import BUCKET_MS
from carbon.storage.bulk import parts
from carbon.storage.engine import is_sqlite
from carbon.storage.interval_columns import Ints

#: Of one statement.
_MOST = 1_024
_DEVICE_BITS = 32


def packed(start_ms: Ints, device_ids: Ints) -> Ints:
    """Each (start, device) once, as one number, in order."""
    return np.unique((start_ms // BUCKET_MS << _DEVICE_BITS) | device_ids)


def pack(start_ms: int, device_id: int) -> int:
    return start_ms // BUCKET_MS << _DEVICE_BITS | device_id


def mark_packed(connection: Connection, buckets: Ints) -> None:
    """Marks buckets given by `packed`: in order, so that writers on several replicas never wait
    for each other in a circle."""
    start_ms = (buckets >> _DEVICE_BITS) * BUCKET_MS
    devices = buckets & ((1 << _DEVICE_BITS) - 1)
    mark = secrets.randbits(31)
    if not is_sqlite(connection):
        connection.exec_driver_sql(_ON_POSTGRESQL, (mark, start_ms.tolist(), devices.tolist()))
        return
    flat, at = np.stack((start_ms, devices), axis=1).ravel().tolist(), 0
    for count in parts(len(buckets), _MOST):
        values = flat[at : at + 2 * count]
        connection.exec_driver_sql(_marking(count), (mark, *values))
        at += 2 * count


@cache
def _marking(count: int) -> str:
    rows = ", ".join(f"(?{2 * at + 2}, ?{2 * at + 3}, ?1)" for at in range(count))
    return f"{_INTO} VALUES {rows} {_REPLACING}"


_INTO = "INSERT INTO dirty_bucket (start_ms, device_id, marks)"
_REPLACING = "ON CONFLICT (start_ms, device_id) DO UPDATE SET marks = excluded.marks"
_ON_POSTGRESQL = (
    f"{_INTO} SELECT of.start_ms, of.device_id, %s::integer "
    f"FROM unnest(%s::bigint[], %s::integer[]) AS of (start_ms, device_id) {_REPLACING}"
)


def mark_dirty(connection: Connection, buckets: Iterable[tuple[int, int]]) -> None:
    """Marks (start_ms, device_id) buckets."""
    numbers = sorted({pack(int(start_ms), int(device)) for start_ms, device in buckets})
    if numbers:
        mark_packed(connection, np.array(numbers, dtype=np.int64))
