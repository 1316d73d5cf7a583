"""What each device draws now, and on whose behalf."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.energy import Method
from carbon.services.fleet.power_columns import (
    POWER_WINDOW_MS,
    SILENT_AFTER_MS,
    Draw,
    Owners,
    Roster,
    draw_of,
)
from carbon.storage.attributed import claims_of
from carbon.storage.energy import last_ends
from carbon.storage.interval_columns import SUBJECT, columns_between
from carbon.storage.names import meters_of
from carbon.storage.recent import known_devices

#: How far back readings can matter to a device that is not silent.
WATCHED_MS: Final = SILENT_AFTER_MS + POWER_WINDOW_MS
#: A silent device is looked for as far back as this.
_LOOKED_FOR_MS: Final = 15 * 60_000
#: Clocks ahead of ours by less than this are believed.
AHEAD_MS: Final = 5 * 60_000


class DevicePower(Struct, frozen=True):
    device: str
    kind: str
    model: str
    host: str
    #: Null where the device is silent.
    power_w: float | None
    #: Of that: backed by a sensor.
    measured_w: float
    #: The method of most of the time, as `integrated`.
    method: str | None
    #: End of the last reading; null where none came within a quarter of an hour.
    seen_ms: int | None


class LivePower(Struct, frozen=True):
    #: Null where no device was heard of lately.
    power_w: float | None
    measured_w: float
    #: Null where nothing is drawn.
    measured_share: float | None
    heard: int
    #: Devices known and not heard for 2 minutes.
    silent: int
    devices: list[DevicePower]


def live_power(
    connection: Connection, now_ms: int, own_workloads: frozenset[int] | None
) -> LivePower:
    """Power of the devices, the strongest first, silent ones last.

    With `own_workloads` only what these draw, and only the devices on which they do.
    """
    roster = read_roster(connection)
    columns = columns_between(connection, now_ms - WATCHED_MS, now_ms + AHEAD_MS, None)
    owners = None
    if own_workloads is not None:
        subjects = set(np.unique(columns[SUBJECT]).tolist())
        owners = Owners(claims_of(connection, subjects), own_workloads)
    draw = draw_of(roster, columns, now_ms, owners)
    if owners is None:
        _look_for_silent(connection, roster, draw, now_ms)
    return power_shown(roster, draw, is_whole=owners is None)


def read_roster(connection: Connection) -> Roster:
    devices = known_devices(connection)
    return Roster(devices, meters_of(connection, None))


def _look_for_silent(connection: Connection, roster: Roster, draw: Draw, now_ms: int) -> None:
    """When devices that are silent were last heard."""
    silent = np.flatnonzero(draw.seen_ms == 0).tolist()
    place_of = {
        ref.meter: place
        for place in silent
        for ref in roster.meters.get(roster.devices[place].device, ())
    }
    ends = last_ends(connection, now_ms - _LOOKED_FOR_MS, now_ms - WATCHED_MS, place_of)
    for meter, end_ms in ends.items():
        draw.seen_ms[place_of[meter]] = max(end_ms, draw.seen_ms[place_of[meter]])


def power_shown(roster: Roster, draw: Draw, is_whole: bool) -> LivePower:
    """As people read it; of a part of the fleet only the devices on which it draws."""
    shown = range(len(roster)) if is_whole else np.flatnonzero(draw.power_w > 0).tolist()
    return _summed([_device(roster, draw, place) for place in shown])


def _device(roster: Roster, draw: Draw, place: int) -> DevicePower:
    known = roster.devices[place]
    is_heard = bool(draw.is_heard[place])
    return DevicePower(
        known.uuid,
        known.kind,
        known.model,
        known.host,
        float(draw.power_w[place]) if is_heard else None,
        float(draw.measured_w[place]),
        Method(int(draw.method[place])).label if is_heard else None,
        int(draw.seen_ms[place]) or None,
    )


def _summed(devices: Collection[DevicePower]) -> LivePower:
    heard = [d.power_w for d in devices if d.power_w is not None]
    power_w, measured_w = sum(heard), sum(d.measured_w for d in devices)
    return LivePower(
        power_w if heard else None,
        measured_w,
        measured_w / power_w if power_w else None,
        len(heard),
        len(devices) - len(heard),
        sorted(devices, key=lambda d: (d.power_w is None, -(d.power_w or 0.0))),
    )
