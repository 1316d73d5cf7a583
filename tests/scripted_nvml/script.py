"""Scenarios for the scripted GPU library, and the true energy that they draw.

A script is plain text, one setting a line, times in µs since the scenario's zero:

    epoch_ms MS                     wall time of zero; without it, the library's first init
    clock_file PATH                 a file with the time since zero in ms: a clock moved by hand
    pids_file PATH                  lines `LABEL PID`, read again at each call
    hang_file PATH                  field values do not return as long as this file is there
    driver TEXT | init_error CODE | empty_util_success 0|1
    device UUID                     begins a device; what follows belongs to it
    name TEXT | limit_mw N | architecture N | mig -1|0|1 | scope N | usage_averages 0|1
    once US MW | cycle US MW        pieces of power, played once, then the cycle for ever
    counter_start_mj N | update_us US | reset_us US
    sensor WINDOW_US PERIOD_US      instant power is the mean of a window in each period
    util_us US                      period of the process utilisation
    samples_us US                   period of the driver's ring of power readings, 0 for none
    gpm 0|1 | instance ID SLICES | mig_switch US 0|1
    process PID|@LABEL FROM TO SM MEM BYTES INSTANCE    under MIG, SM is of the instance's SMs
    rule_error CALL FROM TO CODE    CALL is `nvmlDevice...`, `field:83` or `*`; TO -1 is for ever
    rule_value CALL FROM TO VALUE
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from pathlib import Path


class Nvml(IntEnum):
    """Return codes worth scripting."""

    UNINITIALIZED = 1
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    LIB_RM_VERSION_MISMATCH = 18
    GPU_IS_LOST = 15
    UNKNOWN = 999


ENERGY_FIELD = "field:83"
AVERAGE_FIELD = "field:185"
INSTANT_FIELD = "field:186"
FIELD_VALUES = "nvmlDeviceGetFieldValues"
TOTAL_ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWER_SAMPLES = "nvmlDeviceGetSamples"
GPM_MIG_SAMPLE = "nvmlGpmMigSampleGet"
POWER_USAGE = "nvmlDeviceGetPowerUsage"
PROCESS_UTILIZATION = "nvmlDeviceGetProcessUtilization"
RUNNING_PROCESSES = "nvmlDeviceGetComputeRunningProcesses"
EVERY_CALL = "*"
#: What a driver leaves in a 64-bit field that it does not support.
BLANK_64 = 9223372036854775794


@dataclass(frozen=True)
class Power:
    """Pieces (ms, mW): `once` from time zero, then `cycle` over and over."""

    once: tuple[tuple[int, int], ...] = ()
    cycle: tuple[tuple[int, int], ...] = ()

    @classmethod
    def constant(cls, power_mw: int) -> Power:
        return cls(cycle=((1000, power_mw),))

    @classmethod
    def square(cls, low_mw: int, high_mw: int, period_ms: int, high_ms: int) -> Power:
        """`high_mw` for the first `high_ms` of each period."""
        return cls(cycle=((high_ms, high_mw), (period_ms - high_ms, low_mw)))

    @classmethod
    def bursts(cls, pieces: Sequence[tuple[int, int]]) -> Power:
        return cls(cycle=tuple(pieces))

    @classmethod
    def piecewise(cls, pieces: Sequence[tuple[int, int]], then_mw: int) -> Power:
        return cls(once=tuple(pieces), cycle=((1000, then_mw),))

    def drawn_uj(self, until_ms: Fraction) -> Fraction:
        """Exact energy over [0, until): mW x ms is µJ."""
        once_ms = sum(ms for ms, _ in self.once)
        cycle_ms = sum(ms for ms, _ in self.cycle)
        drawn = _drawn_uj(self.once, until_ms)
        if until_ms <= once_ms or not cycle_ms:
            return drawn
        cycles, rest_ms = divmod(until_ms - once_ms, cycle_ms)
        return (
            drawn
            + cycles * _drawn_uj(self.cycle, Fraction(cycle_ms))
            + _drawn_uj(self.cycle, rest_ms)
        )


def _drawn_uj(pieces: Sequence[tuple[int, int]], until_ms: Fraction) -> Fraction:
    drawn, left_ms = Fraction(0), until_ms
    for span_ms, power_mw in pieces:
        within_ms = max(Fraction(0), min(Fraction(span_ms), left_ms))
        drawn += within_ms * power_mw
        left_ms -= within_ms
    return drawn


@dataclass(frozen=True)
class Process:
    """A process on a device over [from, to) ms; `pid` may be `@label` of the pids file."""

    pid: int | str
    sm_percent: int
    memory_bytes: int = 1 << 30
    from_ms: int = 0
    to_ms: int | None = None
    mem_percent: int = 10
    #: The GPU instance that it runs in while MIG is on.
    instance: int = 0


@dataclass(frozen=True)
class Rule:
    """A call that fails with `code`, or answers `value`, over [from, to) ms."""

    call: str
    code: Nvml | None = None
    value: int | None = None
    from_ms: int = 0
    to_ms: int | None = None


@dataclass(frozen=True)
class Gpu:
    uuid: str = "GPU-00000000-0000-0000-0000-000000000000"
    power: Power = field(default=Power.constant(300_000))
    name: str = "NVIDIA Scripted"
    limit_mw: int = 700_000
    architecture: int = 9  #: Hopper
    counter_start_mj: int = 0
    #: The counter moves at multiples of this, 0 for always.
    update_ms: int = 100
    resets_ms: tuple[int, ...] = ()
    #: (window, period): the instant power is the mean of a window in each period.
    sensor_ms: tuple[int, int] | None = None
    util_ms: int = 200
    #: Which scope the power fields answer for: 0 GPU, 1 module.
    scope: int = 0
    #: None where the device knows no MIG; what it is at time zero.
    mig: bool | None = False
    #: (ms, whether MIG is on from there).
    mig_switches: tuple[tuple[int, bool], ...] = ()
    #: (id, slices of seven) of each GPU instance, while MIG is on.
    instances: tuple[tuple[int, int], ...] = ()
    #: Whether the driver tells what the parts of an instance do.
    gpm: bool = True
    #: Period of the driver's own power readings, 0 where it keeps none.
    samples_ms: int = 0
    #: nvmlDeviceGetPowerUsage is a mean over the last second.
    usage_averages: bool = True
    processes: tuple[Process, ...] = ()
    rules: tuple[Rule, ...] = ()

    def counter_mj(self, at_ms: int) -> int:
        """What the counter shows."""
        seen_ms = at_ms // self.update_ms * self.update_ms if self.update_ms else at_ms
        reset_ms = max((reset for reset in self.resets_ms if reset <= at_ms), default=None)
        if reset_ms is None:
            return self.counter_start_mj + int(self.true_energy_mj(0, seen_ms))
        return int(self.true_energy_mj(reset_ms, max(reset_ms, seen_ms)))

    def true_energy_mj(self, start_ms: float | Fraction, end_ms: float | Fraction) -> Fraction:
        drawn = self.power.drawn_uj(Fraction(end_ms)) - self.power.drawn_uj(Fraction(start_ms))
        return drawn / 1000

    def lines(self) -> Iterator[str]:
        yield f"device {self.uuid}"
        yield f"name {self.name}"
        yield f"limit_mw {self.limit_mw}"
        yield f"architecture {self.architecture}"
        yield f"counter_start_mj {self.counter_start_mj}"
        yield f"update_us {self.update_ms * 1000}"
        yield f"util_us {self.util_ms * 1000}"
        yield f"samples_us {self.samples_ms * 1000}"
        yield f"gpm {int(self.gpm)}"
        yield from (f"instance {number} {slices}" for number, slices in self.instances)
        yield from (f"mig_switch {ms * 1000} {int(on)}" for ms, on in self.mig_switches)
        yield f"scope {self.scope}"
        yield f"mig {-1 if self.mig is None else int(self.mig)}"
        yield f"usage_averages {int(self.usage_averages)}"
        if self.sensor_ms:
            yield f"sensor {self.sensor_ms[0] * 1000} {self.sensor_ms[1] * 1000}"
        yield from (f"once {ms * 1000} {mw}" for ms, mw in self.power.once)
        yield from (f"cycle {ms * 1000} {mw}" for ms, mw in self.power.cycle)
        yield from (f"reset_us {ms * 1000}" for ms in self.resets_ms)
        yield from (_process_line(process) for process in self.processes)
        yield from (_rule_line(rule) for rule in self.rules)


def _span(from_ms: int, to_ms: int | None) -> str:
    return f"{from_ms * 1000} {-1 if to_ms is None else to_ms * 1000}"


def _process_line(process: Process) -> str:
    load = f"{process.sm_percent} {process.mem_percent} {process.memory_bytes} {process.instance}"
    return f"process {process.pid} {_span(process.from_ms, process.to_ms)} {load}"


def _rule_line(rule: Rule) -> str:
    kind, what = ("error", rule.code) if rule.code is not None else ("value", rule.value)
    if what is None:
        raise ValueError("a rule needs a code or a value")
    return f"rule_{kind} {rule.call} {_span(rule.from_ms, rule.to_ms)} {int(what)}"


@dataclass(frozen=True)
class Script:
    gpus: tuple[Gpu, ...] = (Gpu(),)
    #: Wall time of the scenario's zero; None for the library's first init.
    epoch_ms: int | None = None
    clock_file: Path | None = None
    pids_file: Path | None = None
    hang_file: Path | None = None
    driver: str = "600.00"
    init_error: Nvml | None = None
    #: An empty list of process samples comes with SUCCESS and not with NOT_FOUND.
    empty_util_success: bool = False

    def true_energy_mj(
        self, device: int, start_ms: float | Fraction, end_ms: float | Fraction
    ) -> Fraction:
        """Exact energy of device number `device` over [start, end), ms since zero."""
        return self.gpus[device].true_energy_mj(start_ms, end_ms)

    def text(self) -> str:
        settings = {
            "epoch_ms": self.epoch_ms,
            "clock_file": self.clock_file,
            "pids_file": self.pids_file,
            "hang_file": self.hang_file,
            "driver": self.driver,
            "init_error": None if self.init_error is None else int(self.init_error),
            "empty_util_success": int(self.empty_util_success),
        }
        head = [f"{name} {value}" for name, value in settings.items() if value is not None]
        return "\n".join([*head, *(line for gpu in self.gpus for line in gpu.lines()), ""])

    def write(self, path: Path) -> Path:
        path.write_text(self.text())
        return path


def write_pids(path: Path, pids: Mapping[str, Sequence[int]]) -> None:
    """Says which real processes stand behind the labels; seen at the library's next call."""
    lines = [f"{label} {pid}" for label, listed in pids.items() for pid in listed]
    replacement = path.with_suffix(".new")
    replacement.write_text("\n".join([*lines, ""]))
    replacement.replace(path)
