"""Sleep of the whole machine, which the monotonic clock passes over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Both clocks are read one after the other: less than this is no sleep.
_TELLING_NS: Final = 500_000_000


def asleep_ns() -> int:
    """Time since boot that the machine was suspended, ns; 0 where the system does not say."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        return 0
    return time.clock_gettime_ns(boottime) - time.monotonic_ns()


class SuspendWatch:
    def __init__(self, asleep: Callable[[], int] = asleep_ns) -> None:
        self._asleep = asleep
        self._known_ns = asleep()

    def slept_ns(self) -> int:
        """How long the machine slept since this was last asked; 0 where it did not."""
        now_ns = self._asleep()
        slept_ns = now_ns - self._known_ns
        if slept_ns < _TELLING_NS:
            return 0
        self._known_ns = now_ns
        return slept_ns
