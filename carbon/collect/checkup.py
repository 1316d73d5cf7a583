"""What can be measured on this machine, what cannot, and the mend for each.

Looks with fresh eyes: it opens the meters itself and does not ask a running agent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from carbon.collect.container import has_own_processes
from carbon.collect.cpu_model import FigureCache, Machine
from carbon.collect.nvml import NvmlSource
from carbon.collect.rapl import RaplSource
from carbon.collect.source import DeviceKind, Sample, Source
from carbon.collect.watched import Watched
from carbon.errors import Unavailable

#: A driver that takes longer to list its GPUs is said to hang.
_PATIENCE_S: Final = 5.0
_MENDS: Final = {
    "nvml_absent": "if there is an NVIDIA GPU, install its driver; in a container, give it the "
    "GPUs (`docker run --gpus all`, or the NVIDIA device plugin)",
    "nvml_failed": "`nvidia-smi` names the trouble: often a driver that was upgraded and not "
    "reloaded, which a reboot mends",
    "rapl_absent": "a virtual machine or this CPU shows no counters: CPU and memory are modelled",
}
_KIND_NAMES: Final = {
    DeviceKind.GPU: "GPU",
    DeviceKind.CPU: "CPU",
    DeviceKind.DRAM: "memory",
    DeviceKind.MODULE: "module (CPU and GPU)",
}


class State(StrEnum):
    OK = "ok"
    LIMITED = "limited"  #: it works, with less than one could have
    ABSENT = "absent"  #: this machine does not have it
    FAILING = "failing"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line for people, and what to do about it where something is amiss."""

    area: str
    state: State
    detail: str
    mend: str = ""
    #: A sensor answers: energy is measured here, and not only modelled.
    measures: bool = False


def check_meters(cache_dir: Path, powercap: Path | None = None) -> list[Finding]:
    gpu = _check_family("gpu", lambda: Watched(NvmlSource(), first_timeout_s=_PATIENCE_S))
    cpu = _check_family("cpu", lambda: RaplSource(powercap))
    return [*gpu, *cpu, *_check_model(cpu, cache_dir)]


def check_processes(proc: Path = Path("/proc")) -> list[Finding]:
    """Whether whose a device's energy is can be told."""
    if not (proc / "self").exists():
        mend = "Linux shows more: elsewhere processes go by their user alone"
        return [Finding("processes", State.LIMITED, "no /proc", mend)]
    return [_check_namespace(proc), _check_environments(proc)]


def _check_family(area: str, open_source: Callable[[], Source]) -> list[Finding]:
    try:
        source = open_source()
    except Unavailable as error:
        absent = error.code in ("nvml_absent", "rapl_absent")
        return [
            Finding(
                area,
                State.ABSENT if absent else State.FAILING,
                error.detail,
                _MENDS.get(error.code, ""),
            )
        ]
    try:
        return list(_check_devices(area, source))
    except Exception as error:
        return [Finding(area, State.FAILING, str(error), _MENDS.get(f"{source.name}_failed", ""))]
    finally:
        source.close()


def _check_devices(area: str, source: Source) -> Iterator[Finding]:
    devices = source.devices()
    samples = {sample.device: sample for sample in source.sample()}
    for device in devices:
        sample = samples.get(device.uuid)
        told = f"{_KIND_NAMES[device.kind]} {device.model}"
        if sample is None:
            mend = "see `nvidia-smi` and the kernel's log; the other devices are not touched"
            yield Finding(area, State.FAILING, f"{told}: gives no reading", mend)
            continue
        detail = f"{told}: {_rung(sample)}{_watts(sample)}"
        yield Finding(area, State.OK, detail, measures=True)
        if device.kind is DeviceKind.GPU and source.processes(device.uuid) is None:
            yield Finding(
                area,
                State.LIMITED,
                f"{told}: the driver does not say who is on it",
                "its energy goes to whoever reserves it (`carbon run --reserve`)",
            )
    if not devices:
        yield Finding(area, State.ABSENT, "the driver knows no GPU", _MENDS["nvml_absent"])


def _rung(sample: Sample) -> str:
    if sample.counter_mj is not None:
        return "energy counter"
    return "averaged power, integrated" if sample.power_is_averaged else "power, integrated"


def _watts(sample: Sample) -> str:
    return "" if sample.power_mw is None else f", {sample.power_mw / 1000:.0f} W now"


def _check_model(cpu: Sequence[Finding], cache_dir: Path) -> Iterator[Finding]:
    if any(finding.measures for finding in cpu):
        return
    machine = Machine.here()
    figures = FigureCache(cache_dir).get(machine)
    if figures is None:
        detail = f"{machine.cpu}: its rated power is looked up when the agent first starts"
    else:
        rated_w, memory_w = figures.tdp_mw / 1000, figures.ram_mw / 1000
        source = figures.source
        detail = f"{machine.cpu}: {rated_w:g} W rated, memory {memory_w:g} W ({source})"
    yield Finding("model", State.LIMITED, f"CPU and memory are modelled from load: {detail}")


def _check_namespace(proc: Path) -> Finding:
    if not has_own_processes(proc / "self/ns/pid"):
        return Finding("processes", State.OK, "the host's processes are seen")
    return Finding(
        "processes",
        State.LIMITED,
        "this is a container with processes of its own: CPU and memory are its share of the "
        "host's, and the pids that a GPU driver names mean nothing here",
        "`hostPID: true` (Kubernetes) or `--pid=host` (Docker)",
    )


def _check_environments(proc: Path) -> Finding:
    others, readable = 0, 0
    for folder in proc.iterdir():
        if folder.name.isdigit() and _is_anothers(folder):
            others += 1
            readable += os.access(folder / "environ", os.R_OK) and _can_read(folder / "environ")
    if others == readable:
        return Finding("environments", State.OK, "CARBON_* variables of all processes are read")
    return Finding(
        "environments",
        State.LIMITED,
        f"CARBON_* variables of {others - readable} processes of other users cannot be read",
        "CAP_SYS_PTRACE for the agent (deploy/carbon-agent.service has it); without it cgroups, "
        "users and `carbon run` name the workload",
    )


def _is_anothers(folder: Path) -> bool:
    try:
        return folder.stat().st_uid != os.getuid() and bool((folder / "cmdline").read_bytes())
    except OSError:
        return False


def _can_read(path: Path) -> bool:
    try:
        with path.open("rb") as environ:
            environ.read(1)
    except OSError:
        return False
    return True
