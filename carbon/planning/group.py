"""Many jobs of one pool planned in one go: exact where the pool has room, else on a grid.

Each job's own optimum comes from vectorised searches. A job whose window is full then takes the
cleanest one with room that begins on a mark of the grid; jobs are served in the order given, so
that who comes first is the caller's choice (`planning.shares`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
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
        """Each one's cleanest window, as if it were alone; alike ones are worked out once."""
        first, member = group.kinds()
        length = group.length_ms[first]
        best = best_windows(series, group.earliest_ms[first], group.latest_end_ms[first], length)
        area = best.mean_g_per_kwh * length
        return cls(best.start_ms[member], best.end_ms[member], area[member])


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

    def kinds(self) -> tuple[IntArray, IntArray]:
        """(one job of each kind, the kind of each job): those of a kind agree in all three."""
        key = np.zeros(len(self), dtype=np.int64)
        for values in (self.earliest_ms, self.latest_end_ms, self.length_ms):
            known, which = np.unique(values, return_inverse=True)
            # Told apart so far, and numbered anew: products of counts stay small.
            key = np.unique(key * len(known) + which, return_inverse=True)[1]
        return np.unique(key, return_index=True)[1], key


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
        #: The first full cell from each on, the number of cells where there is none; worked out
        #: when it is asked for.
        self._next_full: list[int] | None = None

    def take_all(self, start_ms: IntArray, end_ms: IntArray, places: int = 1) -> None:
        """Of many jobs at once, both of shape (jobs,), room or not; -1 place gives one back."""
        first, until = self.cells(start_ms, end_ms)
        last = len(self._count)
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

    def cells(self, start_ms: IntArray, end_ms: IntArray) -> tuple[IntArray, IntArray]:
        """(first, one behind the last) of the cells that each span touches, of those there are."""
        last = len(self._count)
        first = np.clip((start_ms - self._start_ms) // CELL_MS, 0, last)
        return first, np.clip(-(-(end_ms - self._start_ms) // CELL_MS), first, last)

    def take(self, first: int, until: int) -> bool:
        """A place in those cells; whether there was room. Where there was none nothing is taken."""
        if not self.is_free(first, until):
            return False
        self.hold(first, until)
        return True

    def hold(self, first: int, until: int) -> None:
        """Takes a place, room or not."""
        if first >= until:
            return
        some = self._count[first:until]
        some += 1
        if np.maximum.reduce(some) >= self._capacity:
            self._note_full(first, some)

    def is_free(self, first: int, until: int) -> bool:
        """Whether one job more has room in those cells."""
        if self._next_full is None:
            self._next_full = self._full_from_each()
        return self._next_full[first] >= until

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
            self._fill(first + int(full[lo]), first + int(full[hi]) + 1)

    def _fill(self, first: int, until: int) -> None:
        """Those cells have become full."""
        self._filled.append((first, until))
        ahead = self._next_full
        if ahead is None:
            return
        since = bisect_left(ahead, ahead[until], 0, first)
        ahead[since:first] = [first] * (first - since)
        ahead[first:until] = range(first, until)

    def _full_from_each(self) -> list[int]:
        cells = len(self._count)
        at = np.where(self._count >= self._capacity, np.arange(cells), cells)
        ahead = np.minimum.accumulate(at[::-1])[::-1]
        return [*ahead.tolist(), cells]

    def _forget(self) -> None:
        self._costs, self._filled, self._next_full = {}, [], None


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
    stays = _stays(own, old)
    search = _Search(room, series)
    each = zip(
        *(column.tolist() for column in room.cells(own.start_ms, own.end_ms)),
        *(column.tolist() for column in room.cells(old.start_ms, old.end_ms)),
        stays.tolist(),
        search.questions(group),
        np.where(old.start_ms >= 0, (1 - LEAST_GAIN) * old.area, np.inf).tolist(),
        strict=True,
    )
    found = []
    for own_first, own_until, old_first, old_until, stay, question, below in each:
        if stay and room.take(old_first, old_until):
            found.append(_OLD)
        elif room.take(own_first, own_until):
            found.append(_OWN)
        elif (cell := search.cleanest(question, below)) >= 0:
            room.hold(cell, cell + question[0])
            found.append(cell)
        elif below < np.inf:
            # What it has it keeps; more than fit have come to stand there.
            room.hold(old_first, old_until)
            found.append(_OLD)
        else:
            found.append(_NOWHERE)
    return _placed(np.array(found, dtype=np.int64), group, own, old, room)


#: What a job has found if it is no cell.
_NOWHERE: Final = -1
_OWN: Final = -2
_OLD: Final = -3


def _placed(found: IntArray, group: Group, own: Choice, old: Choice, room: Room) -> Placed:
    """`found` is the cell in which each job begins, or what it has instead of one."""
    is_own, is_old, is_new = found == _OWN, found == _OLD, found >= 0
    start = np.select((is_own, is_old), (own.start_ms, old.start_ms), -1)
    end = np.select((is_own, is_old), (own.end_ms, old.end_ms), -1)
    start[is_new] = room.marks_ms[found[is_new]]
    end[is_new] = start[is_new] + group.length_ms[is_new]
    return Placed(start, end, is_own, is_old)


#: (cells, first and last cell to begin in, share of its cells that a job uses).
_Question = tuple[int, int, int, float]


class _Search:
    """Windows that begin on a mark of the grid."""

    def __init__(self, room: Room, series: IntensitySeries) -> None:
        self._room, self._area = room, series.area(room.marks_ms)
        #: (cell, cost) of the cleanest window by (cells, first, last). It stays that while it has
        #: room: the others can only become full.
        self._known: dict[tuple[int, int, int], tuple[int, float]] = {}

    def questions(self, group: Group) -> Iterator[_Question]:
        origin_ms = int(self._room.marks_ms[0])
        cells = -(-group.length_ms // CELL_MS)
        first = -(-(group.earliest_ms - origin_ms) // CELL_MS)
        last = (group.latest_end_ms - group.length_ms - origin_ms) // CELL_MS
        used = group.length_ms / (cells * CELL_MS)
        return zip(*(column.tolist() for column in (cells, first, last, used)), strict=True)

    def cleanest(self, question: _Question, below: float) -> int:
        """The cleanest cell to begin in with room and an area below that; -1 if there is none."""
        cells, first, last, used = question
        if cells >= len(self._area) or last < first:
            return -1
        key = cells, first, last
        known = self._known.get(key)
        if known is None or not self._still_holds(known, cells):
            cost = self._room.costs(self._area, cells)[first : last + 1]
            if not len(cost):
                return -1
            at = int(cost.argmin())
            known = self._known[key] = first + at, float(cost[at])
        # The last cell is used in part alone.
        return known[0] if known[1] * used < below else -1

    def _still_holds(self, known: tuple[int, float], cells: int) -> bool:
        cell, cost = known
        return cost == np.inf or self._room.is_free(cell, cell + cells)
