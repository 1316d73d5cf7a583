"""Prices anew what is rolled up already, in sets: a revision of a year touches no reading.

A civil day at a time. Its rows are read and priced as columns beside the writers, by a process
of its own where there are many days; then each quarter-hour is one UPDATE, which keeps every lock
short, and the sums above are set from the same columns. Marks tell whether a late row came
meanwhile: then the day is begun anew. Safe to stop anywhere: a day that is done twice says the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, Table

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.rollup import Rate
from carbon.services.context import Context
from carbon.services.rollup.beside import Beside
from carbon.services.rollup.day_prices import (
    DayPrices,
    SpanPrices,
    Sums,
    day_prices,
    day_sums,
    tables_lacking,
)
from carbon.services.rollup.nanograms import nanograms, ng_per_mj
from carbon.storage import repricing as store
from carbon.storage.columns import Ints
from carbon.storage.engine import checkpoint, need_not_last, reading, writing
from carbon.storage.ratings import Ratings, is_stored
from carbon.storage.repricing import Mark, Price
from carbon.storage.rollups import (
    bucket,
    mark_hours,
    quarter_hour,
    replace_quarter,
    requarter,
)
from carbon.storage.series import first_quarter_ms
from carbon.storage.settled import MONTH, mark_periods

Pause = Callable[[float], None]
Step = Callable[[Connection], None]

#: A transaction begins no further part of a quarter-hour after it: others wait for its lock. By
#: this thread's processor time: where others have the processor, shorter transactions would only
#: take more of it. PostgreSQL works elsewhere, and its transactions end by the clock.
_LOCK_S: Final = 0.005
_LOCK_BY_CLOCK_S: Final = 0.05
#: Transactions until SQLite's log is brought into the database: some MB.
_CHECKPOINT_EVERY: Final = 16
#: For fewer days another process would take longer to begin than to work.
_MANY_DAYS: Final = 16
#: Devices whose rows are replaced by others at once, which takes ten times as long as to set them.
_REWRITTEN_AT_ONCE: Final = 250


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
            if not _Day(context, day, pause).write():
                return done  # somebody works on it; at the next call
            with writing(context.engine) as connection:
                marks = store.cut_marks(connection, marks, day.end_ms)
            done += 1
    return done


def _loaded(
    context: Context, marks: Sequence[Mark], days: Sequence[tuple[int, int]]
) -> Iterator[DayPrices]:
    """Each day is read and computed while the one before it is written."""
    if len(days) < _MANY_DAYS or context.engine.url.database in (None, "", ":memory:"):
        for day in days:
            yield day_prices(context.engine, context.settings, marks, *day)
        return
    with Beside(context, day_prices) as process:
        process.ask(marks, *days[0])
        for following in days[1:]:
            process.ask(marks, *following)
            yield process.answer()
        yield process.answer()


def _is_long(began: float, worked: float) -> bool:
    """Whether a transaction that began then has held its locks long enough."""
    return time.thread_time() - worked >= _LOCK_S or time.perf_counter() - began >= _LOCK_BY_CLOCK_S


class _Day:
    """One civil day on its way into the store."""

    def __init__(self, context: Context, prices: DayPrices, pause: Pause) -> None:
        self._context = context
        self._engine = context.engine
        self._prices = prices
        self._pause = pause
        self._ids = self._stored_ratings()

    def write(self) -> bool:
        """Answers False where the day changed since it was read; then it is not done."""
        quarters = self._prices.quarters
        steps = [step for quarter in quarters for step in self._steps_of_quarter(quarter)]
        plain = [q.single for q in quarters if self._is_plain(q)]
        steps += self._setting_single(quarter_hour, np.concatenate(plain)) if plain else []
        if not self._run(steps):
            return False
        if any(quarter.has_new_rating for quarter in quarters):
            self._mark_hours(self._prices.hours)  # the sums above get other rows
            return True
        sums, lacking = self._prices.sums, self._prices.lacking
        if sums is None:
            with reading(self._engine) as connection:
                sums = day_sums(connection, self._prices.start_ms, self._prices.end_ms)
                lacking = tables_lacking(connection, sums)
        if lacking:
            self._mark_hours(self._prices.hours)
            return True
        return self._write_sums(sums)

    def _run(self, steps: Sequence[Step]) -> bool:
        """Some at a time in one transaction. False where the day changed since it was read."""
        left = list(reversed(steps))
        for number in count(1):
            if not left:
                break
            with writing(self._engine, may_checkpoint=False) as connection:
                began, worked = time.perf_counter(), time.thread_time()
                if self._has_changed(connection):
                    return False
                need_not_last(connection)
                left.pop()(connection)  # one at least, however long the look took
                while left and not _is_long(began, worked):
                    left.pop()(connection)
            self._pause(time.perf_counter() - began)
            if number % _CHECKPOINT_EVERY == 0:
                checkpoint(self._engine)
        checkpoint(self._engine)
        return True

    def _has_changed(self, connection: Connection) -> bool:
        day = self._prices
        return store.changes_since(connection, day.start_ms, day.end_ms) != day.seen

    @property
    def _now_ms(self) -> int:
        return self._context.clock.now_ms()

    def _stored_ratings(self) -> dict[int, int]:
        """The ids of ratings in the store, where new ones were numbered for the moment."""
        known = self._prices.ratings
        if all(map(is_stored, known)):
            return {one: one for one in known}
        with writing(self._engine) as connection:
            stored = Ratings(connection, may_store=True)
            return {one: stored.id_of(rating) for one, rating in known.items()}

    def _is_plain(self, quarter: SpanPrices) -> bool:
        """Whether its rows stay and are priced by themselves, not as sums of buckets."""
        return not quarter.has_new_rating and quarter.start_ms not in self._prices.buckets

    def _steps_of_quarter(self, quarter: SpanPrices) -> Iterator[Step]:
        """All but the single rows of plain ones, which follow at once."""
        if self._is_plain(quarter):
            yield from self._setting(quarter_hour, quarter, quarter.by_rating)
        elif quarter.start_ms in self._prices.buckets:
            buckets = self._prices.buckets[quarter.start_ms]
            yield partial(self._set_by_buckets, quarter=quarter, buckets=buckets)
        else:
            yield from self._rewriting(quarter)

    def _setting(
        self, table: Table, span: SpanPrices, by_rating: Mapping[int, Rate]
    ) -> Iterator[Step]:
        """One UPDATE for so many devices."""
        set_span = partial(
            store.price_ratings,
            table=table,
            start_ms=span.start_ms,
            prices={old: self._price(rate) for old, rate in by_rating.items()},
            now_ms=self._now_ms,
        )
        for devices in span.parts if by_rating else ():
            yield partial(set_span, devices=devices)

    def _setting_single(self, table: Table, rows: Ints) -> list[Step]:
        keys = store.COLUMNS[: rows.shape[1] - 1]
        now_ms = self._now_ms if table is quarter_hour else None
        set_rows = partial(store.set_nanograms, table=table, keys=keys, now_ms=now_ms)
        return [partial(set_rows, rows=part) for part in store.parts_of(rows)]

    def _price(self, rate: Rate) -> Price:
        k = ng_per_mj(rate.g_per_kwh, rate.pue)
        return Price(k, self._ids[rate.rating], rate.vintage, rate.g_per_kwh, rate.pue)

    def _set_by_buckets(
        self, connection: Connection, quarter: SpanPrices, buckets: Sequence[SpanPrices]
    ) -> None:
        """What the buckets cost is rounded in each of them; the quarter-hour is their sum."""
        for span in buckets:
            if span.by_device:
                prices = {device: self._price(rate) for device, rate in span.by_device.items()}
                store.price_devices(connection, span.start_ms, prices)
            by_rating = {} if span.by_device else span.by_rating
            for step in self._setting(bucket, span, by_rating):
                step(connection)
            for step in self._setting_single(bucket, span.single):
                step(connection)
        if quarter.has_new_rating:
            requarter(connection, quarter.start_ms, quarter.by_device, self._now_ms)
        else:
            store.sum_quarter(connection, quarter.start_ms, self._now_ms)

    def _rewriting(self, quarter: SpanPrices) -> Iterator[Step]:
        """Rows whose rating changes are other rows; those that become alike are added up."""
        devices = list(quarter.by_device)
        for at in range(0, len(devices), _REWRITTEN_AT_ONCE):
            rates = {d: quarter.by_device[d] for d in devices[at : at + _REWRITTEN_AT_ONCE]}
            yield partial(self._rewrite, at_ms=quarter.start_ms, rates=rates)

    def _rewrite(self, connection: Connection, at_ms: int, rates: Mapping[int, Rate]) -> None:
        merged: dict[tuple[int, ...], list[int]] = {}
        rows = store.quarter_rows(connection, at_ms, rates)
        of_rows = [rates[device] for device in rows[:, 1].tolist()]
        g_per_kwh = np.array([rate.g_per_kwh for rate in of_rows])
        ng, _ = nanograms(rows[:, 6], g_per_kwh, np.array([rate.pue for rate in of_rows]))
        for row, rate, own_ng in zip(rows.tolist(), of_rows, ng.tolist(), strict=True):
            sums = merged.setdefault((*row[:5], self._ids[rate.rating]), [0] * 4)
            for place, value in enumerate((row[6], own_ng, *row[8:])):
                sums[place] += value
        replaced = [(*key, *sums, self._now_ms) for key, sums in merged.items()]
        replace_quarter(connection, at_ms, rates, replaced)

    def _write_sums(self, sums: Sums) -> bool:
        """Sets the hours and days above."""
        now_ms = self._now_ms
        steps: list[Step] = [
            partial(
                store.set_nanograms,
                table=table,
                keys=keys,
                rows=part,
                now_ms=now_ms if "recorded_ms" in table.c else None,
            )
            for table, keys, rows in sums.tables
            for part in store.parts_of(rows)
        ]
        if not self._run(steps):
            return False
        self._mark_hours(sums.cut_hours)
        with writing(self._engine) as connection:
            timezone = ZoneInfo(self._context.settings.timezone)
            month = civil_month(self._prices.start_ms, timezone)
            mark_periods(connection, MONTH, [(w, *month) for w in sums.workloads])
        return True

    def _mark_hours(self, hours: Ints) -> None:
        if len(hours):
            with writing(self._engine) as connection:
                mark_hours(connection, map(tuple, hours.tolist()), self._now_ms)
