"""Which process a pid means: pids are used again, marks are not."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def process_mark(pid: int) -> str | None:
    """A text that no other process ever bears; None where no such process is alive.

    On Linux the boot and the start in clock ticks, which no step of the wall clock changes;
    elsewhere the start time. A zombie is not alive.
    """
    if (_PROC / "self" / "stat").exists():
        return _linux_mark(pid)
    import psutil  # costs a supervisor more than all else; Linux does without

    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return f"{process.create_time():.2f}" if alive else None
    except psutil.Error:
        return None


def is_stopped(pid: int) -> bool:
    """Whether a process stands still by SIGSTOP."""
    if (_PROC / "self" / "stat").exists():
        return _linux_stat(pid)[:1] == ["T"]
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def group_lives(leader_pid: int) -> bool:
    """Whether a process group has a member; zombies do not count, where that can be told."""
    try:
        os.killpg(leader_pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if not (_PROC / "self" / "stat").exists():
        return True
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return any(f[0] not in "ZX" and int(f[2]) == leader_pid for f in map(_linux_stat, pids) if f)


def _linux_mark(pid: int) -> str | None:
    stat = _linux_stat(pid)
    return f"{_boot_id()}/{stat[19]}" if stat and stat[0] not in "ZX" else None


def _linux_stat(pid: int) -> list[str]:
    """State, parent, group ... of /proc/PID/stat; empty where there is no such process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The command's name stands in brackets and may hold blanks and brackets itself.
    return stat.rpartition(")")[2].split()


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown-boot"
