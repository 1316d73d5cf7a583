"""POST /v1/energy and POST /v1/units."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from carbon.clock import LAST_MS

Text = Annotated[str, Meta(min_length=1, max_length=200)]
#: Until the end of the year 9998, as every moment.
Ms = Annotated[int, Meta(ge=0, le=LAST_MS)]
#: Signed 63-bit, as both databases store it.
Seq = Annotated[int, Meta(ge=0, le=1 << 53)]
EnergyMj = Annotated[int, Meta(ge=0, le=1 << 53)]
SharePpm = Annotated[int, Meta(ge=0, le=1_000_000)]


class DeviceInfo(Struct, frozen=True, omit_defaults=True):
    device: Text
    kind: Text
    model: str = ""
    #: Of an import: no single device, but what all of the kind draw on its host (of kind
    #: `server`, all that it has). Where the host's own are metered, it says nothing new.
    is_sum: bool = False


class EnergyInterval(Struct, frozen=True, gc=False, omit_defaults=True):
    """`energy_mj` of one device and subject over [start_ms, end_ms), IT energy without PUE."""

    device: Text
    start_ms: Ms
    end_ms: Ms
    energy_mj: EnergyMj
    method: Text
    workload: str | None = None
    run: str | None = None
    #: What was seen drawing, where it is no run: `slurm:123`, `user:ana`, `idle`.
    subject: str | None = None


class ReservationInfo(Struct, frozen=True, omit_defaults=True):
    """Who held which share of a device over [start_ms, end_ms)."""

    device: Text
    start_ms: Ms
    end_ms: Ms
    share_ppm: SharePpm
    workload: str | None = None
    run: str | None = None


class EnergyBatch(Struct, frozen=True, omit_defaults=True):
    """One sending of one source. (source, boot_id, seq) names it; sending it twice is safe."""

    source: Text
    boot_id: Text
    seq: Seq
    intervals: list[EnergyInterval]
    sent_ms: Ms | None = None
    #: Batches that still wait at the sender, this one not counted.
    spooled: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None
    host: str | None = None
    zone: str | None = None
    #: The zone was guessed, as from the system's time zone: weaker than what people stated.
    zone_is_guess: bool = False
    #: Another tool's readings: its meters rank behind an agent's, whatever the key could claim.
    is_import: bool = False
    devices: list[DeviceInfo] = []
    reservations: list[ReservationInfo] = []


class Rejection(Struct, frozen=True):
    index: int
    code: str
    detail: str


class IngestAnswer(Struct, frozen=True, omit_defaults=False):
    """202 of every bulk call. Counts speak of what was sent, not of stored pieces."""

    accepted: int
    duplicate: int
    conflict: int
    rejected: list[Rejection]
    #: Names first seen here and created: to be confirmed by a person.
    created_devices: list[str] | UnsetType = UNSET
    created_workloads: list[str] | UnsetType = UNSET


class UnitCount(Struct, frozen=True, gc=False, omit_defaults=True):
    """`count` units of a workload's output over [start_ms, end_ms)."""

    workload: Text
    unit: Text
    source: Text
    start_ms: Ms
    end_ms: Ms
    count: Annotated[int, Meta(ge=0, le=1 << 53)]
    #: Sources of one family add up, as the replicas of one server do; else one source counts.
    family: str | None = None


class UnitBatch(Struct, frozen=True):
    units: list[UnitCount]
