"""Who drew a device's energy over one step of about a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from carbon.collect.processes import NOTHING_USED, Usage
from carbon.collect.source import Device, DeviceKind, ProcessUse
from carbon.collect.subjects import IDLE, UNATTRIBUTED, Subject
from carbon.domain.attribution import split

Shares = dict[Subject, int]


class Scene(Struct, frozen=True):
    """Everything that is known of who was at work during the step."""

    span_ns: int
    usage: Usage = NOTHING_USED
    subjects: Mapping[int, Subject] | None = None
    #: Who is on the device; None where its source cannot tell.
    on_device: Sequence[ProcessUse] | None = None
    #: Power of the device at zero load, where known.
    idle_mw: float | None = None
    #: Who reserved the device, and so holds what it draws while idle.
    holder: Subject | None = None

    def subject(self, pid: int) -> Subject:
        return (self.subjects or {}).get(pid, UNATTRIBUTED)

    @property
    def idle_mj(self) -> float:
        return (self.idle_mw or 0.0) * self.span_ns / 1e9

    @property
    def utilisation(self) -> float:
        """Share of the device's time that was busy, 0..1."""
        if self.on_device is not None:
            return min(1.0, sum(use.activity or 0.0 for use in self.on_device))
        capacity_s = self.usage.totals.cores * self.span_ns / 1e9
        return min(1.0, self.usage.busy_s / capacity_s) if capacity_s else 0.0


def attribute(device: Device, energy_mj: int, scene: Scene) -> Shares:
    """Integer shares by subject that sum to the energy exactly.

    CPU: what the package draws at zero load is nobody's (`idle`); the rest goes by CPU time.
    DRAM: by resident memory; memory that nobody holds is `idle`. GPU: by kernel time, else by
    memory held, else equally; the idle power goes to `idle` for the time without kernels. A
    subject that reserved the device takes its `idle` part.
    """
    divide = _rule_for(device, scene)
    shares = {who: mj for who, mj in divide(energy_mj, scene).items() if mj}
    if scene.holder is not None and IDLE in shares:
        shares[scene.holder] = shares.get(scene.holder, 0) + shares.pop(IDLE)
    return shares


def _rule_for(device: Device, scene: Scene) -> Callable[[int, Scene], Shares]:
    if device.kind is DeviceKind.DRAM:
        return _by_memory_of_machine
    if scene.on_device is not None:
        return _by_use_of_device
    return _unseen if device.kind is DeviceKind.GPU else _by_cpu_time


def _unseen(energy_mj: int, scene: Scene) -> Shares:
    return {scene.holder or UNATTRIBUTED: energy_mj}


def _by_cpu_time(energy_mj: int, scene: Scene) -> Shares:
    idle_mj = min(energy_mj, round(scene.idle_mj))
    weights: dict[Subject, float] = {}
    for pid, cpu_s in scene.usage.cpu_s.items():
        _add(weights, scene.subject(pid), cpu_s)
    _add(weights, UNATTRIBUTED, max(0.0, scene.usage.busy_s - sum(weights.values())))
    return _with_idle(energy_mj, idle_mj, weights)


def _by_memory_of_machine(energy_mj: int, scene: Scene) -> Shares:
    weights: dict[Subject, float] = {}
    subjects = scene.subjects or {}
    for pid, memory_bytes in scene.usage.memory_bytes.items():
        who = subjects.get(pid, UNATTRIBUTED)
        weights[who] = weights.get(who, 0.0) + memory_bytes
    # Shared pages are counted once for each process, so the sum may exceed what is installed.
    _add(weights, IDLE, max(0.0, scene.usage.totals.memory_bytes - sum(weights.values())))
    return _with_idle(energy_mj, 0, weights)


def _by_use_of_device(energy_mj: int, scene: Scene) -> Shares:
    uses = scene.on_device or ()
    by_activity: dict[Subject, float] = {}
    by_memory: dict[Subject, float] = {}
    equally: dict[Subject, float] = {}
    for use in uses:
        who = scene.subject(use.pid)
        _add(by_activity, who, use.activity or 0.0)
        _add(by_memory, who, use.memory_bytes or 0)
        _add(equally, who, 1.0)
    if any(use.activity is not None for use in uses):
        idle_mj = min(energy_mj, round(scene.idle_mj * (1.0 - scene.utilisation)))
        return _with_idle(energy_mj, idle_mj, by_activity)
    return _with_idle(energy_mj, 0, by_memory if any(by_memory.values()) else equally)


def _with_idle(energy_mj: int, idle_mj: int, weights: Mapping[Subject, float]) -> Shares:
    """`idle_mj` to nobody and the rest by weight; all to nobody where nobody has any."""
    at_work = {who: weight for who, weight in weights.items() if weight > 0}
    if not at_work:
        return {IDLE: energy_mj}
    shares = split(energy_mj - idle_mj, at_work)
    shares[IDLE] = shares.get(IDLE, 0) + idle_mj
    return shares


def _add(weights: dict[Subject, float], who: Subject, weight: float) -> None:
    weights[who] = weights.get(who, 0.0) + weight
