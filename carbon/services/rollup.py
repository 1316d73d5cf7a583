"""Keeps the roll-ups in step with what was sent, claimed, corrected or re-rated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary, WeakSet
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from carbon.domain.civil import civil_days
from carbon.domain.rollup import BucketRow, Rate
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.errors import Unavailable
from carbon.services.bucket_roller import rolled_devices
from carbon.services.context import Context
from carbon.services.host_sums import mark_wholes, sums_set_aside
from carbon.services.repricing import reprice
from carbon.services.settling import mark_unsettled
from carbon.storage.engine import reading, writing
from carbon.storage.imports import add_troubles
from carbon.storage.ratings import Ratings, is_stored
from carbon.storage.repricing import price_marks
from carbon.storage.rollups import (
    is_behind,
    oldest_dirty,
    set_buckets,
    set_workload_periods,
    take_dirty_hours,
    take_marks,
    workload_day,
    workload_hour,
)
from carbon.storage.sealed_days import buckets_kept_from, change_day

#: Devices of one bucket that are read and computed together.
_DEVICES_AT_ONCE = 2_000
#: Civil days priced anew at a time, where others wait for their turn.
_DAYS_AT_ONCE = 8


def roll_up(
    context: Context,
    end_ms: int | None = None,
    most: int | None = None,
    pause: Callable[[float], None] = lambda _took_s: None,
    at_once: Callable[[], int] = lambda: _DEVICES_AT_ONCE,
) -> int:
    """Recomputes dirty buckets before `end_ms` (all by default), then the hours and days above.

    Answers how many buckets were recomputed, at most about `most`. Safe to run twice, to stop
    anywhere, and on several replicas at once: each transaction takes its marks with it.
    `pause` is called between transactions with the seconds that the last one took; `at_once` says
    of how many devices a bucket is read and computed together.
    Raises Unavailable(`stopping`) from one transaction to the next once `stop_rolling` was called.
    """
    with reading(context.engine) as connection:
        if not is_behind(connection) and not price_marks(connection):
            return 0

    def rest(took_s: float) -> None:
        _check_goes_on(context.engine)
        pause(took_s)

    buckets, hours = Pace(), Pace()
    done = 0
    while most is None or done < most:
        took_s: list[float] = []
        with _turn_of(context.engine):
            _check_goes_on(context.engine)  # all who waited for the turn, too
            count = _roll_some(context, end_ms, at_once(), buckets, took_s.append)
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
    """How much to write at a time, so that nobody waits long for the lock: learned on the way."""

    _LOCK_S = 0.008
    _LEAST, _MOST = 16, 512

    def __init__(self) -> None:
        self.size = 64

    def took(self, count: int, seconds: float) -> None:
        if seconds > self._LOCK_S:
            self.size = max(self._LEAST, self.size // 2)
        elif count == self.size and seconds < self._LOCK_S / 2:
            self.size = min(self._MOST, 2 * self.size)


def _roll_some(
    context: Context,
    end_ms: int | None,
    most_devices: int,
    pace: Pace,
    pause: Callable[[float], None],
) -> int:
    """Computes beside the writers and locks for the SET alone: a bucket that changed meanwhile
    keeps its mark and is computed anew."""
    began = time.perf_counter()
    with reading(context.engine) as connection:
        dirty = oldest_dirty(connection, most_devices, end_ms)
        if dirty is None:
            return 0
    with reading(context.engine) as connection:
        seen = Ratings(connection, may_store=False)
        # Of a quarter-hour whose buckets are gone all are made again: it is SET from them.
        is_gone = dirty.start_ms < buckets_kept_from(connection)
        starts = siblings(dirty.start_ms) if is_gone else [dirty.start_ms]
        rolled = {
            at: rolled_devices(context, connection, seen, list(dirty.marks), at) for at in starts
        }
        aside = sums_set_aside(context, connection, dirty.marks, dirty.start_ms)
    used = {rate.rating for of_start in rolled.values() for rate, _ in of_start.values()}
    rating_ids = _stored_ratings(context, seen, used)
    pause(time.perf_counter() - began)
    devices = list(dirty.marks)
    while devices:
        some, devices = devices[: pace.size], devices[pace.size :]
        with writing(context.engine) as connection:
            began = time.perf_counter()
            taken = take_marks(connection, dirty.start_ms, {d: dirty.marks[d] for d in some})
            for at, of_start in rolled.items():
                rows: list[tuple[object, ...]] = []
                for device in taken:
                    rate, parts = of_start[device]
                    rating_id = rating_ids[rate.rating]
                    rows += [_stored_row(at, device, part, rate, rating_id) for part in parts]
                set_buckets(connection, at, taken, rows, context.clock.now_ms())
            mark_wholes(connection, taken, dirty.start_ms)
            add_troubles(connection, [aside[device] for device in taken if device in aside])
            if dirty.start_ms < context.hot_from_ms:
                change_day(connection, floor_to(dirty.start_ms, MS_PER_DAY))
        took_s = time.perf_counter() - began
        pace.took(len(some), took_s)
        pause(took_s)
    return len(dirty.marks)


def siblings(start_ms: int) -> list[int]:
    """The buckets of the quarter-hour that a bucket lies in."""
    first = floor_to(start_ms, QUARTER_MS)
    return list(range(first, first + QUARTER_MS, BUCKET_MS))


def _stored_ratings(context: Context, seen: Ratings, used: set[int]) -> dict[int, int]:
    """The ids of ratings in the store, where new ones were numbered for the moment."""
    if all(map(is_stored, used)):
        return {used_id: used_id for used_id in used}
    with writing(context.engine) as connection:
        stored = Ratings(connection, may_store=True)
        return {used_id: stored.id_of(seen.by_id[used_id]) for used_id in used}


def _stored_row(
    start_ms: int, device: int, row: BucketRow, rate: Rate, rating_id: int
) -> tuple[object, ...]:
    """A row of the table `bucket`, its columns in order."""
    return (
        start_ms,
        device,
        row.subject,
        row.workload,
        int(row.method),
        row.energy_mj,
        row.operational_ng,
        row.covered_ms,
        row.reserved_ms,
        row.meter,
        rating_id,
        rate.vintage,
        rate.g_per_kwh,
        rate.pue,
    )


def _roll_hours(context: Context, pace: Pace, pause: Callable[[float], None]) -> bool:
    now_ms = context.clock.now_ms()
    timezone = ZoneInfo(context.settings.timezone)
    with writing(context.engine) as connection:
        began = time.perf_counter()
        hours = take_dirty_hours(connection, pace.size)
        days: dict[tuple[int, int], set[int]] = {}
        for start_ms, workloads in hours.items():
            end_ms = start_ms + MS_PER_HOUR
            set_workload_periods(connection, workload_hour, workloads, start_ms, end_ms, now_ms)
            for day in civil_days(start_ms, end_ms, timezone):
                days.setdefault(day, set()).update(workloads)
        behind = [(w, *day) for day, of_day in days.items() for w in of_day]
        mark_unsettled(connection, behind, timezone)
        for (start_ms, end_ms), of_day in sorted(days.items()):
            set_workload_periods(connection, workload_day, sorted(of_day), start_ms, end_ms, now_ms)
    took_s = time.perf_counter() - began
    pace.took(sum(map(len, hours.values())), took_s)
    pause(took_s)
    return bool(hours)
