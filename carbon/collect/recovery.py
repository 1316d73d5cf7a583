"""After a kill or a pause of the agent: what its journal still holds, and what counters tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from carbon.collect.batches import Identity, batches
from carbon.collect.journal import Journal
from carbon.collect.sampler import Sampler
from carbon.collect.source import Device
from carbon.collect.subjects import UNATTRIBUTED, Subject
from carbon.domain.energy import Method
from carbon.wire.energy import EnergyBatch, EnergyInterval

#: A counter may run ahead of the journal by about this much.
_SLACK_MS = 2_000


def left_over(identity: Identity, left: Journal) -> Iterator[EnergyBatch]:
    """The period that was open, up to the journal's last writing, as of its own boot."""
    devices = {info.device: info for info in left.devices}
    return batches(replace(identity, boot_id=left.boot_id), left.intervals, devices)


def bridged(
    left: Journal,
    boot_id: str,
    seen_ms: Mapping[str, int],
    sampler: Sampler,
    holder: Subject | None,
) -> Sequence[EnergyInterval]:
    """One interval for each device whose counter rose meanwhile, from the journal to when the
    device was seen first: what follows begins there.

    None where the machine was booted anew, or where a counter fell or rose by more than its
    device can draw: then nothing is known of the gap.
    """
    if boot_id != left.boot_id:
        return []
    who = holder or UNATTRIBUTED
    intervals = []
    for uuid, before_mj in left.counters.items():
        device, now_mj = sampler.devices.get(uuid), sampler.counters.get(uuid)
        at_ms = seen_ms.get(uuid, 0)
        if device is None or now_mj is None or at_ms <= left.at_ms:
            continue
        rise_mj = now_mj - before_mj
        if rise_mj >= 0 and _is_possible(device, rise_mj, at_ms - left.at_ms):
            intervals.append(
                EnergyInterval(
                    device=uuid,
                    start_ms=left.at_ms,
                    end_ms=at_ms,
                    energy_mj=rise_mj,
                    method=Method.BRIDGED.label,
                    workload=who.workload,
                    run=who.run,
                    subject=who.stated,
                )
            )
    return intervals


def _is_possible(device: Device, rise_mj: int, span_ms: int) -> bool:
    limit_mw = device.power_limit_mw
    return limit_mw is None or 2_000 * rise_mj <= 3 * limit_mw * (span_ms + _SLACK_MS)
