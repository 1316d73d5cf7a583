"""A host that was metered as a whole beside its own devices: these count, the whole is told."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from carbon.domain.units import BUCKET_MS, QUARTER_MS, floor_to
from carbon.services.context import Context
from carbon.services.raw_readings import readings_of
from carbon.storage.dirty import mark_dirty
from carbon.storage.imports import TroubleRow
from carbon.storage.metered import wholes_set_aside, wholes_to_look_at
from carbon.storage.names import meters_of

_DETAIL = (
    "the host was read as a whole and by its devices: these count, and the whole is in no total"
)


def sums_set_aside(
    context: Context, connection: Connection, devices: Collection[int], start_ms: int
) -> dict[int, TroubleRow]:
    """What data quality is told of the whole hosts among some devices that have readings in a
    bucket and do not count in it."""
    aside = wholes_set_aside(connection, devices, floor_to(start_ms, QUARTER_MS))
    end_ms = start_ms + BUCKET_MS
    told = {}
    for device, meters in meters_of(connection, list(aside)).items() if aside else ():
        ids = [ref.meter for ref in meters]
        if readings_of(context, connection, start_ms, end_ms, ids):
            where = (aside[device], _DETAIL, start_ms, end_ms, 1)
            told[device] = TroubleRow("ledger", "host_sum_set_aside", *where)
    return told


def mark_wholes(connection: Connection, devices: Collection[int], start_ms: int) -> None:
    """To be called with what SETs devices' buckets: the whole hosts that count by them, or no
    longer do, are rolled up anew."""
    quarter_ms = floor_to(start_ms, QUARTER_MS)
    wholes = wholes_to_look_at(connection, devices, quarter_ms) if devices else []
    starts = range(quarter_ms, quarter_ms + QUARTER_MS, BUCKET_MS)
    mark_dirty(connection, [(at, whole) for whole in wholes for at in starts])
