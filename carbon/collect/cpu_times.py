"""How busy the machine's CPUs were since boot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

PROC_STAT: Final = Path("/proc/stat")
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class CpuTimes(Struct, frozen=True):
    """Seconds of all CPUs together."""

    busy_s: float
    total_s: float


def read_cpu_times(path: Path = PROC_STAT) -> CpuTimes:
    """Waiting for I/O counts as idle, and so does time that the hypervisor gave to others; guests'
    time is in user time already."""
    try:
        first = _first_line(path)
    except OSError:
        return _told_by_psutil()
    user, nice, system, idle, iowait, irq, softirq, steal = (
        int(ticks) * _TICK_S for ticks in first.split()[1:9]
    )
    busy_s = user + nice + system + irq + softirq
    return CpuTimes(busy_s, busy_s + idle + iowait + steal)


def _first_line(path: Path) -> bytes:
    """The kernel writes no more than is asked for, and a line for each CPU follows."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 512).split(b"\n", 1)[0]
    finally:
        os.close(fd)


def _told_by_psutil() -> CpuTimes:
    import psutil  # late: it takes longer to load than the first look

    times = psutil.cpu_times()
    busy_s = times.user + times.system + getattr(times, "nice", 0.0)
    return CpuTimes(busy_s, busy_s + times.idle)
