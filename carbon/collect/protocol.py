"""What is said over the agent's socket: one JSON object a line, one answer a line.

A request carries `op`; an answer carries `error` where the request could not be met.
"""

from __future__ import annotations

import msgspec

from carbon.wire.energy import EnergyInterval, Text, UnitCount


class RunStart(msgspec.Struct, frozen=True, tag_field="op", tag="run_start"):
    """Closes the period now; `pid` and its descendants draw for this run from here on.

    Registering a run that is known already changes nothing: it keeps its start.
    """

    run: Text
    workload: str | None = None
    pid: int = 0
    #: Hold all devices of the host: what they draw while idle is the run's.
    reserve: bool = False


class RunEnd(msgspec.Struct, frozen=True, tag_field="op", tag="run_end"):
    run: Text


class Units(msgspec.Struct, frozen=True, tag_field="op", tag="units"):
    """Unit counts, delivered with the energy."""

    units: list[UnitCount]


class Flush(msgspec.Struct, frozen=True, tag_field="op", tag="flush"):
    """Waits until all that is spooled now has been delivered, or `timeout_s` has passed."""

    timeout_s: float = 2.0


class StatusRequest(msgspec.Struct, frozen=True, tag_field="op", tag="status"):
    pass


Request = RunStart | RunEnd | Units | Flush | StatusRequest


class RunStarted(msgspec.Struct, frozen=True):
    at_ms: int
    #: False where another run holds the devices already.
    reserved: bool = False


class MeterUsed(msgspec.Struct, frozen=True):
    """How a device was read during a run; several of them where the method changed."""

    device: str
    kind: str
    model: str
    method: str
    #: All that the device drew during the run, whoever drew it; null where an agent that knew
    #: has gone meanwhile. The same in each entry of a device.
    device_energy_mj: int | None = None


class RunEnded(msgspec.Struct, frozen=True):
    """All that was attributed to a run. Neighbouring intervals within five minutes are joined:
    these are for showing, the agent has delivered its own."""

    at_ms: int
    start_ms: int
    intervals: list[EnergyInterval]
    sources: list[MeterUsed]


class Accepted(msgspec.Struct, frozen=True):
    accepted: int


class Flushed(msgspec.Struct, frozen=True):
    #: Batches that still wait.
    pending: int


class DevicePower(msgspec.Struct, frozen=True):
    """Mean power over the last second."""

    device: str
    kind: str
    model: str
    method: str
    watts: float
    subjects: dict[str, float]
    #: Workloads of those subjects that have one.
    workloads: dict[str, str] = {}
    #: What it may draw at most; null where that is not known.
    limit_watts: float | None = None


class RefusedBatch(msgspec.Struct, frozen=True):
    seq: int
    status: int
    answer: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    role: str
    source: str
    boot_id: str
    host: str
    zone: str | None
    zone_is_guess: bool
    at_ms: int
    devices: list[DevicePower]
    runs: list[str]
    sources: list[str]
    faults: list[str]
    spool_depth: int
    last_seq: int
    refused: list[RefusedBatch]
    last_upload_ms: int | None
    last_upload_error: str | None
    server: str | None


class Failure(msgspec.Struct, frozen=True):
    error: str
    detail: str


_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def decode_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError with what is wrong."""
    return _request_decoder.decode(line)
