"""When to look next: a fixed rate on the monotonic clock that does not drift."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


class Schedule:
    """Marks at `origin_ns + n / rate_hz`; what was missed is skipped, never made up for."""

    def __init__(self, rate_hz: float, origin_ns: int) -> None:
        self.step_ns = round(NS_PER_S / rate_hz)
        self._origin_ns = origin_ns

    def realign(self, origin_ns: int) -> None:
        """Marks fall on `origin_ns` from now on, as the wall clock moves against ours."""
        self._origin_ns = origin_ns

    def next_ns(self, now_ns: int) -> int:
        """The first mark after `now_ns`."""
        passed = (now_ns - self._origin_ns) // self.step_ns
        return self._origin_ns + (passed + 1) * self.step_ns
