"""Reads what some devices' buckets need and applies the ledger's rule to them, many at a time: what
has to be asked of the database is asked once for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection

from carbon.domain.claims import workload_of
from carbon.domain.energy import MeterView, Method, Reading, settle
from carbon.domain.rollup import BucketRow, Rate, roll_bucket
from carbon.domain.units import BUCKET_MS, QUARTER_MS
from carbon.services.context import Context
from carbon.services.rollup.bucket_columns import (
    Buckets,
    Flags,
    Pricing,
    Readings,
    Rolled,
    roll_columns,
)
from carbon.services.rollup.raw_readings import raw_columns
from carbon.services.rollup.tariff import Tariff
from carbon.storage.attributed import claims_of
from carbon.storage.columns import Ints
from carbon.storage.energy import reservations_between
from carbon.storage.interval_columns import END, ENERGY, METHOD, SPAN, SUBJECT
from carbon.storage.names import meters_of
from carbon.storage.ratings import Ratings


class RolledBuckets:
    """The rows of some devices over whole buckets: by columns where they are plain, the others by
    the rule itself. Both arrays in the order in which the buckets were asked."""

    def __init__(self, buckets: Buckets, readings: Readings) -> None:
        self._buckets = buckets
        self.readings = int(readings.cell.size)
        rolled, odd = roll_columns(buckets, readings)
        self._rolled = self._with_odd(rolled, odd, readings) if odd.size else rolled
        self._first = np.searchsorted(self._rolled.bucket, np.arange(buckets.size + 1))

    @property
    def ratings(self) -> set[int]:
        """Those that any row has."""
        used = np.unique(self._buckets.pricing.of_bucket[self._rolled.bucket]).tolist()
        return {self._buckets.pricing.rates[number].rating for number in used}

    def rows(self, span: slice, rating_ids: Mapping[int, int]) -> list[tuple[Any, ...]]:
        """Rows of the table `bucket`, its columns in order, of a span of buckets."""
        r, b = self._rolled, self._buckets
        mine = slice(int(self._first[span.start]), int(self._first[span.stop]))
        bucket = r.bucket[mine]
        told = [
            (rating_ids.get(rate.rating), rate.vintage, rate.g_per_kwh, rate.pue)
            for rate in b.pricing.rates
        ]
        priced = [told[number] for number in b.pricing.of_bucket[bucket].tolist()]
        columns = (
            b.start_ms[bucket],
            b.device[bucket],
            *(c[mine] for c in (r.subject, r.workload, r.method, r.energy_mj, r.operational_ng)),
            *(c[mine] for c in (r.covered_ms, r.reserved_ms, r.meter)),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [(*row, *price) for row, price in zip(rows, priced, strict=True)]

    def _with_odd(self, rolled: Rolled, odd: Ints, readings: Readings) -> Rolled:
        """With the rows of the buckets that are not plain."""
        by_rule = [
            (bucket, *_of(row))
            for bucket in odd.tolist()
            for row in self._by_rule(bucket, readings)
        ]
        of_odd = np.array(by_rule, dtype=np.int64).reshape(-1, len(rolled)).T
        return Rolled.of(
            *(np.concatenate([some, more]) for some, more in zip(rolled, of_odd, strict=True))
        )

    def _by_rule(self, bucket: int, readings: Readings) -> list[BucketRow]:
        b = self._buckets
        start_ms, device = int(b.start_ms[bucket]), int(b.device[bucket])
        end_ms = start_ms + BUCKET_MS
        seen: dict[int, list[Reading]] = {}
        for cell in np.flatnonzero(b.cells.bucket == bucket).tolist():
            lo, hi = np.searchsorted(readings.cell, [cell, cell + 1]).tolist()
            meter = int(b.cells.meter[cell])
            seen[meter] = [
                Reading(meter, c[SUBJECT], c[END] - c[SPAN], c[END], c[ENERGY], Method(c[METHOD]))
                for c in readings.columns[:, lo:hi].T.tolist()
            ]
        views = [
            MeterView(ref.meter, ref.kind, tuple(settle(seen[ref.meter])))
            for ref in b.meters.get(device, ())
            if ref.meter in seen
        ]
        held = [
            r for r in b.reservations.get(device, ()) if r.start_ms < end_ms and r.end_ms > start_ms
        ]
        rate = b.pricing.rates[int(b.pricing.of_bucket[bucket])]
        return roll_bucket(views, rate, self._workload_at, held, start_ms, end_ms)

    def _workload_at(self, subject: int, at_ms: int) -> int:
        return workload_of(self._buckets.claims.get(subject, ()), at_ms)


def _of(row: BucketRow) -> tuple[int, ...]:
    """In the order of `Rolled`."""
    return (
        *(row.subject, row.workload, int(row.method), row.energy_mj, row.operational_ng),
        *(row.covered_ms, row.reserved_ms, row.meter),
    )


def rolled_buckets(
    context: Context,
    connection: Connection,
    ratings: Ratings,
    start_ms: Ints,
    devices: Ints,
    aside: Mapping[int, Collection[int]],
) -> RolledBuckets:
    """Buckets given by start and device, of one UTC day; `aside`
    are the devices of each quarter-hour of which no meter counts.

    Raises InvalidInput(`missing_intensity`).
    """
    span = int(start_ms.min()), int(start_ms.max()) + BUCKET_MS
    named = np.unique(devices).tolist()
    meters = meters_of(connection, named)
    meter_ids = [ref.meter for refs in meters.values() for ref in refs]
    columns = raw_columns(context, connection, *span, meter_ids)
    reservations = reservations_between(connection, named, *span)
    subjects = {r.subject for held in reservations.values() for r in held}
    subjects.update(np.unique(columns[SUBJECT]).tolist())
    tariff = Tariff.load(context.settings.zone, connection, ratings, named, *span)
    buckets = Buckets(
        start_ms,
        devices,
        _is_aside(start_ms, devices, aside),
        meters,
        reservations,
        claims_of(connection, subjects),
        _pricing(tariff, start_ms, np.searchsorted(named, devices)),
    )
    return RolledBuckets(buckets, Readings.of(buckets.cells, columns))


def _is_aside(start_ms: Ints, devices: Ints, aside: Mapping[int, Collection[int]]) -> Flags:
    found = np.zeros(start_ms.size, dtype=np.bool_)
    for quarter_ms, wholes in aside.items():
        found |= (start_ms - start_ms % QUARTER_MS == quarter_ms) & np.isin(devices, list(wholes))
    return found


def _pricing(tariff: Tariff, start_ms: Ints, device_at: Ints) -> Pricing:
    """By start: the devices of thousands of buckets stand in few places."""
    rates: list[Rate] = []
    of_bucket = np.empty(start_ms.size, dtype=np.int64)
    starts, place = np.unique(start_ms, return_inverse=True)
    for number, at_ms in enumerate(starts.tolist()):
        mine = np.flatnonzero(place == number)
        kinds, places = tariff.kinds(at_ms)
        by_place = tariff.rates(at_ms, at_ms + BUCKET_MS)
        of_bucket[mine] = len(rates) + kinds[device_at[mine]]
        rates += [by_place[one] for one in places]
    return Pricing(rates, of_bucket)
