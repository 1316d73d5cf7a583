"""A host that was metered as a whole beside its own devices: these count, the whole is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from sqlalchemy import Connection

from carbon.domain.units import BUCKET_MS, QUARTER_MS, floor_to
from carbon.services.context import Context
from carbon.services.rollup.raw_readings import readings_of
from carbon.storage.columns import Ints
from carbon.storage.dirty import mark_dirty
from carbon.storage.imports import TroubleRow
from carbon.storage.metered import has_wholes, wholes_set_aside, wholes_to_look_at
from carbon.storage.names import meters_of
from carbon.storage.pairs import Pair

_DETAIL = (
    "the host was read as a whole and by its devices: these count, and the whole is in no total"
)


def wholes_aside(
    connection: Connection, start_ms: Ints, devices: Ints
) -> dict[int, dict[int, str]]:
    """Of some buckets, by quarter-hour, the devices that are whole hosts and do not count in it."""
    named = np.unique(devices).tolist() if has_wholes(connection) else []
    quarters = np.unique(start_ms // QUARTER_MS * QUARTER_MS).tolist() if named else []
    aside = {at_ms: wholes_set_aside(connection, named, at_ms) for at_ms in quarters}
    return {at_ms: wholes for at_ms, wholes in aside.items() if wholes}


def sums_set_aside(
    context: Context,
    connection: Connection,
    buckets: Iterable[Pair],
    aside: Mapping[int, Mapping[int, str]],
) -> dict[Pair, TroubleRow]:
    """What data quality is told of the buckets of whole hosts that have readings and do not
    count."""
    told = {}
    for start_ms, device in buckets if aside else ():
        name = aside.get(floor_to(start_ms, QUARTER_MS), {}).get(device)
        if name is None:
            continue
        end_ms = start_ms + BUCKET_MS
        meters = [ref.meter for ref in meters_of(connection, [device]).get(device, ())]
        if readings_of(context, connection, start_ms, end_ms, meters):
            where = (name, _DETAIL, start_ms, end_ms, 1)
            told[start_ms, device] = TroubleRow("ledger", "host_sum_set_aside", *where)
    return told


def mark_wholes(connection: Connection, buckets: Collection[Pair]) -> None:
    """To be called with what SETs devices' buckets: the whole hosts that count by them, or no
    longer do, are rolled up anew."""
    if not buckets or not has_wholes(connection):
        return
    devices: dict[int, set[int]] = {}
    for start_ms, device in buckets:
        devices.setdefault(floor_to(start_ms, QUARTER_MS), set()).add(device)
    for quarter_ms, some in devices.items():
        wholes = wholes_to_look_at(connection, some, quarter_ms)
        starts = range(quarter_ms, quarter_ms + QUARTER_MS, BUCKET_MS)
        mark_dirty(connection, [(at, whole) for whole in wholes for at in starts])
