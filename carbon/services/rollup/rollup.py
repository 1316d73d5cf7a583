"""Keeps the roll-ups in step with what was sent, claimed, corrected or re-rated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from carbon.domain.civil import civil_days
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.errors import Unavailable
from carbon.services.context import Context
from carbon.services.rollup.host_sums import mark_wholes, sums_set_aside, wholes_aside
from carbon.services.rollup.repricing import reprice
from carbon.services.rollup.rolled_buckets import rolled_buckets
from carbon.services.rollup.settling import mark_unsettled
from carbon.storage.device_hours import set_device_hours
from carbon.storage.dirty import Dirty, oldest_dirty, packed_pairs, take_marks
from carbon.storage.engine import reading, writing
from carbon.storage.imports import add_troubles
from carbon.storage.ratings import Ratings, is_stored
from carbon.storage.repricing import is_behind
from carbon.storage.rollups import (
    set_buckets,
    set_workload_periods,
    take_dirty_hours,
    workload_day,
    workload_hour,
)
from carbon.storage.sealed_days import buckets_kept_from, change_day
from carbon.storage.settled import device_hour

#: Devices' buckets that are read and computed together: what is asked once for all of them costs
#: as much as some hundred of them.
_BUCKETS_AT_ONCE = 6_000
#: Before it is known how many readings they have, of which so many are read at once.
_FIRST_BUCKETS, _READINGS_AT_ONCE = 600, 100_000
#: Of a workload, which take ten times as long each as a bucket of a device.
_FIRST_HOURS = 8
#: Of a bucket that is not dirty itself.
_UNMARKED = -1
#: Civil days priced anew at a time, where others wait for their turn.
_DAYS_AT_ONCE = 8


def roll_up(
    context: Context,
    end_ms: int | None = None,
    most: int | None = None,
    pause: Callable[[float], None] = lambda _took_s: None,
    at_once: Callable[[], int] = lambda: _BUCKETS_AT_ONCE,
) -> int:
    """Recomputes dirty buckets before `end_ms` (all by default), then the hours and days above.

    Answers how many buckets were recomputed, at most about `most`. Safe to run twice, to stop
    anywhere, and on several replicas at once: each transaction takes its marks with it.
    `pause` is called between transactions with the seconds that the last one took; `at_once` says
    how many buckets are read and computed together at most.
    Raises Unavailable(`stopping`) from one transaction to the next once `stop_rolling` was called.
    """
    with reading(context.engine) as connection:
        if not is_behind(connection):
            return 0

    def rest(took_s: float) -> None:
        _check_goes_on(context.engine)
        pause(took_s)

    paces, hours = _Paces(), Pace(_FIRST_HOURS)
    done = 0
    while most is None or done < most:
        took_s: list[float] = []
        with _turn_of(context.engine):
            _check_goes_on(context.engine)  # all who waited for the turn, too
            count = _roll_some(context, end_ms, at_once(), paces, took_s.append)
        for seconds in took_s:  # with no turn held: others need not wait for a rest
            rest(seconds)
        if not count:
            break
        done += count
    days = None if most is None else _DAYS_AT_ONCE
    reprice(context, end_ms, days, rest)
    while _roll_hours(context, hours, rest):
        pass
    return done


#: Of this process one thread at a time computes the oldest bucket: whoever comes next would compute
#: the same one once more, and takes the one after it instead.
_turns: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


def _turn_of(engine: Engine) -> threading.Lock:
    return _turns.setdefault(engine, threading.Lock())


#: Stores whose process ends.
_stopped: WeakSet[Engine] = WeakSet()
_STOPPING_S = 5


def stop_rolling(engine: Engine) -> None:
    """For good: a long backlog would keep the threads that wait for it, and so the process, alive.
    What is not rolled up keeps its marks for the next start. From any thread."""
    _stopped.add(engine)


def _check_goes_on(engine: Engine) -> None:
    if engine in _stopped:
        raise Unavailable("stopping", "the service is being stopped; ask the next", _STOPPING_S)


class Pace:
    """How much to write at a time, so that nobody waits long for the lock: learned on the way, by
    processor time. Where others have the processor, less at a time would only take more of it."""

    _LOCK_S = 0.004
    _MOST = 2_048

    def __init__(self, first: int = 64) -> None:
        """Begins with as many, and never goes below a quarter of them."""
        self.size = first
        self._least = first // 4

    def took(self, count: int, seconds: float) -> None:
        if seconds > self._LOCK_S:
            self.size = max(self._least, self.size * 2 // 3)
        elif count >= self.size and seconds < self._LOCK_S * 2 / 3:
            self.size = min(self._MOST, self.size * 5 // 4 + 1)


class _Paces:
    """Of one call: what it learned of the rows."""

    def __init__(self) -> None:
        self.rows = Pace()
        #: To be read at a time.
        self.buckets = _FIRST_BUCKETS

    def read(self, buckets: int, readings: int) -> None:
        """Devices may be read each second or every five minutes."""
        self.buckets = max(_FIRST_BUCKETS, _READINGS_AT_ONCE * buckets // max(readings, buckets))


def _roll_some(
    context: Context, end_ms: int | None, most: int, paces: _Paces, pause: Callable[[float], None]
) -> int:
    """Computes beside the writers and locks for the SET alone: a bucket that changed meanwhile
    keeps its mark and is computed anew."""
    began = time.perf_counter()
    with reading(context.engine) as connection:
        dirty = oldest_dirty(connection, min(most, paces.buckets), end_ms)
        if not dirty.start_ms.size:
            return 0
        kept_from_ms = buckets_kept_from(connection)
    day_ms = floor_to(int(dirty.start_ms[0]), MS_PER_DAY)
    asked = _with_siblings(dirty, kept_from_ms)
    with reading(context.engine) as connection:
        seen = Ratings(connection, may_store=False)
        aside = wholes_aside(connection, asked.start_ms, asked.device)
        rolled = rolled_buckets(context, connection, seen, asked.start_ms, asked.device, aside)
        told = sums_set_aside(context, connection, _pairs(dirty), aside)
    rating_ids = _stored_ratings(context, seen, rolled.ratings)
    paces.read(asked.start_ms.size, rolled.readings)
    pause(time.perf_counter() - began)
    at = 0
    while at < asked.start_ms.size:
        span = slice(at, _end_of_quarter(asked, at + paces.rows.size))
        some = Dirty(*(column[span] for column in asked))
        rows = rolled.rows(span, rating_ids)
        with writing(context.engine) as connection:
            began, worked = time.perf_counter(), time.thread_time()
            is_set = _taken(connection, some, kept_from_ms)
            pairs = _pairs(some, is_set)
            if len(pairs) < some.marks.size:
                rows = [row for row in rows if row[:2] in set(pairs)]
            set_buckets(connection, pairs, rows, context.clock.now_ms())
            mark_wholes(connection, pairs)
            add_troubles(connection, [told[pair] for pair in pairs if pair in told])
            if day_ms < context.hot_from_ms:
                change_day(connection, day_ms)
        paces.rows.took(span.stop - span.start, time.thread_time() - worked)
        pause(time.perf_counter() - began)
        at = span.stop
    return int(dirty.start_ms.size)


def _with_siblings(dirty: Dirty, kept_from_ms: int) -> Dirty:
    """With all buckets of a quarter-hour whose buckets are gone: it is SET from them. Those that
    are not dirty have the mark _UNMARKED."""
    is_gone = dirty.start_ms < kept_from_ms
    if not is_gone.any():
        return dirty
    known = dict(zip(_pairs(dirty), dirty.marks.tolist(), strict=True))
    for start_ms, device in _pairs(dirty, is_gone):
        for sibling_ms in siblings(start_ms):
            known.setdefault((sibling_ms, device), _UNMARKED)
    rows = sorted((floor_to(at, QUARTER_MS), device, at, m) for (at, device), m in known.items())
    _, device, start_ms, marks = np.array(rows, dtype=np.int64).T
    return Dirty(start_ms, device, marks)


def siblings(start_ms: int) -> list[int]:
    """The buckets of the quarter-hour that a bucket lies in."""
    first = floor_to(start_ms, QUARTER_MS)
    return list(range(first, first + QUARTER_MS, BUCKET_MS))


def _pairs(dirty: Dirty, where: Any = slice(None)) -> list[tuple[int, int]]:
    return list(zip(dirty.start_ms[where].tolist(), dirty.device[where].tolist(), strict=True))


def _end_of_quarter(dirty: Dirty, at: int) -> int:
    """From a place on the first at which another device's quarter-hour begins."""
    start_ms, device = dirty.start_ms, dirty.device
    while at < start_ms.size and (
        device[at] == device[at - 1]
        and start_ms[at] // QUARTER_MS == start_ms[at - 1] // QUARTER_MS
    ):
        at += 1
    return min(at, int(start_ms.size))


def _taken(connection: Connection, dirty: Dirty, kept_from_ms: int) -> NDArray[np.bool_]:
    """Takes the marks, and tells which buckets may be SET; of a quarter-hour whose buckets are gone
    all, where any may."""
    is_marked = dirty.marks != _UNMARKED
    is_set = np.zeros(dirty.marks.size, dtype=np.bool_)
    is_set[is_marked] = take_marks(connection, Dirty(*(column[is_marked] for column in dirty)))
    is_gone = dirty.start_ms < kept_from_ms
    if is_gone.any():
        quarter = packed_pairs(dirty.start_ms // QUARTER_MS * QUARTER_MS, dirty.device)
        is_set |= is_gone & np.isin(quarter, quarter[is_set])
    return is_set


def _stored_ratings(context: Context, seen: Ratings, used: set[int]) -> dict[int, int]:
    """The ids of ratings in the store, where new ones were numbered for the moment."""
    if all(map(is_stored, used)):
        return {used_id: used_id for used_id in used}
    with writing(context.engine) as connection:
        stored = Ratings(connection, may_store=True)
        return {used_id: stored.id_of(seen.by_id[used_id]) for used_id in used}


def _roll_hours(context: Context, pace: Pace, pause: Callable[[float], None]) -> bool:
    now_ms = context.clock.now_ms()
    timezone = ZoneInfo(context.settings.timezone)
    with writing(context.engine) as connection:
        began, worked = time.perf_counter(), time.thread_time()
        hours = take_dirty_hours(connection, pace.size)
        days: dict[tuple[int, int], set[int]] = {}
        for start_ms, workloads in hours.items():
            end_ms = start_ms + MS_PER_HOUR
            set_device_hours(connection, start_ms, workloads)
            own = (start_ms, end_ms, now_ms, device_hour)
            set_workload_periods(connection, workload_hour, workloads, *own)
            for day in civil_days(start_ms, end_ms, timezone):
                days.setdefault(day, set()).update(workloads)
        behind = [(w, *day) for day, of_day in days.items() for w in of_day]
        mark_unsettled(connection, behind, timezone)
        for (start_ms, end_ms), of_day in sorted(days.items()):
            set_workload_periods(connection, workload_day, sorted(of_day), start_ms, end_ms, now_ms)
    pace.took(sum(map(len, hours.values())), time.thread_time() - worked)
    pause(time.perf_counter() - began)
    return bool(hours)
