"""What a machine's CPUs and memory draw, where no meter says it: figures that CodeCarbon keeps.

Asking CodeCarbon takes over a second and loads pandas, so it happens once, in a child that
ends with the answer (`python -m carbon.collect.cpu_model` prints it as JSON), and is kept by
CPU model. This module is cheap to import; CodeCarbon is imported by the child alone.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from carbon.collect.machine import CPUINFO, cpu_cores, cpu_name, memory_bytes, socket_ids

#: Where CodeCarbon cannot be asked. 4 W a thread is what it takes for a CPU that it does not
#: know; 3 W for each 8 GB of memory is the rule of its versions before 3.
FALLBACK_MW_PER_THREAD: Final = 4_000
FALLBACK_MW_PER_GB: Final = 375
BYTES_PER_GB: Final = 1 << 30
#: -P: what lies in the folder where a user works must not stand in for a library.
COMMAND: Final = (sys.executable, "-P", "-m", "carbon.collect.cpu_model")


class CpuFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rated power of the whole machine's CPUs and power of its memory, and who says so."""

    tdp_mw: int
    ram_mw: int
    #: Such as `CodeCarbon 3.3.2`.
    source: str
    #: The CPU is in no table: a figure by number of threads stands in.
    is_generic: bool = False


class Machine(Struct, frozen=True):
    """What the figures depend on."""

    cpu: str
    sockets: tuple[int, ...]
    threads: int
    memory_bytes: int
    #: Physical ones; 0 where the system does not say.
    cores: int = 0

    @classmethod
    def here(cls, cpuinfo: Path = CPUINFO) -> Machine:
        threads = os.cpu_count() or 1
        sockets = tuple(socket_ids(cpuinfo))
        return cls(cpu_name(cpuinfo), sockets, threads, memory_bytes(), cpu_cores(cpuinfo))

    @property
    def memory_gb(self) -> int:
        return max(1, round(self.memory_bytes / BYTES_PER_GB))

    @property
    def key(self) -> str:
        """One line for each kind of machine; a folder may be shared over a network."""
        return f"{self.cpu} x{len(self.sockets)}, {self.threads} threads, {self.memory_gb} GB"

    def fallback(self) -> CpuFigures:
        return CpuFigures(
            tdp_mw=self.threads * FALLBACK_MW_PER_THREAD,
            ram_mw=self.memory_gb * FALLBACK_MW_PER_GB,
            source="fallback constants, CodeCarbon could not be asked",
            is_generic=True,
        )


class FigureCache:
    """`cpu_models.json` in a folder: figures by kind of machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "cpu_models.json"

    def get(self, machine: Machine) -> CpuFigures | None:
        return self._read().get(machine.key)

    def put(self, machine: Machine, figures: CpuFigures) -> None:
        """Without effect where the folder cannot be written: the next start asks again."""
        kept = {**self._read(), machine.key: figures}
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
            fresh.replace(self._path)

    def _read(self) -> dict[str, CpuFigures]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, CpuFigures])
        except (OSError, msgspec.DecodeError):
            return {}


def ask_codecarbon(machine: Machine) -> CpuFigures:
    """CodeCarbon's rated power of this CPU model times the sockets, and its memory power."""
    from importlib import metadata

    from codecarbon.core import cpu
    from codecarbon.external.ram import RAM

    cpu_module: Any = cpu  # without types
    tdp_w = cpu_module.TDP().tdp
    if tdp_w is None:
        raise LookupError("CodeCarbon names no power for this CPU")
    # An unknown CPU is counted by threads, of the whole machine; a known one by its data sheet.
    is_generic = tdp_w == machine.threads * cpu_module.DEFAULT_POWER_PER_CORE
    sockets = 1 if is_generic else len(machine.sockets)
    ram_w = RAM(tracking_mode="machine").total_power().W
    return CpuFigures(
        tdp_mw=round(tdp_w * 1000) * sockets,
        ram_mw=round(ram_w * 1000),
        source=f"CodeCarbon {metadata.version('codecarbon')}",
        is_generic=is_generic,
    )


def parse_answer(printed: bytes) -> CpuFigures | None:
    """The figures on the last line that a child printed, if there are any."""
    lines = printed.strip().splitlines()
    try:
        figures = msgspec.json.decode(lines[-1], type=CpuFigures) if lines else None
    except msgspec.DecodeError:
        return None
    return figures if figures is not None and figures.tdp_mw > 0 and figures.ram_mw >= 0 else None


def child_environment() -> dict[str, str]:
    """Without Slurm's marks, by which CodeCarbon would take the job's share for the machine."""
    return {k: v for k, v in os.environ.items() if k not in ("SLURM_JOB_ID", "SLURM_JOBID")}


def main() -> None:
    figures = ask_codecarbon(Machine.here())
    print(json.dumps(msgspec.to_builtins(figures)))


if __name__ == "__main__":
    main()
