"""The cleanest plan of a job whose pauses cost something or are limited: an exact programme.

Time is cut into cells from the earliest start on; the plan is the best of all that begin and end
their segments on cell marks. The state is (cell, cells left to run, pauses left), running or not:

    idle(t, r, p) = min( idle(t + 1, r, p),                        wait a cell
                         run of the shortest segment + running(t + m, r - m, p) )
    running(t, r, p) = min( e[t] + running(t + 1, r - 1, p),       run on
                            checkpoint at e[t - 1] + idle(t, r, p - 1) )
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.errors import InvalidInput
from carbon.planning.interruptible import Segment, SegmentPlan
from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.ties import NEGLIGIBLE
from carbon.planning.windows import check_fits

#: States held at once; 8 bytes each, twice.
_MOST_STATES: Final = 20_000_000
_STATES_WITHOUT_PAUSES: Final = 1_000_000
_CELL_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class PauseLimits:
    """What a job asks of its pauses; the last segment is held to the shortest one too.

    Raises InvalidInput (`bad_pause_limits`).
    """

    min_segment_ms: int = 0
    #: None where any number will do.
    max_pauses: int | None = None
    #: Energy to save and restore at each pause, as time of running at the job's own power. It
    #: is drawn as the segment ends and takes no time of the plan.
    checkpoint_ms: int = 0

    def __post_init__(self) -> None:
        if min(self.min_segment_ms, self.max_pauses or 0, self.checkpoint_ms) < 0:
            raise InvalidInput("bad_pause_limits", "a limit of pauses is 0 or more")

    @property
    def are_none(self) -> bool:
        return not self.min_segment_ms and self.max_pauses is None and not self.checkpoint_ms


def best_limited_segments(
    series: IntensitySeries,
    earliest_ms: int,
    latest_end_ms: int,
    length_ms: int,
    limits: PauseLimits,
    cell_ms: int | None = None,
) -> SegmentPlan:
    """The least emission, checkpoints included, of all plans on whole cells.

    Cells are of 5 min unless said otherwise, or longer where the window is very long. The length
    is rounded up to cells; the mean is per length and counts the checkpoints. Raises InvalidInput
    as `best_segments` does, and `too_many_cells` for a plan that is no small one.
    """
    check_fits(*(np.array([v]) for v in (earliest_ms, latest_end_ms - length_ms, length_ms)))
    cell_ms = cell_ms or _cell_ms(latest_end_ms - earliest_ms, length_ms)
    run = -(-length_ms // cell_ms)
    count = (latest_end_ms - earliest_ms) // cell_ms
    marks = earliest_ms + np.arange(count + 1) * cell_ms
    cells = np.diff(series.area(marks))
    cells[~series.covers(marks[:-1], marks[1:])] = np.inf
    programme = _Programme.of(cells, run, limits, cell_ms) if run <= count else None
    if programme is None or not np.isfinite(programme.least):
        raise InvalidInput(
            "window_not_rated",
            "no plan on whole cells has an intensity throughout; widen the window",
        )
    return SegmentPlan(
        _segments(marks, programme.chosen(), length_ms), programme.least / (run * cell_ms)
    )


def _cell_ms(window_ms: int, length_ms: int) -> int:
    cell_ms = _CELL_MS
    while (window_ms // cell_ms) * (length_ms // cell_ms) > _STATES_WITHOUT_PAUSES:
        cell_ms *= 2
    return cell_ms


@dataclass(frozen=True, slots=True, eq=False)
class _Programme:
    """Cost to go, shape (cells + 1, pauses left, cells left to run)."""

    cells: FloatArray
    idle: FloatArray
    running: FloatArray
    #: Cost of the shortest segment from each cell on, and its cells.
    opening: FloatArray
    shortest: int
    #: Cost of a pause at the end of each cell.
    pause: FloatArray
    #: Whether a pause leaves fewer.
    counts: bool

    @classmethod
    def of(cls, cells: FloatArray, run: int, limits: PauseLimits, cell_ms: int) -> _Programme:
        shortest = min(max(1, -(-limits.min_segment_ms // cell_ms)), run)
        most = limits.max_pauses
        pauses = 0 if most is None else min(most, run // shortest - 1)
        shape = (len(cells) + 1, pauses + 1, run + 1)
        if np.prod(shape) > _MOST_STATES:
            raise InvalidInput("too_many_cells", "choose longer cells for so long a window")
        opening = np.full(len(cells) + 1, np.inf)
        sums = np.lib.stride_tricks.sliding_window_view(cells, shortest).sum(axis=1)
        opening[: len(sums)] = sums
        pause = np.where(np.isfinite(cells), cells, 0.0) * (limits.checkpoint_ms / cell_ms)
        programme = cls(
            cells,
            np.full(shape, np.inf),
            np.full(shape, np.inf),
            opening,
            shortest,
            pause,
            most is not None,
        )
        programme._fill()
        return programme

    def _fill(self) -> None:
        self.idle[:, :, 0] = self.running[:, :, 0] = 0.0
        for cell in range(len(self.cells), -1, -1):
            self.idle[cell, :, 1:] = np.minimum(self._wait(cell), self._open(cell))
            if cell:
                on, off = self._run_on(cell), self._pause(cell)
                self.running[cell, :, 1:] = np.minimum(on, off)

    def _wait(self, cell: int) -> FloatArray:
        if cell == len(self.cells):
            return np.full_like(self.idle[cell, :, 1:], np.inf)
        return np.asarray(self.idle[cell + 1, :, 1:])

    def _open(self, cell: int) -> FloatArray:
        cost = np.full_like(self.idle[cell], np.inf)
        if np.isfinite(self.opening[cell]):
            ahead = self.running[cell + self.shortest]
            cost[:, self.shortest :] = self.opening[cell] + ahead[:, : -self.shortest or None]
        return np.asarray(cost[:, 1:])

    def _run_on(self, cell: int) -> FloatArray:
        if cell == len(self.cells):
            return np.full_like(self.running[cell, :, 1:], np.inf)
        return np.asarray(self.cells[cell] + self.running[cell + 1, :, :-1])

    def _pause(self, cell: int) -> FloatArray:
        cost = np.full_like(self.idle[cell], np.inf)
        if not self.counts:
            cost[:] = self.pause[cell - 1] + self.idle[cell]
        else:
            cost[1:] = self.pause[cell - 1] + self.idle[cell, :-1]
        return np.asarray(cost[:, 1:])

    @property
    def least(self) -> float:
        return float(self.idle[0, -1, -1])

    def chosen(self) -> IntArray:
        """The cells that are run, ascending; of equal plans the one that runs earlier."""
        run: list[int] = []
        cell, pauses, left = 0, self.idle.shape[1] - 1, self.idle.shape[2] - 1
        close = self.least * NEGLIGIBLE
        is_running = False
        while left:
            if is_running:
                is_running = self._goes_on(cell, pauses, left, close)
                pauses -= not is_running and self.counts
                count = 1 if is_running else 0
            else:
                cost = self._open(cell)[pauses, left - 1]
                is_running = bool(cost <= self._wait(cell)[pauses, left - 1] + close)
                count = self.shortest if is_running else 0
                cell += not is_running
            run += range(cell, cell + count)
            cell, left = cell + count, left - count
        return np.array(run)

    def _goes_on(self, cell: int, pauses: int, left: int, close: float) -> bool:
        on, off = self._run_on(cell), self._pause(cell)
        return bool(on[pauses, left - 1] <= off[pauses, left - 1] + close)


def _segments(marks: IntArray, cells: IntArray, length_ms: int) -> tuple[Segment, ...]:
    """Of the last cell only what the length still asks for."""
    cuts = np.flatnonzero(np.diff(cells) > 1) + 1
    spans = [(int(marks[part[0]]), int(marks[part[-1] + 1])) for part in np.split(cells, cuts)]
    over = sum(end - start for start, end in spans) - length_ms
    start, end = spans.pop()
    return tuple(Segment(*span) for span in [*spans, (start, end - over)])
