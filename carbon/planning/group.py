"""Many jobs of one pool planned in one go: exact where the pool has room, else on a grid.

Each job's own optimum comes from vectorised searches. A job whose window is full then takes the
cleanest one with room that begins on a mark of the grid; jobs are served in the order given, so
that who comes first is the caller's choice (`planning.shares`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.planning.series import BoolArray, FloatArray, IntArray, IntensitySeries
from carbon.planning.windows import best_windows

CELL_MS: Final = 300_000
#: A move must gain this share: less is noise, and moving with noise loses what planning won.
LEAST_GAIN: Final = 0.01
#: Costs are mended span by span while few spans have become full; working them out is cheaper then.
_MOST_MENDED: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A place for each job, all of shape (jobs,); the start is -1 where there is none.

    The place is held from start to end, pauses included; the area is the integral of the
    intensity over what runs.
    """

    start_ms: IntArray
    end_ms: IntArray
    area: FloatArray

    @classmethod
    def unbroken(cls, series: IntensitySeries, start_ms: IntArray, length_ms: IntArray) -> Choice:
        end_ms = start_ms + length_ms
        area = series.area(end_ms) - series.area(start_ms)
        return cls(start_ms, end_ms, np.where(start_ms < 0, np.inf, area))

    @classmethod
    def best(cls, series: IntensitySeries, group: Group) -> Choice:
        """Each one's cleanest window, as if it were alone."""
        best = best_windows(series, group.earliest_ms, group.latest_end_ms, group.length_ms)
        return cls(best.start_ms, best.end_ms, best.mean_g_per_kwh * group.length_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Jobs that fit between `earliest_ms` and `latest_end_ms` and whose earliest window is known.

    All arrays have shape (jobs,).
    """

    earliest_ms: IntArray
    latest_end_ms: IntArray
    length_ms: IntArray

    def __len__(self) -> int:
        return len(self.earliest_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where the jobs of a group stand, shape (jobs,); -1 where no window in time has room."""

    start_ms: IntArray
    end_ms: IntArray
    #: Whether it is the job's own choice, and whether it is its old place.
    is_own: BoolArray
    is_old: BoolArray


class Room:
    """How many jobs run in each cell of a pool by plan, over [start, end)."""

    def __init__(self, start_ms: int, end_ms: int, capacity: int) -> None:
        self._start_ms = start_ms // CELL_MS * CELL_MS
        cells = max(1, -(-(end_ms - self._start_ms) // CELL_MS))
        self._count = np.zeros(cells, dtype=np.int64)
        self._capacity = capacity
        self.marks_ms: IntArray = self._start_ms + np.arange(cells + 1) * CELL_MS
        #: Of windows by their number of cells, each with how many of `_filled` it knows.
        self._costs: dict[int, tuple[FloatArray, int]] = {}
        #: Spans of cells that have become full, in the order in which they did.
        self._filled: list[tuple[int, int]] = []

    def take_all(self, start_ms: IntArray, end_ms: IntArray, places: int = 1) -> None:
        """Of many jobs at once, both of shape (jobs,), room or not; -1 place gives one back."""
        last = len(self._count)
        first = np.clip((start_ms - self._start_ms) // CELL_MS, 0, last)
        until = np.clip(-(-(end_ms - self._start_ms) // CELL_MS), first, last)
        steps = np.bincount(first, minlength=last + 1) - np.bincount(until, minlength=last + 1)
        self._count += places * np.cumsum(steps)[:-1]
        self._forget()

    def keep_free(self, marks_ms: IntArray, places: IntArray, sign: int = 1) -> None:
        """So many places of each slot between two marks; -1 gives them back."""
        inside = (self.marks_ms[:-1] >= marks_ms[0]) & (self.marks_ms[:-1] < marks_ms[-1])
        slot = np.searchsorted(marks_ms, self.marks_ms[:-1], "right") - 1
        some = np.where(inside, slot, 0)
        self._count += sign * np.where(inside, places[some], 0)
        self._forget()

    @property
    def is_overfull(self) -> bool:
        return bool((self._count > self._capacity).any())

    def take(self, start_ms: int, end_ms: int) -> bool:
        """Whether there was room; where there was none nothing is taken."""
        cells = self._cells(start_ms, end_ms)
        some = self._count[cells]
        if not len(some):
            return True
        if (most := some.max()) >= self._capacity:
            return False
        some += 1
        if most + 1 >= self._capacity:
            self._note_full(cells.start, some)
        return True

    def hold(self, start_ms: int, end_ms: int) -> None:
        """Takes a place, room or not."""
        cells = self._cells(start_ms, end_ms)
        some = self._count[cells]
        some += 1
        self._note_full(cells.start, some)

    def costs(self, area: FloatArray, cells: int) -> FloatArray:
        """The area of the window of `cells` from each cell on, infinite where one is full."""
        known, seen = self._costs.get(cells, (None, 0))
        newest = len(self._filled)
        if known is None or newest - seen > _MOST_MENDED:
            full = np.concatenate(([0], (self._count >= self._capacity).cumsum()))
            room = full[cells:] == full[:-cells]
            known = np.where(room, area[cells:] - area[:-cells], np.inf)
        else:
            for first, until in self._filled[seen:]:
                known[max(0, first - cells + 1) : until] = np.inf
        self._costs[cells] = known, newest
        return known

    def _note_full(self, first: int, some: IntArray) -> None:
        """`some` cells from the first on have one job more."""
        full = (some == self._capacity).nonzero()[0]
        if not len(full):
            return
        ends = (np.diff(full) > 1).nonzero()[0].tolist()
        for lo, hi in zip([0, *(at + 1 for at in ends)], [*ends, -1], strict=True):
            self._filled.append((first + int(full[lo]), first + int(full[hi]) + 1))

    def _forget(self) -> None:
        self._costs, self._filled = {}, []

    def _cells(self, start_ms: int, end_ms: int) -> slice:
        first = max(0, (start_ms - self._start_ms) // CELL_MS)
        return slice(first, max(first, -(-(end_ms - self._start_ms) // CELL_MS)))


def all_in_place(own: Choice, old: Choice, room: Room) -> Placed | None:
    """Each at its own choice, or where it stands already if a move gains nothing worth it;
    None where they do not all fit. `room` holds what others have taken."""
    stays = _stays(own, old)
    start = np.where(stays, old.start_ms, own.start_ms)
    end = np.where(stays, old.end_ms, own.end_ms)
    room.take_all(start, end)
    if not room.is_overfull:
        return Placed(start, end, ~stays, stays)
    room.take_all(start, end, -1)
    return None


def _stays(own: Choice, old: Choice) -> BoolArray:
    return (old.start_ms >= 0) & (own.area >= (1 - LEAST_GAIN) * old.area)


def place_group(
    series: IntensitySeries, group: Group, own: Choice, old: Choice, room: Room
) -> Placed:
    """One after the other: where it stands if nothing else gains, its own choice, or the
    cleanest start with room.

    `series` has no gaps within any job's reach. `room` holds what others have taken and is
    brought up to date.
    """
    search = _Search(room, series)
    stays = _stays(own, old)
    count = len(group)
    start, end = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    is_own, is_old = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    columns = (
        *(group.earliest_ms, group.latest_end_ms, group.length_ms),
        *(own.start_ms, own.end_ms, old.start_ms, old.end_ms),
        (1 - LEAST_GAIN) * old.area,
        stays,
    )
    each = zip(*(column.tolist() for column in columns), strict=True)
    for job, (first, last, length, *places, below, stay) in enumerate(each):
        own_start, own_end, old_start, old_end = places
        if stay and room.take(old_start, old_end):
            start[job], end[job], is_old[job] = old_start, old_end, True
        elif room.take(own_start, own_end):
            start[job], end[job], is_own[job] = own_start, own_end, True
        else:
            at = search.start(first, last, length, below if old_start >= 0 else np.inf)
            if at < 0 and old_start >= 0:
                # What it has it keeps; more than fit have come to stand there.
                room.hold(old_start, old_end)
                start[job], end[job], is_old[job] = old_start, old_end, True
            elif at >= 0:
                room.take(at, at + length)
                start[job], end[job] = at, at + length
    return Placed(start, end, is_own, is_old)


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
