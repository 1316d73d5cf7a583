"""Many jobs of one pool planned in one go: exact where the pool has room, else on a grid.

Each job's own optimum comes from one vectorised search. A job whose window is full then takes
the cleanest one with room that begins on a mark of the grid; jobs are served in the order given,
so that who comes first is the caller's choice (`planning.shares.fair_order`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.planning.series import FloatArray, IntArray, IntensitySeries
from carbon.planning.windows import best_windows

CELL_MS: Final = 300_000
#: A move must gain this share: less is noise, and moving with noise loses what planning won.
LEAST_GAIN: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Jobs that fit between `earliest_ms` and `latest_end_ms` and whose earliest window is known.

    All arrays have shape (jobs,). `old_start_ms` is where a job stands now, -1 where nowhere.
    """

    earliest_ms: IntArray
    latest_end_ms: IntArray
    length_ms: IntArray
    old_start_ms: IntArray

    def __len__(self) -> int:
        return len(self.earliest_ms)


class Room:
    """How many jobs run in each cell of a pool by plan, over [start, end)."""

    def __init__(self, start_ms: int, end_ms: int, capacity: int) -> None:
        self._start_ms = start_ms // CELL_MS * CELL_MS
        cells = max(1, -(-(end_ms - self._start_ms) // CELL_MS))
        self._count = np.zeros(cells, dtype=np.int64)
        self._capacity = capacity
        self.marks_ms: IntArray = self._start_ms + np.arange(cells + 1) * CELL_MS
        #: What was worked out per number of cells while no cell became full or free.
        self._costs: dict[int, FloatArray] = {}

    def take_all(self, start_ms: IntArray, end_ms: IntArray, places: int = 1) -> None:
        """Of many jobs at once, both of shape (jobs,), room or not; -1 place gives one back."""
        last = len(self._count)
        first = np.clip((start_ms - self._start_ms) // CELL_MS, 0, last)
        until = np.clip(-(-(end_ms - self._start_ms) // CELL_MS), first, last)
        steps = np.bincount(first, minlength=last + 1) - np.bincount(until, minlength=last + 1)
        self._count += places * np.cumsum(steps)[:-1]
        self._costs = {}

    @property
    def is_overfull(self) -> bool:
        return bool((self._count > self._capacity).any())

    def take(self, start_ms: int, end_ms: int) -> bool:
        """Whether there was room; where there was none nothing is taken."""
        some = self._count[self._cells(start_ms, end_ms)]
        if not len(some):
            return True
        if (most := some.max()) >= self._capacity:
            return False
        some += 1
        if most + 1 >= self._capacity:
            self._costs = {}
        return True

    def give_back(self, start_ms: int, end_ms: int) -> None:
        some = self._count[self._cells(start_ms, end_ms)]
        if len(some) and some.max() >= self._capacity:
            self._costs = {}
        some -= 1

    def costs(self, area: FloatArray, cells: int) -> FloatArray:
        """The area of the window of `cells` from each cell on, infinite where one is full."""
        if cells not in self._costs:
            full = np.concatenate(([0], np.cumsum(self._count >= self._capacity)))
            room = full[cells:] == full[:-cells]
            self._costs[cells] = np.where(room, area[cells:] - area[:-cells], np.inf)
        return self._costs[cells]

    def _cells(self, start_ms: int, end_ms: int) -> slice:
        first = max(0, (start_ms - self._start_ms) // CELL_MS)
        return slice(first, max(first, -(-(end_ms - self._start_ms) // CELL_MS)))


def place_group(series: IntensitySeries, group: Group, room: Room) -> IntArray:
    """The start of each job, shape (jobs,), -1 where no window in time has room.

    `series` has no gaps within any job's reach. `room` holds what others have taken, the jobs'
    own old places included, and is brought up to date. A job that stands somewhere stays there
    unless a move gains `LEAST_GAIN`.
    """
    best = best_windows(series, group.earliest_ms, group.latest_end_ms, group.length_ms)
    old_area = series.area(group.old_start_ms + group.length_ms) - series.area(group.old_start_ms)
    stands = group.old_start_ms >= 0
    enough = np.where(stands, (1 - LEAST_GAIN) * old_area, np.inf)
    stays = stands & (best.mean_g_per_kwh * group.length_ms >= enough)
    start = np.where(stays, group.old_start_ms, best.start_ms)
    moves = np.flatnonzero(~stays)
    if _all_fit(room, group, start, moves):
        return start
    search = _Search(room, series)
    columns = (group.earliest_ms, group.latest_end_ms, group.length_ms, group.old_start_ms)
    each = zip(moves.tolist(), *(c[moves].tolist() for c in (*columns, start, enough)), strict=True)
    for job, earliest, latest_end, length, old, at, below in each:
        if old >= 0:
            room.give_back(old, old + length)
        if not room.take(at, at + length):
            at = search.start(earliest, latest_end, length, below)
            at = old if at < 0 else at
            # An old place is kept also where more than fit have come to stand there.
            if at >= 0:
                room.take(at, at + length)
        start[job] = at
    return start


def _all_fit(room: Room, group: Group, start: IntArray, moves: IntArray) -> bool:
    """Takes the new places of all where every one of them fits, else none."""
    length, old = group.length_ms[moves], group.old_start_ms[moves]
    stood = old >= 0
    room.take_all(start[moves], start[moves] + length)
    if not room.is_overfull:
        room.take_all(old[stood], old[stood] + length[stood], -1)
        return True
    room.take_all(start[moves], start[moves] + length, -1)
    return False


class _Search:
    """Windows that begin on a mark of the grid."""

    def __init__(self, room: Room, series: IntensitySeries) -> None:
        self._room, self._area = room, series.area(room.marks_ms)
        self._origin_ms = int(room.marks_ms[0])

    def start(self, earliest_ms: int, latest_end_ms: int, length_ms: int, below: float) -> int:
        """The cleanest start with room and an area below that; -1 where there is none."""
        cells = -(-length_ms // CELL_MS)
        first = -(-(earliest_ms - self._origin_ms) // CELL_MS)
        last = (latest_end_ms - length_ms - self._origin_ms) // CELL_MS
        if cells >= len(self._area) or last < first:
            return -1
        cost = self._room.costs(self._area, cells)[first : last + 1]
        if not len(cost):
            return -1
        at = int(cost.argmin())
        # The last cell is used in part alone.
        if not cost[at] * (length_ms / (cells * CELL_MS)) < below:
            return -1
        return self._origin_ms + (first + at) * CELL_MS
