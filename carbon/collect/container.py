"""The container that we are in, where we see its processes and not the host's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from carbon.collect.machine import host_name

CGROUP: Final = Path("/sys/fs/cgroup")
#: PROC_PID_INIT_INO: the process namespace that the kernel starts with (linux/proc_ns.h).
HOST_PID_NAMESPACE: Final = "pid:[4026531836]"
#: Beyond this a limit of memory says that there is none.
_NO_LIMIT: Final = 1 << 60


class Container(Struct, frozen=True):
    """Its control group, as it is mounted inside it."""

    root: Path = CGROUP
    #: Tells it from the host's other containers.
    name: str = ""

    def cpu_s(self) -> float:
        """CPU time of all that ever ran in it. Raises OSError and ValueError."""
        told = _text(self.root / "cpu.stat")
        for line in (told or "").splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
        return int((self.root / "cpuacct/cpuacct.usage").read_text()) / 1e9

    def memory_bytes(self) -> int:
        """Raises OSError and ValueError."""
        told = _text(self.root / "memory.current")
        return int(told or (self.root / "memory/memory.usage_in_bytes").read_text())

    @property
    def cores(self) -> float | None:
        """How many it may use at once; None where it is not limited."""
        told = _text(self.root / "cpu.max")
        if told is None:
            quota = _text(self.root / "cpu/cpu.cfs_quota_us") or "-1"
            told = f"{quota.strip()} {_text(self.root / 'cpu/cpu.cfs_period_us') or '100000'}"
        quota, period = told.split()
        return int(quota) / int(period) if quota.isdigit() else None

    @property
    def memory_limit_bytes(self) -> int | None:
        told = _text(self.root / "memory.max")
        told = told or _text(self.root / "memory/memory.limit_in_bytes") or "max"
        limit = int(told) if told.strip().isdigit() else _NO_LIMIT
        return limit if limit < _NO_LIMIT else None


def own_container(
    root: Path = CGROUP, namespace: Path = Path("/proc/self/ns/pid")
) -> Container | None:
    """None on a host, in a container that sees the host's processes, and where the kernel does not
    tell what the container uses."""
    if not has_own_processes(namespace):
        return None
    container = Container(root, host_name())
    try:
        container.cpu_s(), container.memory_bytes()
    except (OSError, ValueError):
        return None
    return container


def has_own_processes(namespace: Path = Path("/proc/self/ns/pid")) -> bool:
    try:
        return os.readlink(namespace) != HOST_PID_NAMESPACE
    except OSError:
        return False


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
