"""The process of roll-ups of a service under test."""

from __future__ import annotations

import psutil
from patience import in_time

_MODULE = "carbon.services.background.upkeep_beside"


def upkeep_of(parent: psutil.Process) -> psutil.Process | None:
    for process in parent.children():
        try:
            if _MODULE in process.cmdline():
                return process
        except psutil.NoSuchProcess:  # it ended just now
            continue
    return None


def begun_upkeep(parent: psutil.Process, but: psutil.Process | None = None) -> psutil.Process:
    """The one that is at work once another has ended."""
    assert in_time(lambda: upkeep_of(parent) not in (None, but))
    found = upkeep_of(parent)
    assert found is not None
    return found


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
