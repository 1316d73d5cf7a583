"""All meters of the machine as one: which source reads which device, and each one's odometer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, field

from carbon.collect.faults import Fault
from carbon.collect.odometer import Closed, Odometer
from carbon.collect.source import Device, DeviceKind, ProcessUse, Source

log = logging.getLogger(__name__)

T = TypeVar("T")

_FAULTS_KEPT = 50


class _Metered(Struct):
    source: Source
    odometer: Odometer


class Sampler(Struct):
    """Sources in order of trust: each kind of device is read by the first that has it."""

    sources: Sequence[Source]
    make_odometer: Callable[[Device], Odometer] = Odometer
    faults: deque[Fault] = field(default_factory=lambda: deque(maxlen=_FAULTS_KEPT))
    #: Hardware counters at the last look, mJ by device.
    counters: dict[str, int] = field(default_factory=dict)
    #: When each device was looked at last, monotonic ns.
    seen_ns: dict[str, int] = field(default_factory=dict)
    #: A source samples a device that it did not list at the last refresh.
    sees_unlisted: bool = False
    #: Devices of a kind that a more trusted source reads.
    _left_out: set[str] = field(default_factory=set)
    _metered: dict[str, _Metered] = field(default_factory=dict)
    #: What each source that fails as a whole says of it.
    failing: dict[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> Mapping[str, Device]:
        return {uuid: metered.odometer.device for uuid, metered in list(self._metered.items())}

    @property
    def kinds(self) -> set[DeviceKind]:
        return {device.kind for device in self.devices.values()}

    def refresh(self) -> None:
        """Looks for devices that came; those that went keep their odometer, should they return."""
        self.sees_unlisted = False
        taken: dict[DeviceKind, Source] = {}
        for source in self.sources:
            for device in self._devices_of(source):
                if taken.setdefault(device.kind, source) is not source:
                    self._left_out.add(device.uuid)
                    continue
                known = self._metered.get(device.uuid)
                if known is None:
                    self._metered[device.uuid] = _Metered(source, self.make_odometer(device))
                    log.info("reads %s %s (%s)", device.kind, device.uuid, device.model)
                else:
                    known.source = source

    def look(self) -> None:
        """All looks since the last one and one of now, of every device, into its odometer."""
        for source in self.sources:
            for sample in self._guarded(source, source.sample):
                metered = self._metered.get(sample.device)
                if metered is None or metered.source is not source:
                    self.sees_unlisted |= metered is None and sample.device not in self._left_out
                    continue
                self.seen_ns[sample.device] = sample.at_ns
                if sample.counter_mj is not None:
                    self.counters[sample.device] = sample.counter_mj
                for fault in metered.odometer.observe(sample):
                    self.note(fault)

    def note(self, fault: Fault) -> None:
        self.faults.append(fault)
        log.warning("%s of %s: %s", fault.kind, fault.device, fault.detail)

    def close(self, at_ns: int) -> Iterator[tuple[Device, Closed]]:
        """The energy of every device since the last close; several pieces where there was an
        outage."""
        for metered in self._metered.values():
            while (closed := metered.odometer.close(at_ns)) is not None:
                yield metered.odometer.device, closed

    def closed_counters(self) -> dict[str, int]:
        """Hardware counters as of the last close, mJ by device: less what is not closed yet, as
        looks that come late show energy from beyond the end of a period."""
        return {
            uuid: counter_mj - self._metered[uuid].odometer.unclosed_mj
            for uuid, counter_mj in self.counters.items()
        }

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        source = self._metered[device].source
        try:
            return source.processes(device)
        except Exception as error:
            self._report(source, error)
            return None

    def close_sources(self) -> None:
        for source in self.sources:
            source.close()

    def _devices_of(self, source: Source) -> Sequence[Device]:
        return self._guarded(source, source.devices)

    def _guarded(self, source: Source, ask: Callable[[], Sequence[T]]) -> Sequence[T]:
        """A family that is gone leaves the others alone; it is said once, and once when back."""
        try:
            answer = ask()
        except Exception as error:
            self._report(source, error)
            return ()
        if self.failing.pop(source.name, None) is not None:
            log.info("source %s is back", source.name)
        return answer

    def _report(self, source: Source, error: Exception) -> None:
        if source.name not in self.failing:
            log.warning("source %s fails: %s", source.name, error)
        self.failing[source.name] = str(error)
