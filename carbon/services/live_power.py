"""What each device draws now, and on whose behalf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterView, Reading, clip, counting_meter, settle
from carbon.domain.units import BUCKET_MS, floor_to, watts
from carbon.storage.attributed import claims_of
from carbon.storage.energy import readings_between
from carbon.storage.names import MeterRef, meters_of
from carbon.storage.recent import KnownDevice, known_devices

#: "Now" is the mean of the last minute that a device has readings of.
POWER_WINDOW_MS: Final = 60_000
#: A device unheard for longer has no power now: missing is missing, never 0.
SILENT_AFTER_MS: Final = 120_000


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
    #: End of the last reading; null where none came within 5 minutes.
    seen_ms: int | None


class LivePower(Struct, frozen=True):
    #: Null where no device was heard of lately.
    power_w: float | None
    measured_w: float
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
    devices = known_devices(connection)
    mark_ms = floor_to(now_ms, BUCKET_MS)
    readings = readings_between(connection, mark_ms - BUCKET_MS, mark_ms + 2 * BUCKET_MS)
    claims = claims_of(connection, {r.subject for r in readings})
    meters = meters_of(connection, [known.device for known in devices])
    by_meter: dict[int, list[Reading]] = {}
    for reading in readings:
        by_meter.setdefault(reading.meter, []).append(reading)
    shown = []
    for known in devices:
        views = _views(meters.get(known.device, ()), by_meter)
        power = _power(known, views, claims, now_ms, own_workloads)
        if own_workloads is None or power.measured_w or power.power_w:
            shown.append(power)
    return _summed(shown)


def _views(refs: Sequence[MeterRef], by_meter: dict[int, list[Reading]]) -> list[MeterView]:
    """Each meter's readings of the last minute known of the device."""
    last_ms = max((r.end_ms for ref in refs for r in by_meter.get(ref.meter, ())), default=0)
    views = []
    for ref in refs:
        settled = settle(by_meter.get(ref.meter, ()))
        parts = [part for r in settled if (part := clip(r, last_ms - POWER_WINDOW_MS, last_ms))]
        if parts:
            views.append(MeterView(ref.meter, ref.kind, tuple(parts)))
    return views


def _power(
    known: KnownDevice,
    views: Sequence[MeterView],
    claims: dict[int, list[Claim]],
    now_ms: int,
    own_workloads: frozenset[int] | None,
) -> DevicePower:
    named = (known.uuid, known.kind, known.model, known.host)
    seen_ms = max((r.end_ms for view in views for r in view.readings), default=None)
    if seen_ms is None or seen_ms < now_ms - SILENT_AFTER_MS:
        return DevicePower(*named, None, 0.0, None, seen_ms)
    view = counting_meter(views, POWER_WINDOW_MS)
    own = [
        r
        for r in view.readings
        if own_workloads is None
        or workload_of(claims.get(r.subject, ()), r.start_ms) in own_workloads
    ]
    return DevicePower(
        *named,
        watts(sum(r.energy_mj for r in own), view.covered_ms),
        watts(sum(r.energy_mj for r in own if r.method.is_measured), view.covered_ms),
        view.main_method.label,
        seen_ms,
    )


def _summed(devices: list[DevicePower]) -> LivePower:
    heard = [d.power_w for d in devices if d.power_w is not None]
    return LivePower(
        sum(heard) if heard else None,
        sum(d.measured_w for d in devices),
        len(heard),
        len(devices) - len(heard),
        sorted(devices, key=lambda d: (d.power_w is None, -(d.power_w or 0.0))),
    )
