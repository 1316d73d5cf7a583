"""Prices anew what is rolled up already, in sets: a revision of a year touches no reading.

A civil day at a time. Its rows are read and priced as columns beside the writers; then each
quarter-hour is one UPDATE, which keeps every lock short, and the sums above are set from the
same columns. Marks tell whether a late row came meanwhile: then the day is begun anew. Safe to
stop anywhere: a day that is done twice says the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, Table

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.rollup import Rate
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR, QUARTER_MS, floor_to
from carbon.services.context import Context
from carbon.services.nanograms import Flags, Floats, nanograms, ng_per_mj
from carbon.services.tariff import Tariff
from carbon.storage import repricing as store
from carbon.storage.columns import Ints, summed
from carbon.storage.engine import reading, writing
from carbon.storage.names import models_of_devices
from carbon.storage.ratings import Ratings, is_stored
from carbon.storage.repricing import Mark
from carbon.storage.rollups import (
    bucket,
    mark_hours,
    quarter_hour,
    replace_quarter,
    requarter,
    workload_day,
    workload_hour,
)
from carbon.storage.series import first_quarter_ms
from carbon.storage.settled import MONTH, device_day, mark_periods

Pause = Callable[[float], None]

#: Sums set in one transaction.
_ROWS_AT_ONCE: Final = 1_000
#: A transaction begins no further quarter-hour after it: others wait for its lock.
_LOCK_S: Final = 0.005
_START, _DEVICE, _SUBJECT, _WORKLOAD, _METHOD, _RATING, _ENERGY, _NG = range(8)


def reprice(
    context: Context,
    end_ms: int | None = None,
    most_days: int | None = None,
    pause: Pause = lambda _took_s: None,
) -> int:
    """Prices anew what is marked before `end_ms`; answers how many civil days were."""
    with reading(context.engine) as connection:
        marks = store.price_marks(connection, end_ms)
        first_ms = first_quarter_ms(connection) if marks else None
    if marks and (first_ms is None or marks[0].start_ms < first_ms):
        with writing(context.engine) as connection:  # nothing was priced before it
            marks = store.cut_marks(
                connection, marks, first_ms or max(mark.end_ms for mark in marks)
            )
    timezone = ZoneInfo(context.settings.timezone)
    done = 0
    while marks and (most_days is None or done < most_days):
        days = civil_days(marks[0].start_ms, marks[0].end_ms, timezone)
        some = days[: None if most_days is None else most_days - done]
        for day in _loaded(context, marks, some):
            if not day.write(pause):
                return done  # somebody works on it; at the next call
            with writing(context.engine) as connection:
                marks = store.cut_marks(connection, marks, day.end_ms)
            done += 1
    return done


def _loaded(
    context: Context, marks: Sequence[Mark], days: Sequence[tuple[int, int]]
) -> Iterator[_Day]:
    """Each day is read and computed while the one before it is written."""
    with ThreadPoolExecutor(1, "repricing") as pool:
        ahead = [pool.submit(_Day.load, context, marks, *day) for day in days[:1]]
        for number in range(len(days)):
            day = ahead.pop().result()
            ahead += [pool.submit(_Day.load, context, marks, *d) for d in days[number + 1 :][:1]]
            yield day


@dataclass(frozen=True, slots=True)
class _Priced:
    """One quarter-hour or bucket in which a price may have changed."""

    start_ms: int
    #: Whether all rows of the span are priced.
    is_whole: bool
    #: Positions of the priced rows among those of the day, and what each ought to say.
    rows: Ints
    ng: Ints
    ng_per_mj: Floats
    rating: Ints
    #: Rows whose ng a float product might miss by one.
    is_near_half: Flags
    #: Of each device that is priced.
    rates: Mapping[int, Rate]


@dataclass
class _Day:
    """One civil day: what it holds, and what that ought to cost."""

    context: Context
    start_ms: int
    end_ms: int
    seen: tuple[Any, ...]
    ratings: Ratings
    quarters: Ints
    buckets: Ints
    priced_quarters: list[_Priced]
    #: By start of the quarter-hour.
    priced_buckets: dict[int, list[_Priced]]

    @classmethod
    def load(cls, context: Context, marks: Sequence[Mark], start_ms: int, end_ms: int) -> _Day:
        with reading(context.engine) as connection:
            seen = store.changes_since(connection, start_ms, end_ms)
            quarters = store.quarters_of(connection, start_ms, end_ms)
            buckets = store.buckets_of(connection, start_ms, end_ms)
            ratings = Ratings(connection, may_store=False)
            devices = np.unique(quarters[:, _DEVICE])
            tariff = Tariff.load(context, connection, ratings, devices.tolist(), start_ms, end_ms)
        in_quarters = list(_priced(tariff, marks, devices, quarters, QUARTER_MS))
        in_buckets: dict[int, list[_Priced]] = {}
        for priced in _priced(tariff, marks, devices, buckets, BUCKET_MS):
            in_buckets.setdefault(floor_to(priced.start_ms, QUARTER_MS), []).append(priced)
        return cls(
            context, start_ms, end_ms, seen, ratings, quarters, buckets, in_quarters, in_buckets
        )

    def write(self, pause: Pause) -> bool:
        """Answers False where the day changed since it was read; then it is not done."""
        ids = self._stored_ratings()
        is_plain = True  # no way of pricing changed: every sum keeps its rows
        left = list(reversed(self.priced_quarters))
        while left:
            with writing(self.context.engine) as connection:
                began = time.perf_counter()
                if store.changes_since(connection, self.start_ms, self.end_ms) != self.seen:
                    return False
                while left and time.perf_counter() - began < _LOCK_S:
                    is_plain &= self._write_quarter(connection, left.pop(), ids)
            pause(time.perf_counter() - began)
        if is_plain:
            return self._write_sums(pause)
        with writing(self.context.engine) as connection:
            at, workload = self.quarters[:, _START], self.quarters[:, _WORKLOAD]
            hours = np.unique(np.stack([at - at % MS_PER_HOUR, workload], axis=1), axis=0)
            mark_hours(connection, map(tuple, hours.tolist()), self._now_ms)
        return True

    @property
    def _now_ms(self) -> int:
        return self.context.clock.now_ms()

    def _stored_ratings(self) -> dict[int, int]:
        """The ids of ratings in the store, where new ones were numbered for the moment."""
        known = self.ratings.by_id
        if all(map(is_stored, known)):
            return {one: one for one in known}
        with writing(self.context.engine) as connection:
            stored = Ratings(connection, may_store=True)
            return {one: stored.id_of(rating) for one, rating in known.items()}

    def _write_quarter(self, connection: Connection, priced: _Priced, ids: dict[int, int]) -> bool:
        """Answers whether every row kept its rating."""
        buckets = self.priced_buckets.get(priced.start_ms, [])
        for one in buckets:
            prices = [_device_price(device, rate, ids) for device, rate in one.rates.items()]
            store.price_devices(connection, one.start_ms, prices)
            near = one.rows[one.is_near_half]
            fixed = np.column_stack(
                [self.buckets[near][:, : _METHOD + 1], one.ng[one.is_near_half]]
            )
            store.set_nanograms(connection, bucket, store.QUARTER_COLUMNS[:5], fixed, None)
        rows = self.quarters[priced.rows]
        new = priced.rating
        if (new <= 0).any():  # some were numbered for the moment
            new = np.array([ids[rating] for rating in new.tolist()])
        is_plain = bool((new == rows[:, _RATING]).all())
        if buckets and is_plain:
            store.sum_quarter(connection, priced.start_ms, self._now_ms)
        elif buckets:
            requarter(connection, priced.start_ms, priced.rates, self._now_ms)
        elif is_plain:
            self._price_plainly(connection, priced, rows)
        else:
            self._rewrite(connection, priced, rows, new)
        return is_plain

    def _price_plainly(self, connection: Connection, priced: _Priced, rows: Ints) -> None:
        """One UPDATE for each rating, where all of its rows have one price."""
        one_by_one = priced.is_near_half.copy()
        for rating_id in np.unique(rows[:, _RATING]).tolist():
            of_rating = rows[:, _RATING] == rating_id
            k = priced.ng_per_mj[of_rating]
            if priced.is_whole and (k == k[0]).all():
                store.price_quarter(
                    connection, priced.start_ms, rating_id, float(k[0]), self._now_ms
                )
            else:
                one_by_one |= of_rating
        fixed = np.column_stack([rows[one_by_one][:, : _RATING + 1], priced.ng[one_by_one]])
        store.set_nanograms(
            connection, quarter_hour, store.QUARTER_COLUMNS[:6], fixed, self._now_ms
        )
        self.quarters[priced.rows, _NG] = priced.ng

    def _rewrite(self, connection: Connection, priced: _Priced, rows: Ints, new: Ints) -> None:
        """Rows whose rating changes are other rows; those that become alike are added up."""
        merged: dict[tuple[int, ...], list[int]] = {}
        for row, rating_id, ng in zip(rows.tolist(), new.tolist(), priced.ng.tolist(), strict=True):
            so_far = merged.setdefault((*row[:_RATING], rating_id), [0] * 4)
            for place, value in enumerate((row[_ENERGY], ng, *row[_NG + 1 :])):
                so_far[place] += value
        replaced = [(*key, *sums, self._now_ms) for key, sums in merged.items()]
        replace_quarter(connection, priced.start_ms, priced.rates, replaced)

    def _write_sums(self, pause: Pause) -> bool:
        """Sets the hours and days above from the day's columns."""
        with reading(self.context.engine) as connection:
            models = models_of_devices(connection)
            if self.priced_buckets:
                self.quarters = store.quarters_of(connection, self.start_ms, self.end_ms)
        q = self.quarters
        model = np.array([models[d] for d in q[:, _DEVICE].tolist()], dtype=np.int64)
        shared = (q[:, _WORKLOAD], model, q[:, _METHOD], q[:, _RATING])
        hour = q[:, _START] - q[:, _START] % MS_PER_HOUR
        own = (q[:, _WORKLOAD], q[:, _DEVICE], q[:, _SUBJECT], q[:, _METHOD], q[:, _RATING])
        day = np.full(len(q), self.start_ms, dtype=np.int64)
        is_whole = (hour >= self.start_ms) & (hour + MS_PER_HOUR <= self.end_ms)
        hours = summed((hour, *shared), [q[:, _NG]], is_whole)
        cut_hours = np.unique(np.column_stack([hour, q[:, _WORKLOAD]])[~is_whole], axis=0)
        keys = ("start_ms", "workload_id", "model_id", "method", "rating_id")
        own_keys = ("start_ms", "workload_id", "device_id", "subject_id", "method", "rating_id")
        sums: list[tuple[Table, tuple[str, ...], Ints, int | None]] = [
            (workload_hour, keys, hours, self._now_ms),
            (workload_day, keys, summed((day, *shared), [q[:, _NG]]), self._now_ms),
            (device_day, own_keys, summed((day, *own), [q[:, _NG]]), None),
        ]
        parts = [(*one[:2], part, one[3]) for one in sums for part in _cut(one[2])]
        for table, names, part, now_ms in parts:
            with writing(self.context.engine) as connection:
                began = time.perf_counter()
                if store.changes_since(connection, self.start_ms, self.end_ms) != self.seen:
                    return False
                store.set_nanograms(connection, table, names, part, now_ms)
            pause(time.perf_counter() - began)
        with writing(self.context.engine) as connection:
            mark_hours(connection, map(tuple, cut_hours.tolist()), self._now_ms)
            month = civil_month(self.start_ms, ZoneInfo(self.context.settings.timezone))
            workloads = np.unique(q[:, _WORKLOAD]).tolist()
            mark_periods(connection, MONTH, [(w, *month) for w in workloads])
        return True


def _priced(
    tariff: Tariff, marks: Sequence[Mark], devices: Ints, rows: Ints, width_ms: int
) -> Iterator[_Priced]:
    """The spans that a mark covers, with the new ng of the rows whose place it prices."""
    starts, firsts, counts = np.unique(rows[:, _START], return_index=True, return_counts=True)
    device_at = np.searchsorted(devices, rows[:, _DEVICE])
    for at, lo, hi in zip(starts.tolist(), firsts, firsts + counts, strict=True):
        zones = {m.zone for m in marks if m.start_ms < at + width_ms and m.end_ms > at}
        if not zones:
            continue
        kinds, places = tariff.kinds(at)
        by_place = tariff.rates(at, at + width_ms)
        rates = [by_place[place] for place in places]
        is_meant = np.array(["" in zones or place.zone in zones for place in places])
        kind = kinds[device_at[lo:hi]]
        positions = lo + np.flatnonzero(is_meant[kind])
        if not len(positions):
            continue
        kind = kind[positions - lo]
        g_per_kwh = np.array([rate.g_per_kwh for rate in rates])[kind]
        pue = np.array([rate.pue for rate in rates])[kind]
        ng, is_near_half = nanograms(rows[positions, _ENERGY], g_per_kwh, pue)
        yield _Priced(
            at,
            len(positions) == hi - lo,
            positions,
            ng,
            np.array([ng_per_mj(rate.g_per_kwh, rate.pue) for rate in rates])[kind],
            np.array([rate.rating for rate in rates])[kind],
            is_near_half,
            _Rates(rows[positions, _DEVICE], kind, rates),
        )


class _Rates(Mapping[int, Rate]):
    """Device → rate; made only where it is asked for, which is where ratings change."""

    def __init__(self, devices: Ints, kinds: Ints, rates: Sequence[Rate]) -> None:
        self._columns = devices, kinds
        self._rates = rates

    @cached_property
    def _by_device(self) -> dict[int, Rate]:
        devices, kinds = (column.tolist() for column in self._columns)
        return {d: self._rates[kind] for d, kind in zip(devices, kinds, strict=True)}

    def __getitem__(self, device: int) -> Rate:
        return self._by_device[device]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_device)

    def __len__(self) -> int:
        return len(self._by_device)


def _device_price(device: int, rate: Rate, ids: dict[int, int]) -> dict[str, int | float]:
    return {
        "device_id": device,
        "k": ng_per_mj(rate.g_per_kwh, rate.pue),
        "rating_id": ids[rate.rating],
        "vintage_id": rate.vintage,
        "g_per_kwh": rate.g_per_kwh,
        "pue": rate.pue,
    }


def _cut(rows: Ints) -> list[Ints]:
    return [rows[at : at + _ROWS_AT_ONCE] for at in range(0, len(rows), _ROWS_AT_ONCE)]
