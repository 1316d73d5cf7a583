"""Jobs of one pool and zone placed in one go, each as alone where there is room for all.

A pure function of `PlanInputs`: what it answers can be worked out again, bit by bit, from what
was kept of a plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Final

import numpy as np
from msgspec.structs import replace

from carbon.domain.jobs import PlacementReason
from carbon.planning.group import Choice, Group, Placed, Room, all_in_place, place_group
from carbon.planning.likely_lengths import cheapest_starts
from carbon.planning.pool_bound import PoolBound, pool_bound
from carbon.planning.pool_work import PoolWork
from carbon.planning.series import KWH_PER_W_MS, FloatArray, IntArray, IntensitySeries
from carbon.planning.shares import allotted, fair_order
from carbon.services.jobs.plan_inputs import PlanInputs, Point, Taken, Wish
from carbon.services.jobs.plans import (
    decide,
    full_spans,
    margins_ms,
    series_of,
    unmoved,
    with_money,
)
from carbon.services.jobs.rest_plans import rest_of
from carbon.services.jobs.wish_columns import NOWHERE, WishColumns, clean_requests
from carbon.storage.job_queries import PlacementRow, Span

#: So few new jobs are placed exactly, one after the other; more of them together.
_ONE_BY_ONE: Final = 16


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A placement per wish, in the order of the inputs."""

    placements: list[PlacementRow]
    #: `one_by_one`, `own_optimum` (each at its own), `in_turns` (the pool does not hold them all).
    method: str
    #: Intensity x time of what was planned, and what no plan can go below; None where nothing
    #: was compared.
    cost: float | None = None
    bound: float | None = None


def plan_of(inputs: PlanInputs) -> PoolPlan:
    if any(wish.ongoing for wish in inputs.wishes):
        return PoolPlan([rest_of(wish, inputs) for wish in inputs.wishes], "rest")
    made = _planned(inputs)
    if not inputs.is_paused:
        return made
    wishes = inputs.wishes
    still = [unmoved(p, w.earliest_ms) for p, w in zip(made.placements, wishes, strict=True)]
    return PoolPlan(still, "scheduler_paused")


def _planned(inputs: PlanInputs) -> PoolPlan:
    few = len(inputs.wishes) <= _ONE_BY_ONE
    if few and not any(wish.stands for wish in inputs.wishes):
        return _one_by_one(inputs)
    return _together(inputs)


def _one_by_one(inputs: PlanInputs) -> PoolPlan:
    made: dict[int, PlacementRow] = {}
    taken = list(inputs.taken)
    had_to_share = False
    for index in in_turns(inputs.wishes, inputs.weights):
        wish = inputs.wishes[index]
        full = full_spans(taken, inputs.capacity)
        had_to_share |= any(lo < wish.deadline_ms and hi > wish.earliest_ms for lo, hi in full)
        placed = decide(wish, inputs, full)
        taken.append((placed.start_ms, placed.end_ms, 1))
        made[index] = placed
    method = "in_turns" if had_to_share else "one_by_one"
    return PoolPlan([made[index] for index in range(len(made))], method)


def in_turns(wishes: Sequence[Wish], weights: dict[str, float]) -> list[int]:
    """Teams by turns, each team's own by priority and deadline."""
    order: list[int] = fair_order(clean_requests(wishes), weights).tolist()
    return order


def _together(inputs: PlanInputs) -> PoolPlan:
    wishes, now_ms = inputs.wishes, inputs.now_ms
    columns = WishColumns.of(wishes)
    series = _until_first_gap(inputs.points, now_ms)
    until_ms = int(series.marks_ms[-1]) if series else 0
    can_wait = columns.can_wait(now_ms, until_ms)
    alone = {int(i): decide(wishes[i], inputs, ()) for i in np.flatnonzero(~can_wait)}
    planned, rows = np.flatnonzero(can_wait), list(alone.values())
    for index, row in alone.items():
        if stood := wishes[index].stands:
            alone[index] = replace(row, start_now_g=stood.start_now_g)
    if series is None or not len(planned):
        return PoolPlan(list(alone.values()), "own_optimum")
    pool = _Pool.of(inputs, series, [wishes[i] for i in planned], columns.only(planned), until_ms)
    made = pool.plan(rows)
    if not alone:
        return made
    by_place = alone | dict(zip(planned.tolist(), made.placements, strict=True))
    return replaced(made, placements=[by_place[index] for index in range(len(wishes))])


def _until_first_gap(points: Sequence[Point], now_ms: int) -> IntensitySeries | None:
    """What may move a job, from now on without a gap."""
    run: list[Point] = []
    for point in points:
        if point.end_ms <= now_ms:
            continue
        if not point.may_shift or point.start_ms > (run[-1].end_ms if run else now_ms):
            break
        run.append(point)
    return series_of(run) if run else None


@dataclass(slots=True, eq=False)
class _Pool:
    """Jobs of one pool whose windows are known, and the room that others have left."""

    inputs: PlanInputs
    series: IntensitySeries
    #: With the price of energy, where the pool has one.
    compared: IntensitySeries
    wishes: Sequence[Wish]
    columns: WishColumns
    group: Group
    own: Choice
    old: Choice
    #: Of jobs whose own choice pauses in between, by index.
    segments: dict[int, tuple[Span, ...]]
    #: Those that pause by their own choice or where they stand; ascending.
    pausing: list[int]

    @classmethod
    def of(
        cls,
        inputs: PlanInputs,
        series: IntensitySeries,
        wishes: Sequence[Wish],
        columns: WishColumns,
        until_ms: int,
    ) -> _Pool:
        group = _group(columns, until_ms, inputs.now_ms)
        compared = with_money(series, inputs.terms, inputs.timezone)
        own, segments = _own_choices(inputs, compared, wishes, group)
        old = _old_choices(compared, wishes, columns, group)
        stood = (i for i, wish in enumerate(wishes) if wish.stands and wish.stands.segments)
        pausing = sorted({*segments, *stood})
        return cls(inputs, series, compared, wishes, columns, group, own, old, segments, pausing)

    def plan(self, others: Sequence[PlacementRow]) -> PoolPlan:
        """`others` are placed already, whatever the room."""
        taken = [*self.inputs.taken, *((p.start_ms, p.end_ms, 1) for p in others)]
        room = self._room(taken)
        placed = all_in_place(self.own, self.old, room)
        least = float(self.own.area.sum())
        if placed is not None:
            return PoolPlan(self._rows(placed), "own_optimum", self._cost(placed), least)
        known = self._bound(taken)
        placed = self._by_turns(known, room)
        cost = self._cost(placed) + self._without_place(placed, known.unplaced_g_per_kwh)
        return PoolPlan(self._rows(placed), "in_turns", cost, known.least_area)

    def _room(self, taken: Sequence[Taken]) -> Room:
        latest_ms = int(self.group.latest_end_ms.max())
        room = Room(self.inputs.now_ms, latest_ms, self.inputs.capacity)
        lo, hi, jobs = _columns(taken)
        for count in np.unique(jobs).tolist():
            some = jobs == count
            room.take_all(lo[some], hi[some], count)
        return room

    def _bound(self, taken: Sequence[Taken]) -> PoolBound:
        steps, free = _free_steps(taken, self.inputs.capacity, self.inputs.now_ms)
        expected = _expected(self.inputs)
        return pool_bound(self.compared, self.group, steps, free, expected)

    def _by_turns(self, known: PoolBound, room: Room) -> Placed:
        """Those within their team's share of the clean hours first, then the others; teams by
        turns. Room that is kept for what is expected goes to who would have none else."""
        order = self._order(known.clean_h)
        room.keep_free(known.marks_ms, known.reserved)
        placed = self._place(order, room)
        room.keep_free(known.marks_ms, known.reserved, -1)
        without = order[placed.start_ms[order] < 0]
        if len(without) and known.reserved.any():
            again = self._place(without, room)
            found = without[again.start_ms[without] >= 0]
            for name in ("start_ms", "end_ms", "is_own", "is_old"):
                getattr(placed, name)[found] = getattr(again, name)[found]
        return placed

    def _order(self, clean_h: float) -> IntArray:
        requests, weights = clean_requests(self.wishes), self.inputs.weights
        within = allotted(requests, weights, clean_h) >= requests.cpu_h
        turns = fair_order(requests, weights)
        return np.concatenate((turns[within[turns]], turns[~within[turns]]))

    def _place(self, some: IntArray, room: Room) -> Placed:
        """`some` jobs in the order given, as arrays over all of them."""
        group, own, old = self.group, self.own, self.old
        part = place_group(
            self.compared,
            Group(group.earliest_ms[some], group.latest_end_ms[some], group.length_ms[some]),
            Choice(own.start_ms[some], own.end_ms[some], own.area[some]),
            Choice(old.start_ms[some], old.end_ms[some], old.area[some]),
            room,
        )
        whole = [np.full(len(group), NOWHERE), np.full(len(group), NOWHERE)]
        flags = [np.zeros(len(group), dtype=np.bool_) for _ in range(2)]
        whole[0][some], whole[1][some] = part.start_ms, part.end_ms
        flags[0][some], flags[1][some] = part.is_own, part.is_old
        return Placed(whole[0], whole[1], flags[0], flags[1])

    def _pieces(self, placed: Placed, index: int) -> tuple[Span, ...]:
        """Where a job pauses in between; empty for one piece."""
        if placed.is_own[index]:
            return self.segments.get(index, ())
        stands = self.wishes[index].stands
        return stands.segments if placed.is_old[index] and stands else ()

    def _starts(self, placed: Placed) -> IntArray:
        """Jobs without room go at once, in turn."""
        return np.where(placed.start_ms < 0, self.group.earliest_ms, placed.start_ms)

    def _areas(self, series: IntensitySeries, placed: Placed) -> FloatArray:
        start = self._starts(placed)
        area = series.area(start + self.group.length_ms) - series.area(start)
        for index in self.pausing:
            pieces = np.array(self._pieces(placed, index), dtype=np.int64)
            if len(pieces):
                area[index] = np.sum(series.area(pieces[:, 1]) - series.area(pieces[:, 0]))
                area[index] += self._checkpoints(series, pieces, index)
        return np.asarray(area)

    def _checkpoints(self, series: IntensitySeries, pieces: IntArray, index: int) -> float:
        """Drawn as each segment but the last ends."""
        checkpoint_ms = self.wishes[index].hints.checkpoint_ms
        ends = pieces[:-1, 1]
        return float(np.sum(series.area(ends) - series.area(ends - 1))) * checkpoint_ms

    def _cost(self, placed: Placed) -> float:
        has_place = placed.start_ms >= 0
        return float(self._areas(self.compared, placed)[has_place].sum())

    def _without_place(self, placed: Placed, g_per_kwh: float) -> float:
        return float(self.group.length_ms[placed.start_ms < 0].sum()) * g_per_kwh

    def _rows(self, placed: Placed) -> list[PlacementRow]:
        inputs, length_ms, first = self.inputs, self.group.length_ms, self.group.earliest_ms
        watts, starts = self.columns.power_w, self._starts(placed)
        at_once = self.series.area(first + length_ms) - self.series.area(first)
        columns = (
            starts,
            starts + length_ms,
            self.columns.deadline_ms - (length_ms + margins_ms(length_ms)),
            self._areas(self.series, placed) * watts * KWH_PER_W_MS,
            at_once * watts * KWH_PER_W_MS,
        )
        each = zip(*(column.tolist() for column in columns), strict=True)
        rows = [
            PlacementRow(
                start_ms=start,
                end_ms=end,
                latest_start_ms=latest,
                zone=inputs.zone,
                expected_g=grams,
                # A matter of when it was submitted, where that has been before.
                start_now_g=wish.stands.start_now_g if wish.stands else now,
                reason=reason,
                decided_ms=inputs.now_ms,
                vintages=inputs.vintages,
            )
            for wish, reason, (start, end, latest, grams, now) in zip(
                self.wishes, self._reasons(placed), each, strict=True
            )
        ]
        for index in self.pausing:
            if pieces := self._pieces(placed, index):
                reason, end_ms = PlacementReason.CLEAN_WINDOW, pieces[-1][1]
                rows[index] = replace(rows[index], reason=reason, end_ms=end_ms, segments=pieces)
        return rows

    def _reasons(self, placed: Placed) -> list[PlacementReason]:
        """Of jobs that run in one piece."""
        names = [
            PlacementReason.CLEAN_WINDOW,
            PlacementReason.NOW_IS_CLEANEST,
            # No window with room in time: it goes in turn.
            PlacementReason.DEADLINE_GUARD,
        ]
        which = np.where(placed.start_ms < 0, 2, self._starts(placed) == self.group.earliest_ms)
        return [names[each] for each in which.tolist()]


def _group(columns: WishColumns, until_ms: int, now_ms: int) -> Group:
    length = columns.length_ms
    latest_end = np.minimum(columns.deadline_ms - margins_ms(length), until_ms)
    return Group(np.maximum(columns.earliest_ms, now_ms), latest_end, length)


def _own_choices(
    inputs: PlanInputs, compared: IntensitySeries, wishes: Sequence[Wish], group: Group
) -> tuple[Choice, dict[int, tuple[Span, ...]]]:
    """Each job's own best, as if it were alone, and the segments of those that pause for it."""
    own = Choice.best(compared, group)
    later = inputs.terms.saving_per_hour
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, wish in enumerate(wishes):
        if len(wish.hints.lengths_ms) > 1 or later:
            alike[wish.hints.lengths_ms or (int(group.length_ms[index]),)].append(index)
    for lengths_ms, members in alike.items():
        some = np.array(members, dtype=np.int64)
        latest = group.latest_end_ms[some] - group.length_ms[some]
        start, area = cheapest_starts(compared, group.earliest_ms[some], latest, lengths_ms, later)
        own.start_ms[some], own.area[some] = start, area
        own.end_ms[some] = start + group.length_ms[some]
    return own, _pausing_choices(inputs, compared, wishes, group, own)


def _pausing_choices(
    inputs: PlanInputs,
    compared: IntensitySeries,
    wishes: Sequence[Wish],
    group: Group,
    own: Choice,
) -> dict[int, tuple[Span, ...]]:
    """Of jobs that may pause; alike ones are worked out once. Writes into `own`."""
    known: dict[tuple[object, ...], tuple[Span, ...]] = {}
    segments: dict[int, tuple[Span, ...]] = {}
    for index, wish in enumerate(wishes):
        if not wish.interruptible:
            continue
        end_ms = int(group.latest_end_ms[index])
        key = (int(group.earliest_ms[index]), end_ms, wish.length_ms, wish.hints)
        if key not in known:
            known[key] = decide(wish, inputs, ()).segments
        if pieces := known[key]:
            segments[index] = pieces
            own.start_ms[index], own.end_ms[index] = pieces[0][0], pieces[-1][1]
            at = np.array(pieces, dtype=np.int64)
            area = np.sum(compared.area(at[:, 1]) - compared.area(at[:, 0]))
            ends = at[:-1, 1]
            rate = np.sum(compared.area(ends) - compared.area(ends - 1))
            own.area[index] = area + rate * wish.hints.checkpoint_ms
    return segments


def _old_choices(
    compared: IntensitySeries, wishes: Sequence[Wish], columns: WishColumns, group: Group
) -> Choice:
    """A place that is not in reach any more, or of no known intensity, is none to keep."""
    start, end = columns.stands_from_ms, columns.stands_until_ms
    stands = (start >= group.earliest_ms) & (end <= group.latest_end_ms)
    choice = Choice.unbroken(compared, np.where(stands, start, NOWHERE), group.length_ms)
    choice.end_ms[:] = np.where(stands, end, NOWHERE)
    for index in np.flatnonzero(stands).tolist():
        stood = wishes[index].stands
        if stood and stood.segments:
            at = np.array(stood.segments, dtype=np.int64)
            choice.area[index] = np.sum(compared.area(at[:, 1]) - compared.area(at[:, 0]))
    return choice


def _columns(taken: Sequence[Taken]) -> tuple[IntArray, IntArray, IntArray]:
    rows = np.array(taken, dtype=np.int64).reshape(-1, 3)
    return rows[:, 0], rows[:, 1], rows[:, 2]


def _free_steps(taken: Sequence[Taken], capacity: int, now_ms: int) -> tuple[IntArray, FloatArray]:
    """(moments, places that are free from each on)."""
    lo, hi, jobs = _columns(taken)
    at = np.concatenate(([now_ms], np.maximum(lo, now_ms), np.maximum(hi, now_ms)))
    change = np.concatenate(([0], jobs, -jobs))
    moments, where = np.unique(at, return_inverse=True)
    held = np.cumsum(np.bincount(where, change, minlength=len(moments)))
    return moments, np.maximum(capacity - held, 0.0)


def _expected(inputs: PlanInputs) -> PoolWork:
    rows = np.array(inputs.expected, dtype=np.float64).reshape(-1, 5)
    moments = rows[:, :2].astype(np.int64)
    return PoolWork(moments[:, 0], moments[:, 1], rows[:, 2], rows[:, 3], rows[:, 4])
