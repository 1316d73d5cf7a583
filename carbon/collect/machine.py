"""Who this machine is, and ids for parts of it that have no serial number of their own."""

from __future__ import annotations

import platform
import uuid
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")
_MACHINE_ID_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
#: Ours alone, so that no other program's ids of this machine equal these (man 5 machine-id asks
#: not to show the id itself).
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "carbon-ledger")


def machine_id() -> str:
    """The operating system's id of this installation, else its host name."""
    for path in _MACHINE_ID_FILES:
        try:
            if found := path.read_text().strip():
                return found
        except OSError:
            continue
    return platform.node()


def part_uuid(machine: str, part: str) -> str:
    """The device id of a machine's part, such as `package-0` or `dram-0`.

    Every source that knows a part names it alike, so that a meter and a model of one CPU are
    two meters of one device.
    """
    kind = "CPU" if part.startswith("package") else "DRAM"
    return f"{kind}-{uuid.uuid5(_NAMESPACE, f'{machine}/{part}')}"


def cpu_name(cpuinfo: Path = CPUINFO) -> str:
    """The processor's model as it calls itself; `unknown CPU` where it does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or "unknown CPU"


def socket_ids(cpuinfo: Path = CPUINFO) -> list[int]:
    """Numbers of the CPU packages, as RAPL numbers them; [0] where the kernel does not say."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    told = {line.partition(":")[2].strip() for line in lines if line.startswith("physical id")}
    return sorted(int(number) for number in told) or [0]
