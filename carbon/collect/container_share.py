"""A container's share of what its host's CPU and memory draw.

The meters and the model speak of the whole host. Of its CPUs a container has the part of the busy
time that was its own, of its memory the part that it holds; what the host draws while idle goes by
the same parts. Each container's share is a device of its own, so that those of one host, and the
host's own agent, are never taken for meters of one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from carbon.collect.container import Container
from carbon.collect.cpu_times import CpuTimes, read_cpu_times
from carbon.collect.machine import cpu_name, cpu_text, dram_text, memory_bytes, named_uuid
from carbon.collect.source import Device, DeviceKind, ProcessUse, Sample, Source


class ContainerShare:
    """A Source before a Source of CPU and memory."""

    def __init__(
        self,
        source: Source,
        container: Container,
        cpu_times: Callable[[], CpuTimes] = read_cpu_times,
        host_memory_bytes: int | None = None,
    ) -> None:
        self.name = source.name
        self._source, self._container, self._cpu_times = source, container, cpu_times
        self._host_memory_bytes = host_memory_bytes or memory_bytes()
        self._kinds: dict[str, DeviceKind] = {}
        self._counted_mj: dict[str, int] = {}
        #: The share's own counter, in mJ with the part below one.
        self._risen_mj: dict[str, float] = {}
        self._cpu = (container.cpu_s(), cpu_times().busy_s)
        self._cpu_share = 0.0

    def devices(self) -> Sequence[Device]:
        devices = self._source.devices()
        self._kinds = {device.uuid: device.kind for device in devices}
        return [self._own(device, devices) for device in devices]

    def sample(self) -> Sequence[Sample]:
        with suppress(OSError, ValueError):  # the shares of the last look go on
            self._look_at_cpu()
        return [self._part(sample) for sample in self._source.sample()]

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        return None

    def close(self) -> None:
        self._source.close()

    def _own(self, device: Device, devices: Sequence[Device]) -> Device:
        """Without a limit of power: from that the idle part of a whole device would be taken."""
        parts = sum(other.kind is device.kind for other in devices)
        model = device.model
        if device.kind is DeviceKind.CPU and (cores := self._container.cores):
            model = cpu_text(cpu_name(), max(1, round(cores)), parts)
        elif device.kind is DeviceKind.DRAM and (limit := self._container.memory_limit_bytes):
            model = dram_text(min(limit, self._host_memory_bytes), parts)
        return Device(self._uuid(device.uuid), device.kind, model)

    def _uuid(self, uuid: str) -> str:
        return named_uuid(uuid.partition("-")[0], f"{uuid}/{self._container.name}")

    def _look_at_cpu(self) -> None:
        now = (self._container.cpu_s(), self._cpu_times().busy_s)
        own_s, host_s = (after - before for after, before in zip(now, self._cpu, strict=True))
        if host_s > 0:
            self._cpu_share = min(1.0, max(0.0, own_s / host_s))
            self._cpu = now

    def _share(self, uuid: str) -> float:
        if self._kinds.get(uuid) is not DeviceKind.DRAM:
            return self._cpu_share
        try:
            return min(1.0, self._container.memory_bytes() / self._host_memory_bytes)
        except (OSError, ValueError):
            return 0.0

    def _part(self, sample: Sample) -> Sample:
        share, power_mw = self._share(sample.device), sample.power_mw
        return replace(
            sample,
            device=self._uuid(sample.device),
            counter_mj=self._counter_mj(sample, share),
            power_mw=None if power_mw is None else round(power_mw * share),
        )

    def _counter_mj(self, sample: Sample, share: float) -> int | None:
        """What the host's counter rose by, as far as it is ours; one that fell adds nothing."""
        if sample.counter_mj is None:
            return None
        before_mj = self._counted_mj.get(sample.device, sample.counter_mj)
        self._counted_mj[sample.device] = sample.counter_mj
        risen_mj = self._risen_mj.get(sample.device, 0.0)
        risen_mj += max(0, sample.counter_mj - before_mj) * share
        self._risen_mj[sample.device] = risen_mj
        return int(risen_mj)
