"""Second by second: who was at work, and what each of them drew."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from carbon.collect.attribution import Scene, Shares, attribute
from carbon.collect.idle_power import IdleBook, modelled_idle_mw
from carbon.collect.odometer import Closed
from carbon.collect.processes import NOTHING_USED, Process, ProcessTable, Usage
from carbon.collect.sampler import Sampler
from carbon.collect.source import Device, DeviceKind
from carbon.collect.subjects import UNATTRIBUTED, Subject, SubjectBook
from carbon.domain.energy import Method
from carbon.domain.units import watts

#: A mean power over less than this says little of a device's idle power.
_TELLING_NS = 500_000_000


class Power(Struct, frozen=True):
    """Mean power over the last step."""

    method: Method
    watts: float
    by_subject: Mapping[str, float]
    #: Of those subjects that have one.
    workloads: Mapping[str, str]


class Attributor(Struct):
    sampler: Sampler
    table: ProcessTable
    subjects: SubjectBook = field(default_factory=SubjectBook)
    idle: IdleBook = field(default_factory=IdleBook)
    #: By device, for showing.
    powers: dict[str, Power] = field(default_factory=dict)
    _usage: Usage = NOTHING_USED
    _named: Mapping[int, Subject] = field(default_factory=dict)

    def look(self) -> None:
        """Reads the process table; the CPU time since the last look belongs to this step."""
        self._usage = self.table.look()
        self._named = self.subjects.name_all(self._usage.named)

    def process(self, pid: int) -> Process | None:
        return self._usage.named.get(pid) if pid in self._usage.memory_bytes else None

    @property
    def seen_runs(self) -> set[str]:
        """Runs that have a process."""
        alive = (self._named[pid] for pid in self._usage.memory_bytes)
        return {subject.run for subject in alive if subject.run}

    def shares(self, device: Device, closed: Closed, at_ms: int, holder: Subject | None) -> Shares:
        """By subject, in sum the energy exactly. A counter's rise over an outage is its
        reservation's holder's or nobody's: who worked meanwhile was not seen."""
        if closed.method is Method.BRIDGED:
            return {holder or UNATTRIBUTED: closed.energy_mj}
        scene = self._scene(device, closed, at_ms, holder)
        shares = attribute(device, closed.energy_mj, scene)
        self._show(device, closed, shares)
        return shares

    def _scene(self, device: Device, closed: Closed, at_ms: int, holder: Subject | None) -> Scene:
        span_ns = closed.end_ns - closed.start_ns
        on_device = None
        if device.kind in (DeviceKind.GPU, DeviceKind.MODULE):
            on_device = self.sampler.processes(device.uuid)
        scene = Scene(span_ns, self._usage, self._named, on_device, None, holder)
        idle = self.idle.of(device.uuid)
        if span_ns >= _TELLING_NS or idle.power_mw is None:
            idle.observe(at_ms, closed.energy_mj * 1e9 / span_ns, scene.utilisation)
        is_modelled = closed.method is Method.MODELLED
        idle_mw = modelled_idle_mw(device) if is_modelled else idle.power_mw
        return Scene(span_ns, self._usage, self._named, on_device, idle_mw, holder)

    def _show(self, device: Device, closed: Closed, shares: Shares) -> None:
        span_ms = max(1, (closed.end_ns - closed.start_ns) // 1_000_000)
        self.powers[device.uuid] = Power(
            closed.method,
            watts(closed.energy_mj, span_ms),
            {who.name: watts(energy_mj, span_ms) for who, energy_mj in shares.items()},
            {who.name: who.workload for who in shares if who.workload},
        )
