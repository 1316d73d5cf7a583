"""Meters whose true energy is known at every moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from carbon.clock import Clock
from carbon.collect.source import Device, DeviceKind, ProcessUse, Sample


@dataclass
class ScriptedMeter:
    uuid: str = "GPU-1"
    kind: DeviceKind = DeviceKind.GPU
    power_mw: int = 100_000
    has_counter: bool = True
    is_modelled: bool = False
    #: Who is on the device; None where the source cannot tell.
    uses: list[ProcessUse] | None = None
    limit_mw: int | None = 700_000
    counter_uj: int = 0
    is_lost: bool = False
    #: The counter shows this and no more, whatever is drawn.
    stuck_at_uj: int | None = None

    @property
    def device(self) -> Device:
        return Device(self.uuid, self.kind, f"scripted {self.kind}", self.limit_mw)


@dataclass
class ScriptedSource:
    clock: Clock
    meters: list[ScriptedMeter]
    name: str = "scripted"
    is_gone: bool = False
    _advanced_ns: int = field(default=0)

    def __post_init__(self) -> None:
        self._advanced_ns = self.clock.monotonic_ns()

    def devices(self) -> Sequence[Device]:
        self._raise_if_gone()
        return [meter.device for meter in self.meters if not meter.is_lost]

    def sample(self) -> Sequence[Sample]:
        self.advance()
        self._raise_if_gone()
        at_ns = self.clock.monotonic_ns()
        return [self._sample(meter, at_ns) for meter in self.meters if not meter.is_lost]

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        return next(meter.uses for meter in self.meters if meter.uuid == device)

    def close(self) -> None:
        pass

    def advance(self) -> None:
        """Counters run on whether or not anybody looks."""
        now_ns = self.clock.monotonic_ns()
        for meter in self.meters:
            meter.counter_uj += meter.power_mw * (now_ns - self._advanced_ns) // 1_000_000
        self._advanced_ns = now_ns

    def _sample(self, meter: ScriptedMeter, at_ns: int) -> Sample:
        shown_uj = meter.counter_uj if meter.stuck_at_uj is None else meter.stuck_at_uj
        counter_mj = shown_uj // 1000 if meter.has_counter else None
        return Sample(
            meter.uuid, at_ns, counter_mj, meter.power_mw, power_is_modelled=meter.is_modelled
        )

    def _raise_if_gone(self) -> None:
        if self.is_gone:
            raise RuntimeError("driver unloaded")
