"""Who this machine is, and ids for parts of it that have no serial number of their own."""

from __future__ import annotations

import os
import socket
import uuid
from functools import cache
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")
_MACHINE_ID_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
#: Ours alone, so that no other program's ids of this machine equal these (man 5 machine-id asks
#: not to show the id itself).
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "carbon-ledger")


def host_name() -> str:
    """As CARBON_HOSTNAME says it, else as the system does: a pod has a name of its own, and each
    of its successors another."""
    return os.environ.get("CARBON_HOSTNAME") or socket.gethostname()


def machine_id() -> str:
    """The operating system's id of this installation, else its host name."""
    for path in _MACHINE_ID_FILES:
        try:
            if found := path.read_text().strip():
                return found
        except OSError:
            continue
    return socket.gethostname()


def part_uuid(machine: str, part: str) -> str:
    """The device id of a machine's part, such as `package-0` or `dram-0`.

    Every source that knows a part names it alike, so that a meter and a model of one CPU are
    two meters of one device.
    """
    return named_uuid("CPU" if part.startswith("package") else "DRAM", f"{machine}/{part}")


def named_uuid(kind: str, name: str) -> str:
    """The same for the same name."""
    return f"{kind}-{uuid.uuid5(_NAMESPACE, name)}"


def cpu_name(cpuinfo: Path = CPUINFO) -> str:
    """The processor's model as it calls itself; `unknown CPU` where it does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    if found := next(names, ""):
        return found
    import platform  # late: the kernel tells most machines' model

    return platform.processor() or "unknown CPU"


def socket_ids(cpuinfo: Path = CPUINFO) -> list[int]:
    """Numbers of the CPU packages, as RAPL numbers them; [0] where the kernel does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    told = {line.partition(":")[2].strip() for line in lines if line.startswith("physical id")}
    return sorted(int(number) for number in told) or [0]


def cpu_cores(cpuinfo: Path = CPUINFO) -> int:
    """Physical cores of the whole machine; 0 where the system does not say."""
    try:
        blocks = cpuinfo.read_text().split("\n\n")
    except OSError:
        blocks = []
    told = {_lines_of(block, ("physical id", "core id")) for block in blocks}
    if found := len(told - {()}):
        return found
    import psutil  # late: it takes longer to load than the first look

    return psutil.cpu_count(logical=False) or 0


def _lines_of(block: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line for line in block.splitlines() if line.startswith(names))


@cache  # to ask for it takes the kernel half a millisecond
def memory_bytes() -> int:
    """Of the whole machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def cpu_text(name: str, cores: int, sockets: int) -> str:
    """A package's model with its size, on which its embodied carbon hangs."""
    per_socket = cores // max(sockets, 1)
    return f"{name} ({per_socket} cores)" if per_socket else name


def dram_text(memory_bytes: int, sockets: int) -> str:
    """One socket's share of the memory."""
    return f"DRAM {memory_bytes / max(sockets, 1) / 1e9:.0f} GB"
