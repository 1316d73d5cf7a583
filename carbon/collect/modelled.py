"""CPU and memory power from a model, for machines whose meters cannot be read.

    CPU     idle + (rated - idle) x load,   idle = a tenth of the rated power
    memory  constant

Rated power and memory power are CodeCarbon's figures for this CPU model and memory size; the
tenth is its floor, too. CodeCarbon raises the load to the third power for a whole machine.
Here it is linear: then the energy of a period does not depend on how often one looked, since
the mean of the power is the power at the mean load.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from carbon.clock import Clock, SystemClock
from carbon.collect.cpu_model import (
    COMMAND,
    CpuFigures,
    FigureCache,
    Machine,
    child_environment,
    parse_answer,
)
from carbon.collect.cpu_times import CpuTimes, read_cpu_times
from carbon.collect.machine import cpu_text, dram_text, machine_id, part_uuid
from carbon.collect.source import Device, DeviceKind, ProcessUse, Sample

if TYPE_CHECKING:
    import subprocess

IDLE_ONE_IN: Final = 10
#: After this long the child is ended and the fallback constants are taken.
ASK_TIMEOUT_NS: Final = 30_000_000_000


class Load:
    """Share of CPU time that was busy since the last look, 0..1."""

    def __init__(self, read: Callable[[], CpuTimes] = read_cpu_times) -> None:
        self._read = read
        self._last = read()
        self._share = 0.0

    def since_last(self) -> float:
        """The last answer again where the clocks have not moved (their tick is 10 ms)."""
        now = self._read()
        total_s = now.total_s - self._last.total_s
        if total_s > 0:
            self._share = min(1.0, max(0.0, (now.busy_s - self._last.busy_s) / total_s))
            self._last = now
        return self._share


class _Asking:
    """CodeCarbon, asked in a child process while others go on."""

    def __init__(self, command: Sequence[str], clock: Clock) -> None:
        self._clock = clock
        self._deadline_ns = clock.monotonic_ns() + ASK_TIMEOUT_NS
        self._child = _spawn(command)

    @property
    def is_over(self) -> bool:
        if self._child is None or self._child.poll() is not None:
            return True
        return self._clock.monotonic_ns() >= self._deadline_ns

    def answer(self) -> CpuFigures | None:
        """Once it is over; None where the child failed or was not done in time."""
        if self._child is None:
            return None
        if self._child.poll() is None:
            self.stop()
        printed, _ = self._child.communicate()
        return parse_answer(printed) if self._child.returncode == 0 else None

    def wait(self, timeout_s: float) -> None:
        import subprocess

        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout_s)

    def stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()


def _spawn(command: Sequence[str]) -> subprocess.Popen[bytes] | None:
    import subprocess  # late: only a machine's first start asks

    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        )
    except OSError:
        return None


class ModelledSource:
    """A CPU device for each socket, a DRAM device beside each; their sum is the machine's.

    The ids are those that RAPL's counters would have. `devices` and `sample` are empty until
    `ready`: figures are in the cache at every start but a machine's first, when a child is
    asked, for about 2 s. Where it fails, the fallback constants are used and the device's
    model says so. `kinds` leaves out what a meter measures already.
    """

    name = "modelled"

    def __init__(
        self,
        cache_dir: Path,
        kinds: Collection[DeviceKind] = (DeviceKind.CPU, DeviceKind.DRAM),
        machine: Machine | None = None,
        identity: str | None = None,
        clock: Clock | None = None,
        cpu_times: Callable[[], CpuTimes] = read_cpu_times,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._kinds = kinds
        self._machine = machine or Machine.here()
        identity = identity or machine_id()
        self._clock = clock or SystemClock()
        self._cache = FigureCache(cache_dir)
        self._uuids = {
            (part, number): part_uuid(identity, f"{part}-{number}")
            for part in ("package", "dram")
            for number in self._machine.sockets
        }
        self._load = Load(cpu_times)
        self._figures = self._cache.get(self._machine)
        self._asking = _Asking(command, self._clock) if self._figures is None else None

    @property
    def ready(self) -> bool:
        """Whether the figures are there. Never waits."""
        if self._asking is not None and self._asking.is_over:
            self._take(self._asking.answer())
        return self._figures is not None

    def wait(self, timeout_s: float) -> bool:
        """Waits for the figures, for those who measure something short; returns `ready`."""
        if self._asking is not None:
            self._asking.wait(timeout_s)
        return self.ready

    def devices(self) -> Sequence[Device]:
        figures = self._figures if self.ready else None
        if figures is None:
            return []
        parts = self._parts(figures.tdp_mw, figures.ram_mw)
        return [self._device(*part, figures) for part in parts]

    def sample(self) -> Sequence[Sample]:
        """Power means since the last look: the first look after the start covers all before."""
        figures = self._figures if self.ready else None
        if figures is None:
            return []
        at_ns = self._clock.monotonic_ns()
        cpu_mw = cpu_power_mw(figures.tdp_mw, self._load.since_last())
        return [
            Sample(uuid, at_ns, power_mw=power_mw, power_is_modelled=True)
            for _, uuid, power_mw in self._parts(cpu_mw, figures.ram_mw)
        ]

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        return None

    def close(self) -> None:
        if self._asking is not None:
            self._asking.stop()

    def _take(self, answer: CpuFigures | None) -> None:
        self._asking = None
        if answer is not None:
            self._cache.put(self._machine, answer)
        self._figures = answer or self._machine.fallback()

    def _device(self, kind: DeviceKind, uuid: str, rated_mw: int, figures: CpuFigures) -> Device:
        machine, sockets = self._machine, len(self._machine.sockets)
        model = (
            cpu_text(machine.cpu, machine.cores, sockets)
            if kind is DeviceKind.CPU
            else dram_text(machine.memory_bytes, sockets)
        )
        if figures == self._machine.fallback():
            model = f"{model} ({figures.source})"
        return Device(uuid, kind, model, rated_mw)

    def _parts(self, cpu_mw: int, ram_mw: int) -> Iterator[tuple[DeviceKind, str, int]]:
        """Each device's even share of the machine's power; the shares sum to it exactly."""
        sockets = self._machine.sockets
        for kind, part, mw in (
            (DeviceKind.CPU, "package", cpu_mw),
            (DeviceKind.DRAM, "dram", ram_mw),
        ):
            for place, number in enumerate(sockets if kind in self._kinds else ()):
                share_mw = mw * (place + 1) // len(sockets) - mw * place // len(sockets)
                yield kind, self._uuids[part, number], share_mw


def cpu_power_mw(tdp_mw: int, load: float) -> int:
    idle_mw = tdp_mw // IDLE_ONE_IN
    return idle_mw + round((tdp_mw - idle_mw) * load)
