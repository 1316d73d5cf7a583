"""Wall-clock time of what was timed on the monotonic clock, without running backwards."""

from __future__ import annotations

from typing import Final

from carbon.clock import Clock

NS_PER_MS: Final = 1_000_000
#: A wall clock further ahead of the line than this was set and has not merely drifted.
STEP_NS: Final = 250 * NS_PER_MS
#: A wall clock set back by more than this had been wrong: what was stamped with it is not worth
#: waiting for.
HOPELESS_NS: Final = 3_600_000 * NS_PER_MS


class WallLine:
    """Maps monotonic ns to wall ms by one pairing of both clocks at a time.

    Drift is caught up with at one and a half or half the speed of time, so that neighbouring
    intervals stay neighbours. A clock that was set forward leaves a gap between two
    intervals. One that was set back (by up to an hour) would make intervals overlap; the
    line runs at half speed instead until the wall has caught up, and every interval keeps
    its energy.
    """

    def __init__(self, clock: Clock, not_before_ms: int = 0) -> None:
        """`not_before_ms`: what was stamped before, by an agent that ran earlier."""
        self._clock = clock
        self._anchor_ns = clock.monotonic_ns()
        self._anchor_ms = 0
        #: The wall less the line at the anchor.
        self._off_ns = 0
        wall_ms = clock.now_ms()
        self._anchor(self._anchor_ns, wall_ms, max(wall_ms, not_before_ms))

    def at_ms(self, at_ns: int) -> int:
        """Wall ms of a moment; never falls as `at_ns` rises."""
        passed_ns = at_ns - self._anchor_ns
        half_ns = max(0, passed_ns // 2)
        caught_up_ns = max(-half_ns, min(half_ns, self._off_ns))
        return self._anchor_ms + (passed_ns + caught_up_ns) // NS_PER_MS

    def ns_of(self, wall_ms: int) -> int:
        """The ns from which on the line reads `wall_ms` (not before the anchor's)."""
        wanted_ns = (wall_ms - self._anchor_ms) * NS_PER_MS
        if self._off_ns >= 0:
            passed_ns = max(wanted_ns - self._off_ns, 2 * wanted_ns // 3 + 2)
        else:
            passed_ns = min(2 * wanted_ns, wanted_ns - self._off_ns)
        return self._anchor_ns + max(0, passed_ns)

    def pair(self, at_ns: int) -> int:
        """Reads both clocks anew; the line bends at `at_ns`, a moment just past.

        Returns by how many ms the wall clock was set since the last pairing, 0 if it was not.
        """
        line_ms = self.at_ms(at_ns)
        expected_off_ns = self._off_ns - (line_ms - self._anchor_ms) * NS_PER_MS
        expected_off_ns += at_ns - self._anchor_ns
        since_ms = (self._clock.monotonic_ns() - at_ns) // NS_PER_MS
        wall_ms = self._clock.now_ms() - since_ms
        set_by_ns = (wall_ms - line_ms) * NS_PER_MS - expected_off_ns
        self._anchor(at_ns, wall_ms, line_ms)
        return set_by_ns // NS_PER_MS if abs(set_by_ns) > STEP_NS else 0

    def _anchor(self, at_ns: int, wall_ms: int, line_ms: int) -> None:
        off_ns = (wall_ms - line_ms) * NS_PER_MS
        is_set = not -HOPELESS_NS <= off_ns <= STEP_NS
        self._anchor_ns = at_ns
        self._anchor_ms = wall_ms if is_set else line_ms
        self._off_ns = 0 if is_set else off_ns
