"""Which boot of the machine this is: counters of devices are comparable within one only."""

from __future__ import annotations

from pathlib import Path

KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: The boot time as psutil tells it moves by a little whenever the clock is set.
_SAME_BOOT_S = 120


def boot_id(folder: Path, kernel_file: Path = KERNEL_BOOT_ID) -> str:
    """The kernel's id of this boot; where it gives none, one made of the boot's time and kept in
    `folder` as long as that time holds."""
    try:
        return kernel_file.read_text().strip()
    except OSError:
        return _made_boot_id(folder / "boot")


def _made_boot_id(path: Path) -> str:
    import psutil

    booted_s = int(psutil.boot_time())
    try:
        kept_s = int(path.read_text())
    except (OSError, ValueError):
        kept_s = 0
    if abs(booted_s - kept_s) > _SAME_BOOT_S:
        path.write_text(str(booted_s))
        kept_s = booted_s
    return f"made-{kept_s}"
