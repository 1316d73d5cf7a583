"""Intervals as the bodies that go to the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from carbon.collect.source import Device
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval, ReservationInfo

#: One batch stays far below the server's largest body.
INTERVALS_PER_BATCH = 5_000


class Identity(Struct, frozen=True):
    """Who sends: the same over restarts of the agent, so that its meters stay the same."""

    source: str
    boot_id: str
    host: str
    zone: str | None = None
    zone_is_guess: bool = False


def batches(
    identity: Identity,
    intervals: Sequence[EnergyInterval],
    devices: Mapping[str, DeviceInfo],
    reservations: Sequence[ReservationInfo] = (),
) -> Iterator[EnergyBatch]:
    """The spool numbers them; reservations travel with the first, or alone."""
    for start in range(0, max(len(intervals), bool(reservations)), INTERVALS_PER_BATCH):
        part = list(intervals[start : start + INTERVALS_PER_BATCH])
        named = {interval.device for interval in part}
        yield EnergyBatch(
            source=identity.source,
            boot_id=identity.boot_id,
            seq=0,
            intervals=part,
            host=identity.host,
            zone=identity.zone,
            zone_is_guess=identity.zone_is_guess,
            devices=[devices[device] for device in sorted(named) if device in devices],
            reservations=list(reservations) if start == 0 else [],
        )


def device_infos(devices: Mapping[str, Device]) -> dict[str, DeviceInfo]:
    return {
        uuid: DeviceInfo(device=uuid, kind=device.kind.value, model=device.model)
        for uuid, device in devices.items()
    }
