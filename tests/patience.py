"""Waiting for what another process does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable


def in_time(holds: Callable[[], bool], seconds: float = 120, look_every_s: float = 0.05) -> bool:
    """Guards against hanging alone: a busy machine may take long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(look_every_s)
    return False
